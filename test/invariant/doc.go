// Package invariant judges drainer from outside: a Checker is told what can be
// seen of a cluster and of the requests that its API server receives, and says
// what must never have happened.
//
// A Checker has no clock, no goroutine and no client. It uses none of
// drainer's decisions, only the protocol of pkg/api: which pods have to leave,
// and when, it says in its own words. It does not trust drainer's status where
// it can look itself; what drainer has written is taken as its word only
// where the invariant is about that word.
package invariant
