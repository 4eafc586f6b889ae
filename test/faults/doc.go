// Package faults is a proxy between a program and the API server that does to
// requests what networks, load balancers and overloaded servers do: it delays
// them, answers them itself, and cuts them off before or after the API server
// has them.
//
// The proxy ends the program's TLS and begins its own. Whose requests they are
// the API server sees as ever, by their bearer tokens.
package faults
