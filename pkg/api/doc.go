// Package api is drainer's protocol: what users write on a Node to ask for a
// drain, and what drainer writes there to answer. It parses and formats, and
// needs no client, no clock and no cluster.
package api
