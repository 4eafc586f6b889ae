package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// youngFor is how long a new Node may be cordoned or not Ready, as it is
	// while it joins the cluster, without counting as unavailable.
	youngFor = 10 * time.Minute
	// notReadyFor is how long any Node may be not Ready: a kubelet that restarts
	// takes no capacity from the cluster.
	notReadyFor = time.Minute
)

// absence is why a node counts as unavailable.
type absence int

// Why nodes count as unavailable.
const (
	present absence = iota
	beingDrained
	notReleased
	cordoned
	notReady
	absences
)

// String is what is said of such nodes.
func (a absence) String() string {
	return [...]string{"available", "being drained", "drained and not released", "cordoned", "not Ready"}[a]
}

// absence says why a node counts as unavailable. n is nil for a node without a
// request. One that drainer took out of service counts however young it is: all
// nodes of a cluster may be new.
func (p *planner) absence(node *Node, n *nodeWork) absence {
	begun := n != nil && n.memory.started() && !n.stopped(p.onTimeout(n))
	switch {
	case node.Ignored || node.Deleting:
		return present
	case begun && n.memory.FinishedAt.IsZero():
		return beingDrained
	case begun:
		return notReleased
	case node.Unschedulable && node.OwnCordon:
		return cordoned
	case p.Now.Sub(node.Created) < youngFor:
		return present
	case node.Unschedulable:
		return cordoned
	case !node.Ready && p.Now.Sub(node.ReadySince) >= notReadyFor:
		return notReady
	default:
		return present
	}
}

// tally counts the nodes that one limit is about.
type tally struct {
	// nodes are all of them; counted are those that can be unavailable.
	nodes, counted int
	// draining are those that hold a slot.
	draining int
	// absent are the names of those that are unavailable, by why.
	absent [absences][]string
	// text describes absent; empty until somebody waits for it. From then on the
	// limit is full, and no node is added.
	text string
}

func (t *tally) unavailable() int {
	sum := 0
	for _, names := range t.absent {
		sum += len(names)
	}
	return sum
}

// mostNames bounds how many nodes are named for each reason.
const mostNames = 3

// describe says which nodes are unavailable, and why.
func (t *tally) describe() string {
	if t.text != "" {
		return t.text
	}
	var parts []string
	for why, names := range t.absent {
		if len(names) == 0 {
			continue
		}
		slices.Sort(names)
		some := strings.Join(names[:min(mostNames, len(names))], ", ")
		if len(names) > mostNames {
			some += ", …"
		}
		parts = append(parts, fmt.Sprintf("%d %s (%s)", len(names), absence(why), some))
	}
	t.text = strings.Join(parts, ", ")
	return t.text
}

// limits counts the nodes that are out of service or about to be, for each limit
// that they count against.
type limits struct {
	config *Config
	// all counts all nodes served, shared those whose pool has no slots of its
	// own.
	all, shared tally
	pools       map[string]*tally
	// groups are by label, then by its value.
	groups []map[string]*tally
	// places counts the nodes in the queue for each tally's slots.
	places map[*tally]int
}

func newLimits(c *Config) *limits {
	l := &limits{config: c, pools: map[string]*tally{}, places: map[*tally]int{}}
	for range c.Groups {
		l.groups = append(l.groups, map[string]*tally{})
	}
	return l
}

// slots are the tally in which a node takes its slot, and the limit of those slots.
func (l *limits) slots(node *Node) (*tally, Share) {
	pool, limit := l.config.SlotsOf(node.Pool)
	if pool != "" {
		return named(l.pools, pool), limit
	}
	return &l.shared, limit
}

// named is the tally of a name.
func named(all map[string]*tally, name string) *tally {
	t := all[name]
	if t == nil {
		t = &tally{}
		all[name] = t
	}
	return t
}

// each calls do for every tally that a node counts in, once.
func (l *limits) each(node *Node, do func(*tally)) {
	do(&l.all)
	if slots, _ := l.slots(node); slots == &l.shared {
		do(slots)
	}
	if node.Pool != "" {
		do(named(l.pools, node.Pool))
	}
	for i := range l.groups {
		do(named(l.groups[i], groupOf(node, i)))
	}
}

// groupOf is the value of the node's label by which the i-th limit groups.
func groupOf(node *Node, i int) string {
	if i < len(node.Groups) {
		return node.Groups[i]
	}
	return ""
}

// add counts a node.
func (l *limits) add(node *Node, why absence, holdsSlot bool) {
	l.each(node, func(t *tally) {
		t.nodes++
		if !node.Ignored {
			t.counted++
		}
		if holdsSlot {
			t.draining++
		}
		t.miss(node, why)
	})
}

func (t *tally) miss(node *Node, why absence) {
	if why != present {
		t.absent[why] = append(t.absent[why], node.Name)
	}
}

// begin counts a node that has been counted before and begins now.
func (l *limits) begin(node *Node, was absence) {
	l.each(node, func(t *tally) {
		t.draining++
		if was == present && !node.Ignored && !node.Deleting {
			t.miss(node, beingDrained)
		}
	})
}

// holdsBack says what a node that could otherwise begin waits for; empty if it
// need not wait. A node that counts as unavailable already does not wait for
// others to become available.
func (l *limits) holdsBack(node *Node, counts absence) (waits Queueing, why string) {
	slots, share := l.slots(node)
	of := ""
	if slots != &l.shared {
		of = " of pool " + node.Pool
	}
	if most := share.Of(slots.nodes); slots.draining >= most {
		return QueuedForSlot, fmt.Sprintf("waits for a slot, place %d in the queue: %d of at most %d nodes%s are being drained",
			l.place(slots), slots.draining, most, of)
	}
	if text := l.fullGroup(node); text != "" {
		return QueuedForGroup, fmt.Sprintf("waits for its group, place %d in the queue: %s", l.place(slots), text)
	}
	if counts != present || node.Ignored || node.Deleting {
		return "", ""
	}
	if text := l.shortOfNodes(node); text != "" {
		return QueuedForAvailability, fmt.Sprintf("waits for nodes to be available, place %d in the queue: %s", l.place(slots), text)
	}
	return "", ""
}

// place is the next place in the queue for some slots.
func (l *limits) place(slots *tally) int {
	l.places[slots]++
	return l.places[slots]
}

// shortOfNodes says which limit another unavailable node would exceed; empty if
// none.
func (l *limits) shortOfNodes(node *Node) string {
	pool := l.config.pool(node.Pool)
	for _, bound := range []struct {
		nodes string
		share Share
		tally *tally
	}{
		{"nodes of pool " + node.Pool, pool.MaxUnavailable, named(l.pools, node.Pool)},
		{"nodes", l.config.MaxUnavailable, &l.all},
	} {
		if bound.share.IsZero() {
			continue
		}
		if most, now := bound.share.Of(bound.tally.counted), bound.tally.unavailable(); now >= most {
			return fmt.Sprintf("%d %s are unavailable, at most %d may be: %s", now, bound.nodes, most, bound.tally.describe())
		}
	}
	return ""
}

// fullGroup says which limit over groups a node would exceed; empty if none.
func (l *limits) fullGroup(node *Node) string {
	for i, limit := range l.config.Groups {
		value := groupOf(node, i)
		group := named(l.groups[i], value)
		if most := limit.MaxDraining.Of(group.nodes); !limit.MaxDraining.IsZero() && group.draining >= most {
			return fmt.Sprintf("%d of at most %d nodes %s are being drained", group.draining, most, nameOfGroup(limit.Label, value))
		}
		if limit.MaxGroups == 0 || group.draining > 0 {
			continue
		}
		var busy []string
		for other, t := range l.groups[i] {
			if t.draining > 0 {
				busy = append(busy, nameOfGroup(limit.Label, other))
			}
		}
		if len(busy) >= limit.MaxGroups {
			slices.Sort(busy)
			return fmt.Sprintf("at most %d groups of nodes by %s are drained at once; being drained now: those %s",
				limit.MaxGroups, limit.Label, strings.Join(busy, " and those "))
		}
	}
	return ""
}

func nameOfGroup(label, value string) string {
	if value == "" {
		return "without the label " + label
	}
	return "with " + label + "=" + value
}
