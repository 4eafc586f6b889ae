package invariant

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// Limits are how many nodes may be out of service at once, and for how long.
type Limits struct {
	// MaxDraining is how many of so many nodes may be drained at once.
	MaxDraining func(nodes int) int
	// MaxUnavailable is how many of so many nodes may be unavailable when another
	// one begins, that one included; nil for no limit.
	MaxUnavailable func(nodes int) int
	// Ignored selects the nodes that never count as unavailable; nil for none.
	Ignored func(*corev1.Node) bool
	// YieldAfter is how long a drain may make no progress before it no longer
	// counts against MaxDraining; 0 for as long as it takes.
	YieldAfter time.Duration
	// Timeout is the default timeout of a drain, 0 for none; OnTimeout is what
	// is done then if the request does not say.
	Timeout   time.Duration
	OnTimeout api.OnTimeout
	// PoolLabel is the label by whose value a node is in one of the Pools.
	PoolLabel string
	Pools     map[string]Pool
	Groups    []Group
}

// Pool has limits of its own. Those that are nil are those of all nodes.
type Pool struct {
	MaxDraining, MaxUnavailable func(nodes int) int
	Timeout                     *time.Duration
	OnTimeout                   api.OnTimeout
}

// Group limits the nodes that share a value of a label, or lack it.
type Group struct {
	Label string
	// MaxDraining is how many of so many nodes of a group may be drained at once;
	// nil for no limit.
	MaxDraining func(nodes int) int
	// MaxGroups is in how many groups nodes may be drained at once; 0 for no limit.
	MaxGroups int
}

// period is a part of time.
type period struct{ from, until time.Time }

// young and unready are how long a node does not count as unavailable after it
// came, and after it ceased to be Ready.
const (
	young   = 10 * time.Minute
	unready = time.Minute
)

// pool is the pool that a node is in, if it is in one.
func (c *Checker) pool(n *corev1.Node) (Pool, bool) {
	pool, is := c.rules.Pools[n.Labels[c.rules.PoolLabel]]
	return pool, is
}

// timeout is how long a drain of the node may take, and what is done then, if the
// request does not say.
func (c *Checker) timeout(n *corev1.Node) (timeout time.Duration, then api.OnTimeout) {
	timeout = c.rules.Timeout
	pool, _ := c.pool(n)
	if pool.Timeout != nil {
		timeout = *pool.Timeout
	}
	return timeout, cmp.Or(pool.OnTimeout, c.rules.OnTimeout)
}

// part is the nodes that a limit is about.
type part struct {
	of   string
	has  func(*corev1.Node) bool
	most func(nodes int) int
}

// parts are those whose nodes that are drained at once a node counts among.
func (c *Checker) parts(n *corev1.Node) []part {
	slots := part{has: func(other *corev1.Node) bool {
		pool, _ := c.pool(other)
		return pool.MaxDraining == nil
	}, most: c.rules.MaxDraining}
	if pool, _ := c.pool(n); pool.MaxDraining != nil {
		slots = part{of: " of its pool", has: c.poolOf(n), most: pool.MaxDraining}
	}
	parts := []part{slots}
	for _, g := range c.rules.Groups {
		if g.MaxDraining != nil {
			parts = append(parts, part{of: " of its " + g.Label, has: func(other *corev1.Node) bool {
				return other.Labels[g.Label] == n.Labels[g.Label]
			}, most: g.MaxDraining})
		}
	}
	return parts
}

func (c *Checker) poolOf(n *corev1.Node) func(*corev1.Node) bool {
	return func(other *corev1.Node) bool { return other.Labels[c.rules.PoolLabel] == n.Labels[c.rules.PoolLabel] }
}

// judgeGroups: nodes of no more groups are drained at once than may be.
func (c *Checker) judgeGroups(at time.Time, n *node) {
	for _, g := range c.rules.Groups {
		own := n.Labels[g.Label]
		busy, joins := map[string]bool{own: true}, false
		for _, other := range c.others(n) {
			if c.underway(at, other) && !c.yields(at, other) {
				busy[other.Labels[g.Label]] = true
			}
			// A drain that was complete and begins again needs no group, nor does one that
			// is urgent. drainer knows about it before it can report it.
			joins = joins || other.Labels[g.Label] == own && (c.counts(at, other) || other.reopened || c.hurries(at, other))
		}
		if g.MaxGroups > 0 && len(busy) > g.MaxGroups && !joins {
			c.violated(KeepsLimits, at, "node %s begins in the %dth group by %s, at most %d may be drained at once", n.name, len(busy), g.Label, g.MaxGroups)
		}
	}
}

// groupsFull is true while nodes of other groups may keep a node from beginning.
func (c *Checker) groupsFull(at time.Time, n *node) bool {
	for _, g := range c.rules.Groups {
		busy := map[string]bool{}
		for _, other := range c.others(n) {
			if c.counts(at, other) {
				busy[other.Labels[g.Label]] = true
			}
		}
		if g.MaxGroups > 0 && len(busy) >= g.MaxGroups && !busy[n.Labels[g.Label]] {
			return true
		}
	}
	return false
}

// yields is true for a drain that may have made no progress for as long as lets
// the next one begin: no target of the node has terminated within its grace period, as
// far as drainer can know.
func (c *Checker) yields(at time.Time, n *node) bool {
	if c.rules.YieldAfter == 0 {
		return false
	}
	lag := c.rules.Patience + c.rules.PodLag + time.Second
	since, known := at.Add(lag-c.rules.YieldAfter), at.Add(-lag)
	if began := n.said.StartedAt; began != nil && began.After(since) {
		return false
	}
	leaves := func(p *pod) bool {
		return p.Spec.NodeName == n.name && !p.leaving.IsZero() && p.moving.Before(known) && p.graceEnds.After(since) &&
			c.stays(p.Pod) == "" && !c.unconfirmed(since, p)
	}
	for _, p := range c.pods {
		if leaves(p) {
			return false
		}
	}
	return !slices.ContainsFunc(c.left[n.name], func(p period) bool { return p.from.Before(known) && p.until.After(since) })
}

// judgeAvailable: a node that is available begins only while few enough are not.
func (c *Checker) judgeAvailable(at time.Time, n *node) {
	if c.ignored(n.Node) || n.DeletionTimestamp != nil {
		return
	}
	for _, bound := range c.bounds(n.Node) {
		nodes, unavailable := c.removedLately(at)+1, 1
		for _, other := range c.others(n) {
			if !bound.has(other.Node) || c.ignored(other.Node) {
				continue
			}
			if nodes++; c.unavailable(at, other) {
				unavailable++
			}
		}
		if most := bound.most(nodes); unavailable > most {
			c.violated(KeepsLimits, at, "node %s begins and is the %dth of %d nodes%s to be unavailable, at most %d may be",
				n.name, unavailable, nodes, bound.of, most)
		}
	}
}

// bounds are the parts of the cluster in which only so many nodes may be
// unavailable.
func (c *Checker) bounds(n *corev1.Node) []part {
	var bounds []part
	if c.rules.MaxUnavailable != nil {
		bounds = append(bounds, part{has: func(*corev1.Node) bool { return true }, most: c.rules.MaxUnavailable})
	}
	if pool, _ := c.pool(n); pool.MaxUnavailable != nil {
		bounds = append(bounds, part{of: " of its pool", has: c.poolOf(n), most: pool.MaxUnavailable})
	}
	return bounds
}

func (c *Checker) ignored(n *corev1.Node) bool { return c.rules.Ignored != nil && c.rules.Ignored(n) }

// unavailable is true for a node that drainer has to count as unavailable by now.
func (c *Checker) unavailable(at time.Time, n *node) bool {
	old := at.Sub(n.CreationTimestamp.Time) > young+c.rules.Patience
	switch {
	case n.DeletionTimestamp != nil:
		return false
	case c.underway(at, n):
		return true
	case longer(at, n.cordoned, c.rules.Patience):
		return old || ownsCordon(n.Node)
	default:
		return old && longer(at, n.unready, unready+c.rules.Patience)
	}
}

// mayLackNodes is true if so many nodes may be unavailable that a node waits.
func (c *Checker) mayLackNodes(n *node) bool {
	for _, bound := range c.bounds(n.Node) {
		nodes, unavailable := 1, 0
		for _, other := range c.others(n) {
			if !bound.has(other.Node) || c.ignored(other.Node) {
				continue
			}
			nodes++
			if other.Spec.Unschedulable || !schedulable(other.Node) || other.asked && other.said.StartedAt != nil {
				unavailable++
			}
		}
		if unavailable >= bound.most(nodes) && !c.ignored(n.Node) {
			return true
		}
	}
	return false
}

// note records since when a node has been in its current state.
func (n *node) note(at time.Time) {
	since := func(was time.Time, is bool) time.Time {
		switch {
		case !is:
			return time.Time{}
		case was.IsZero():
			return at
		default:
			return was
		}
	}
	there := n.Node != nil
	n.cordoned = since(n.cordoned, there && n.Spec.Unschedulable)
	n.unready = since(n.unready, there && !isReady(n.Node))
	n.removing = since(n.removing, there && removed(n.Node))
}

// longer is true for what has lasted for longer than that.
func longer(at, since time.Time, than time.Duration) bool {
	return !since.IsZero() && at.Sub(since) > than
}

// removed is true for a node that is being removed from the cluster.
func removed(n *corev1.Node) bool {
	return n.DeletionTimestamp != nil || slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		return t.Key == "ToBeDeletedByClusterAutoscaler" || t.Key == "karpenter.sh/disrupted" || t.Key == "karpenter.sh/disruption"
	})
}
