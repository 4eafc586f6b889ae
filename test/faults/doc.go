// Package faults is a proxy between a program and the API server that does to
// requests what networks, load balancers and overloaded servers do: it delays
// them, answers them itself, and cuts them off before or after the API server
// has them.
//
// The proxy terminates the program's TLS and uses its own connection to the API
// server, which still identifies the clients by their bearer tokens.
package faults
