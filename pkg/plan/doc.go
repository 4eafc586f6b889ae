// Package plan decides how nodes are drained, and does nothing about it.
//
// Make turns a Snapshot into a Plan: which nodes to cordon or release, which
// pods to evict and in what order, what each Node should report, and when to
// plan again. It reads nothing but the Snapshot, writes to nothing it was
// given, and returns the same Plan for the same Snapshot.
//
// What happens between two plans arrives as Facts: an answer to an eviction, a
// write to a Node, a lookup. A pure function for each kind of fact takes the
// one entry that the fact concerns and returns the new one, with the Events
// that follow from it. A Memory holds the entries; it belongs to the loop that
// plans and is not safe for concurrent use.
//
// The package has no client, no clock, no lock and no goroutine, so a
// controller and a simulator can both run it. A test holds it to that.
package plan
