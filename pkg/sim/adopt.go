package sim

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Adopt adds a workload that exists elsewhere, under the UID by which its pods
// name it. Its pods are added with AddPod; those that are missing are created.
// A Workload of a kind that this package does not know has a scale, and
// replaces its pods as soon as they terminate.
func (c *Cluster) Adopt(w Workload, uid types.UID) {
	if w.Grace == 0 {
		w.Grace = 30 * time.Second
	}
	c.workloads[uid] = &workload{Workload: w, uid: uid}
	c.after(c.options.ReplaceLag, step{deed: syncWorkload, uid: uid})
}

// Waiting is how many pods currently fit on no node.
func (c *Cluster) Waiting() int { return len(c.waiting) }
