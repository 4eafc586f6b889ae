// Package cli is kubectl-drainer, the plugin of kubectl for people: it asks for
// drains, shows how far they are and why, and forecasts them. It talks to the API
// server alone, never to the daemon: what it writes are the annotations of pkg/api
// and the ConfigMap drainer-control, and what it shows is read from the cluster.
//
// What to write and what to show is decided in pure functions of the objects. A
// write carries the UID and the resourceVersion that it was decided on, so that
// nothing is overwritten that nobody has looked at.
package cli
