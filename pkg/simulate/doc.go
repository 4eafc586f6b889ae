// Package simulate forecasts how drainer would drain nodes of a cluster: from
// the cluster's objects it makes a model, lets pkg/forecast drain it, and says
// when each node is done, which budgets bound the time, and what cannot finish
// and how to fix it. It reads and writes only what it is given.
package simulate
