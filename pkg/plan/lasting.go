package plan

// Lasting is true if waiting alone cannot let a pod leave that is blocked for
// this reason: somebody has to change something.
func (r Reason) Lasting() bool { return r.lasting() }
