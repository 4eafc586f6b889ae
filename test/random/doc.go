// Package random runs random scenarios on the discrete-event loop of
// pkg/forecast and lets test/invariant judge them.
package random
