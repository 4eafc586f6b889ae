package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// RequestID is the ID of the request that is simulated.
const RequestID = "simulate"

// patience is how long a drain may make no progress before it counts as one
// that cannot finish. Every retry comes sooner.
const patience = 15 * time.Minute

// Run makes the forecast. It fails if the options do not fit the objects.
func Run(objects *Objects, o Options) (*Result, error) {
	chosen, err := o.choose(objects)
	if err != nil {
		return nil, err
	}
	if o.Daemon.Config.Rules.LooksAtNamespaces() && len(objects.Namespaces) == 0 {
		return nil, fmt.Errorf("the dump has no Namespace, but a namespaceSelector of the configuration needs their labels: add ns to the kinds of: %s", Command)
	}
	s := newScene(objects, &o, chosen)
	r := &run{options: &o, scene: s, budgets: map[types.NamespacedName]*BudgetResult{}, nodes: map[string]*nodeTimes{}}
	daemon := o.Daemon
	daemon.Latency, daemon.WatchLag = o.Latency, o.Latency
	daemon.Planned, daemon.Evicted, daemon.Changed = r.planned, r.evicted, r.changed
	r.loop = forecast.New(s.cluster, daemon)
	for _, name := range chosen {
		r.nodes[name] = &nodeTimes{}
	}
	r.drain(chosen)
	return r.result(chosen), nil
}

// run is a forecast that is being made.
type run struct {
	options *Options
	scene   *scene
	loop    *forecast.Loop
	// begun is when the request was made, moved when the drain last made progress.
	begun, moved time.Time
	// plan is the newest; planned is when it was made.
	plan      *plan.Plan
	plannedAt time.Time

	nodes              map[string]*nodeTimes
	budgets            map[types.NamespacedName]*BudgetResult
	evictions, refused int
	// slotSeconds is for how long nodes waited for a slot.
	slotSeconds float64
}

// nodeTimes are the times of what happened on a node; zero if it did not
// happen.
type nodeTimes struct {
	pods                    int
	started, empty, drained time.Time
}

// drain requests the drain once a daemon has settled, and waits until it is
// complete or makes no progress.
func (r *run) drain(chosen []string) {
	l := r.loop
	l.Start()
	// The controllers catch up before the request.
	l.Run(l.Now().Add(settling), nil)
	r.begun, r.moved = l.Now(), l.Now()
	for _, name := range chosen {
		node := l.Cluster().Node(name)
		if isDrained(node) {
			r.nodes[name].started, r.nodes[name].drained = r.begun, r.begun
		}
		// A request that exists is part of what is forecast.
		if _, asked, _ := api.RequestOf(node.Annotations); !asked {
			l.Request(RequestID, name)
		}
	}
	l.Run(r.begun.Add(r.options.Limit), func() bool {
		return r.done() || l.Now().Sub(r.moved) >= patience
	})
	r.count(l.Now())
}

// settling is how long the cluster runs before the request.
const settling = time.Second

func (r *run) done() bool {
	for _, n := range r.nodes {
		if n.drained.IsZero() {
			return false
		}
	}
	return true
}

// planned records how long budgets have blocked pods since the previous plan.
func (r *run) planned(s *plan.Snapshot, p *plan.Plan) {
	r.count(s.Now)
	r.plan, r.plannedAt = p, s.Now
	for i := range p.Nodes {
		n := &p.Nodes[i]
		times := r.nodes[n.Node.Name]
		if times == nil {
			continue
		}
		if waitsForTime(n, s.Now) {
			r.moved = s.Now
		}
		times.started = cmp.Or(times.started, n.Memory.StartedAt)
		counts := n.Facts.Status.Pods
		times.pods = max(times.pods, counts.Gone+counts.Remaining())
	}
}

// waitsForTime is true for a node that only has to wait: for the time that its request
// names, a window or the end of a freeze, the grace period of a pod, or the end of what a
// rule waits for.
func waitsForTime(n *plan.NodePlan, now time.Time) bool {
	switch n.Facts.Queued {
	case plan.QueuedForTime, plan.QueuedForWindow, plan.QueuedForFreeze:
		return true
	}
	return n.Facts.Interrupted != "" || slices.ContainsFunc(n.Pods, func(s plan.PodState) bool {
		return s.State == plan.Terminating && s.Reason == plan.GracePeriod ||
			s.State == plan.Blocked && s.Reason == plan.Completion && now.Before(s.Until)
	})
}

// count adds the time since the newest plan to what blocks pods or nodes in it.
func (r *run) count(now time.Time) {
	if r.plan == nil || r.begun.IsZero() {
		return
	}
	waiting, blocking := false, map[types.NamespacedName]bool{}
	for i := range r.plan.Nodes {
		waiting = waiting || r.waitsForSlot(&r.plan.Nodes[i])
		for j := range r.plan.Nodes[i].Pods {
			pod := &r.plan.Nodes[i].Pods[j]
			if pod.State != plan.Blocked {
				continue
			}
			for _, b := range pod.Budgets() {
				blocking[b.Ref()] = true
				r.budget(b.Ref()).AtOnce = max(0, int(b.ExpectedPods-b.DesiredHealthy))
			}
		}
	}
	passed := now.Sub(r.plannedAt).Seconds()
	if waiting {
		r.slotSeconds += passed
	}
	for key := range blocking {
		r.budget(key).BlockedSeconds += passed
	}
}

// waitsForSlot is true for a requested node that waits because of
// --max-draining.
func (r *run) waitsForSlot(n *plan.NodePlan) bool {
	return r.nodes[n.Node.Name] != nil && n.Facts.Queued == plan.QueuedForSlot
}

func (r *run) budget(key types.NamespacedName) *BudgetResult {
	if r.budgets[key] == nil {
		r.budgets[key] = &BudgetResult{Namespace: key.Namespace, Name: key.Name}
	}
	return r.budgets[key]
}

func (r *run) evicted(a plan.Answered) {
	r.evictions++
	if a.Outcome.Reason != plan.Admitted {
		r.refused++
		return
	}
	if key := a.Grant.Budget; key.Name != "" {
		r.budget(key).Evictions++
	}
}

// changed records when pods leave and nodes are drained.
func (r *run) changed(c sim.Change) {
	switch o := c.Object.(type) {
	case *corev1.Pod:
		r.moved = r.loop.Now()
		r.podChanged(c, o)
	case *corev1.Node:
		times := r.nodes[o.Name]
		if times == nil || r.begun.IsZero() {
			return
		}
		if times.drained.IsZero() && isDrained(o) {
			times.drained, r.moved = r.loop.Now(), r.loop.Now()
		}
	}
}

// isDrained is true for a node that is reported drained for its request.
func isDrained(n *corev1.Node) bool {
	request, asked, _ := api.RequestOf(n.Annotations)
	return asked && n.Annotations[api.DrainedAnnotation] == request.ID
}

// podChanged records when a target leaves its node.
func (r *run) podChanged(c sim.Change, pod *corev1.Pod) {
	times := r.nodes[pod.Spec.NodeName]
	if times != nil && c.Type == "DELETED" && !r.begun.IsZero() {
		times.empty = r.loop.Now()
	}
}

// since is the seconds since the request.
func (r *run) since(t time.Time) float64 {
	return max(0, t.Sub(r.begun).Round(time.Millisecond).Seconds())
}

func (r *run) secondsOf(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	s := r.since(t)
	return &s
}
