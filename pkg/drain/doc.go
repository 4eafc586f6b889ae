// Package drain carries out what package plan decides.
//
// A Controller plans whenever something has happened, in one goroutine, over
// all nodes at once. An evictor sends the evictions that the newest plan
// grants; tasks write to nodes, look pods up and read budgets. Both are hints:
// what is done always follows the newest plan. Nothing is sent while the Fence
// does not allow it, nothing is sent twice for one pod at a time, and no
// request is repeated here without a new plan.
//
// Everything durable is on the Nodes. A Controller that ends at any point
// leaves nothing that the next one cannot continue.
package drain
