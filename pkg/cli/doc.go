// Package cli is kubectl-drainer, the plugin of kubectl for people: it asks for
// drains, shows their progress and what they wait for, and forecasts them. It
// talks only to the API server, never to the daemon: it writes the annotations
// of pkg/api and the ConfigMap drainer-control, and everything that it shows is
// read from the cluster.
//
// What to write and what to show is decided in pure functions of the objects. A
// write carries the UID and the resourceVersion that it was decided on, so that
// nothing is overwritten that nobody has looked at.
package cli
