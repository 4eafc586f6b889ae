// Package forecast runs drains in a model of a cluster, on the model's own
// clock: pkg/plan decides, as in the daemon, and a discrete-event loop carries
// out what it decides on a sim.Cluster, with the latency of an API server, a
// limit of evictions and watches that lag.
//
// It starts no goroutine and reads no clock, so thousands of drains run within
// a second of a machine's time, and the same calls give the same run. What it
// leaves out of the daemon: leader election, the hand-over to another replica,
// and how long a plan takes to make.
package forecast
