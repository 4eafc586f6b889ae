// Package witness judges drainer on a real control plane, by its requests in
// the API server's audit log and by what a separate watcher has seen of the
// cluster. It does not rely on anything that drainer reports about itself. The
// invariants are those of test/invariant: this package only puts in order what
// happened.
//
// Changes of objects are ordered by their resourceVersions, which the API server
// gives in the order of its writes. When a request came in among them is known
// only as far as the times of the audit log tell: it came after every change
// that was answered, or seen, before it, and before every change that was asked
// for after it. A request violates an invariant only if it does at every place
// where it may have come.
package witness
