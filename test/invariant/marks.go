package invariant

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// MarkRule requests the drains of nodes that something marks.
type MarkRule struct {
	// Name is what the IDs of its requests begin with, before a slash.
	Name string
	// Marks says whether a node is marked.
	Marks func(*corev1.Node) Marked
	// For is how long a node has to be marked, MaxNodes how many may be marked or
	// hold a request of the rule, and MinInterval how far its requests on one node
	// are apart.
	For, MinInterval time.Duration
	MaxNodes         int
	// WhenCleared lets drainer remove the request once the mark has been cleared for
	// as long; Paused makes each request begin paused.
	WhenCleared, Paused bool
}

// Marked is whether a node is marked.
type Marked int

// Whether it is.
const (
	Unmarked Marked = iota
	IsMarked
	MarkUnknown
)

// mark is what is known of a node and one rule.
type mark struct {
	// since is when the node was marked, cleared when it first no longer was
	// since the rule's last request; zero if it is not so.
	since, cleared time.Time
	// asked is when the rule decided on its last request; zero if it made none.
	asked time.Time
	// silenced is true once somebody has removed or replaced the rule's request
	// although the mark never cleared, until it does.
	silenced bool
	// declined is true once somebody has removed or replaced the request of any rule
	// before the mark of this one had cleared, until it does. The rule may have joined
	// that request, and then makes none.
	declined bool
}

// asksOf is true for a node with a request whose ID is one of the rule's.
func (r *MarkRule) asksOf(n *corev1.Node) bool {
	return n != nil && strings.HasPrefix(n.Annotations[api.DrainAnnotation], r.Name+"/")
}

// latches is true for a node that says that the rule is latched.
func (r *MarkRule) latches(n *corev1.Node) bool {
	return n != nil && slices.Contains(api.LatchedRules(n.Annotations[api.LatchedAnnotation]), r.Name)
}

// followMarks keeps up with what marks a node, and judges what drainer does for it.
// was is nil for a node that is new, is for one that is gone.
func (c *Checker) followMarks(at time.Time, n *node, was, is *corev1.Node, by Actor) {
	if len(n.marks) != len(c.rules.Marked) {
		n.marks = make([]mark, len(c.rules.Marked))
	}
	if was != nil && is != nil {
		c.judgeRemoval(at, n, was, is, by)
	}
	refused := by == Others && is != nil && c.rulesRequest(was) && was.Annotations[api.DrainAnnotation] != is.Annotations[api.DrainAnnotation]
	for i := range c.rules.Marked {
		r, m := &c.rules.Marked[i], &n.marks[i]
		if is != nil {
			m.see(at, r.Marks(is))
		}
		m.declined = m.declined || refused && r.Marks(is) != Unmarked
		switch asked, asks := r.asksOf(was), r.asksOf(is); {
		case is == nil:
		case asks && by != Others && was != nil && was.Annotations[api.DrainAnnotation] != is.Annotations[api.DrainAnnotation]:
			c.judgeMarkRequest(at, n, i, was, by)
		case asked && !asks && by == Others:
			m.silenced = m.cleared.IsZero() && !m.asked.IsZero()
		}
		c.followLatch(at, i, n, was, by)
	}
}

// see takes in whether the node is marked.
func (m *mark) see(at time.Time, is Marked) {
	switch {
	case is != IsMarked:
		m.since = time.Time{}
	case m.since.IsZero():
		m.since = at
	}
	if is == Unmarked {
		m.silenced, m.declined = false, false
		if m.cleared.IsZero() {
			m.cleared = at
		}
	}
}

// judgeMarkRequest: drainer has written the request of a rule.
func (c *Checker) judgeMarkRequest(at time.Time, n *node, rule int, was *corev1.Node, by Actor) {
	r, m := &c.rules.Marked[rule], &n.marks[rule]
	decided := at
	if records, err := api.ParseMarks(n.Annotations[api.MarksAnnotation]); err == nil && records[r.Name].Request == n.Annotations[api.DrainAnnotation] {
		decided = records[r.Name].RequestedAt
	} else {
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s and notes nothing there", r.Name, n.name)
	}
	_, taken := was.Annotations[api.DrainAnnotation]
	// Times in annotations are whole seconds.
	switch early := decided.Add(time.Second); {
	case taken:
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s, which has the request %q", r.Name, n.name, was.Annotations[api.DrainAnnotation])
	case m.since.IsZero() || early.Sub(m.since) < r.For:
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s, which has not been marked for %v", r.Name, n.name, r.For)
	case m.silenced:
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s again although somebody removed its request and the mark has not cleared", r.Name, n.name)
	case !m.asked.IsZero() && early.Sub(m.asked) < r.MinInterval:
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s %v after its last request there, want %v", r.Name, n.name, decided.Sub(m.asked), r.MinInterval)
	case r.Paused && n.Annotations[api.PausedAnnotation] != "true":
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s, and does not pause it", r.Name, n.name)
	}
	if by == Daemon {
		c.judgeMarkLimits(at, decided, n, rule)
	}
	*m = mark{since: m.since, asked: decided, declined: m.declined}
}

// judgeMarkLimits: a rule requests a drain only while few enough nodes are marked or
// hold its requests, and not while it is latched or everything is paused. What was
// decided before drainer could know is not judged.
func (c *Checker) judgeMarkLimits(at, decided time.Time, n *node, rule int) {
	r, known := &c.rules.Marked[rule], decided.Add(-c.rules.Patience)
	holders, all := 0, 0
	for _, other := range c.nodes {
		if other.Node == nil || !c.rules.Served(other.Node) {
			continue
		}
		holds := r.asksOf(other.Node)
		if holds {
			holders++
		}
		since := other.markedSince(rule)
		if holds || !since.IsZero() && since.Before(known) {
			all++
		}
	}
	switch latched := c.latched[rule]; {
	case holders > r.MaxNodes:
		c.violated(KeepsLimits, at, "%d nodes hold requests of rule %s, at most %d may", holders, r.Name, r.MaxNodes)
	case all > r.MaxNodes:
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s while %d nodes are marked or hold its request, at most %d may", r.Name, n.name, all, r.MaxNodes)
	case !latched.IsZero() && latched.Before(known):
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s although it is latched", r.Name, n.name)
	case !c.paused.IsZero() && c.paused.Before(known):
		c.violated(KeepsLimits, at, "rule %s requests the drain of node %s although everything is paused", r.Name, n.name)
	}
}

func (n *node) markedSince(rule int) time.Time {
	if rule >= len(n.marks) {
		return time.Time{}
	}
	return n.marks[rule].since
}

// followLatch notes since when a rule is latched. Only people resume it.
func (c *Checker) followLatch(at time.Time, rule int, n *node, was *corev1.Node, by Actor) {
	r := &c.rules.Marked[rule]
	if by != Others && r.latches(was) && n.Node != nil && !r.latches(n.Node) {
		c.violated(KeepsLimits, at, "rule %s is latched, and drainer removes that from node %s", r.Name, n.name)
	}
	yes := false
	for _, other := range c.nodes {
		yes = yes || other.Node != nil && c.rules.Served(other.Node) && r.latches(other.Node)
	}
	switch {
	case !yes:
		delete(c.latched, rule)
	case c.latched[rule].IsZero():
		c.latched[rule] = at
	}
}

// judgeRemoval: drainer removes no request but one of a rule whose mark has been
// cleared for long enough, and only from a node that no rule finds marked.
func (c *Checker) judgeRemoval(at time.Time, n *node, was, is *corev1.Node, by Actor) {
	id, had := was.Annotations[api.DrainAnnotation]
	if _, has := is.Annotations[api.DrainAnnotation]; by == Others || !had || has {
		return
	}
	for i := range c.rules.Marked {
		if r, m := &c.rules.Marked[i], &n.marks[i]; r.asksOf(was) && r.WhenCleared && r.Marks(was) == Unmarked && !c.marks(was) &&
			!m.cleared.IsZero() && at.Add(time.Second).Sub(m.cleared) >= r.For {
			return
		}
	}
	c.violated(KeepsLimits, at, "drainer removes the request %q of node %s", id, n.name)
}

// rulesRequest is true for a node with a request of any rule.
func (c *Checker) rulesRequest(n *corev1.Node) bool {
	return slices.ContainsFunc(c.rules.Marked, func(r MarkRule) bool { return r.asksOf(n) })
}

// marks is true for a node that any rule finds marked.
func (c *Checker) marks(n *corev1.Node) bool {
	return slices.ContainsFunc(c.rules.Marked, func(r MarkRule) bool { return r.Marks(n) == IsMarked })
}

// markedFor is how much longer than a rule wants a node is marked until drainer has
// to have done something about it.
const markedFor = time.Minute

// finishMarks judges the rules for marked nodes at the end: one that finds too many
// nodes is latched, others have requested the drains of those that are marked.
func (c *Checker) finishMarks(at time.Time) {
	for i := range c.rules.Marked {
		r := &c.rules.Marked[i]
		counted, all := 0, 0
		var waiting []string
		for _, n := range c.nodes {
			if n.Node == nil || !c.rules.Served(n.Node) {
				continue
			}
			since, holds := n.markedSince(i), r.asksOf(n.Node)
			long := !since.IsZero() && at.Sub(since) > r.For+markedFor
			if holds || long {
				counted++
			}
			if holds || !since.IsZero() {
				all++
			}
			if _, taken := n.Annotations[api.DrainAnnotation]; long && !taken && n.DeletionTimestamp == nil && n.marks[i].asked.IsZero() && !n.marks[i].declined {
				waiting = append(waiting, n.name)
			}
		}
		switch latched := !c.latched[i].IsZero(); {
		case counted > r.MaxNodes && !latched:
			c.violated(KeepsLimits, at, "%d nodes are marked or hold requests of rule %s, at most %d may, and it is not latched", counted, r.Name, r.MaxNodes)
		case all <= r.MaxNodes && !latched && c.paused.IsZero() && len(waiting) > 0:
			slices.Sort(waiting)
			c.violated(Finishes, at, "rule %s does not request the drain of node %s", r.Name, waiting[0])
		}
	}
}
