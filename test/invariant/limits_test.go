package invariant_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
)

func atMost(n int) func(int) int { return func(int) int { return n } }

// is sets a node's label and adds the node if it is not there.
func (s *scene) is(node, label, value string) {
	s.change(node, invariant.Others, func(n *corev1.Node) { n.Labels = map[string]string{label: value} })
}

// begin lets drainer begin a node a while after it was asked for.
func (s *scene) begin(node string) {
	s.annotate(node, api.DrainAnnotation, "r")
	s.after(5 * time.Second)
	s.says(node, api.Draining, s.now)
}

// TestUnavailable: a node begins only while few enough are unavailable, as far as
// drainer can know.
func TestUnavailable(t *testing.T) {
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"one is being drained":   {do: func(*scene) {}, want: "I9"},
		"one is drained":         {do: func(s *scene) { s.says("a", api.Drained, noon) }, want: "I9"},
		"a young one is drained": {do: func(s *scene) { s.change("a", invariant.Others, born(noon)); s.says("a", api.Drained, noon) }, want: "I9"},
		"it is to be drained again": {do: func(s *scene) {
			s.change("a", invariant.Others, born(noon))
			s.says("a", api.Drained, noon)
			s.annotate("a", api.DrainAnnotation, "other")
		}, want: "I9"},
		"one is drained for more": {do: func(s *scene) { s.says("a", api.Drained, noon); s.annotate("a", api.DrainAnnotation, "other") }, want: "I9"},
		"one is released":         {do: func(s *scene) { s.release("a") }},
		"another is cordoned": {do: func(s *scene) {
			s.release("a")
			s.change("c", invariant.Others, cordoned)
		}, want: "I9"},
		"a young one is cordoned": {do: func(s *scene) {
			s.release("a")
			s.change("c", invariant.Others, born(noon))
			s.change("c", invariant.Others, cordoned)
		}},
		"one that is deleted is cordoned": {do: func(s *scene) {
			s.release("a")
			s.change("c", invariant.Others, func(n *corev1.Node) { cordoned(n); n.DeletionTimestamp = &metav1.Time{Time: noon} })
		}},
		"an ignored one is cordoned": {do: func(s *scene) {
			s.release("a")
			s.is("c", "kind", "virtual")
			s.change("c", invariant.Others, cordoned)
		}},
		"another is not Ready": {do: func(s *scene) {
			s.release("a")
			s.change("c", invariant.Others, unready)
			s.after(2 * time.Minute)
		}, want: "I9"},
		"another is not Ready for a moment": {do: func(s *scene) { s.release("a"); s.change("c", invariant.Others, unready) }},
		"it counts already":                 {do: func(s *scene) { s.change("b", invariant.Others, cordoned) }},
		"it is ignored":                     {do: func(s *scene) { s.is("b", "kind", "virtual") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{Limits: invariant.Limits{
				MaxDraining: atMost(9), MaxUnavailable: atMost(1), Ignored: func(n *corev1.Node) bool { return n.Labels["kind"] == "virtual" },
			}})
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.change("d", invariant.Others, func(*corev1.Node) {})
			test.do(s)
			s.begin("b")
			s.expect(t, test.want)
		})
	}
}

func born(at time.Time) func(*corev1.Node) {
	return func(n *corev1.Node) { n.CreationTimestamp = metav1.NewTime(at) }
}

func unready(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }

// release lets the request of a node end.
func (s *scene) release(node string) {
	s.unannotate(node, api.DrainAnnotation)
	s.change(node, invariant.Daemon, func(n *corev1.Node) {
		n.Spec.Unschedulable, n.ManagedFields = false, nil
		delete(n.Annotations, api.StatusAnnotation)
	})
	s.after(5 * time.Second)
}

// TestParts: the limits of pools and groups.
func TestParts(t *testing.T) {
	pools := invariant.Limits{MaxDraining: atMost(2), PoolLabel: "pool", Pools: map[string]invariant.Pool{
		"gpu": {MaxDraining: atMost(1), MaxUnavailable: atMost(2)},
	}}
	zone := invariant.Limits{MaxDraining: atMost(9), Groups: []invariant.Group{{Label: "zone", MaxDraining: atMost(1)}}}
	zones := invariant.Limits{MaxDraining: atMost(9), Groups: []invariant.Group{{Label: "zone", MaxGroups: 1}}}
	for name, test := range map[string]struct {
		limits invariant.Limits
		do     func(*scene)
		want   invariant.ID
	}{
		"of one pool":     {limits: pools, do: func(s *scene) { s.is("a", "pool", "gpu"); s.is("b", "pool", "gpu") }, want: "I9"},
		"of another pool": {limits: pools, do: func(s *scene) { s.is("a", "pool", "gpu"); s.is("b", "pool", "x") }},
		"of no pool":      {limits: pools, do: func(*scene) {}},
		"of a pool with too few available": {limits: pools, do: func(s *scene) {
			s.is("b", "pool", "gpu")
			for _, node := range []string{"c", "d"} {
				s.is(node, "pool", "gpu")
				s.change(node, invariant.Others, func(n *corev1.Node) { n.Spec.Unschedulable = true })
			}
		}, want: "I9"},
		"of one group":               {limits: zone, do: func(s *scene) { s.is("a", "zone", "x"); s.is("b", "zone", "x") }, want: "I9"},
		"of another group":           {limits: zone, do: func(s *scene) { s.is("a", "zone", "x") }},
		"without a group":            {limits: zone, do: func(*scene) {}, want: "I9"},
		"of one group too many":      {limits: zones, do: func(s *scene) { s.is("a", "zone", "x") }, want: "I9"},
		"of a group that is drained": {limits: zones, do: func(s *scene) { s.is("a", "zone", "x"); s.is("b", "zone", "x") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{Limits: test.limits})
			s.change("e", invariant.Others, func(*corev1.Node) {})
			test.do(s)
			s.after(5 * time.Second)
			s.begin("b")
			s.expect(t, test.want)
		})
	}
}

// unconfirmed lets a pod of node a terminate, of which nothing is known for a while.
func (s *scene) unconfirmed(d time.Duration) *corev1.Pod {
	p := s.pod("p", "a")
	s.terminate(p)
	ready := func(status corev1.ConditionStatus) {
		s.change("a", invariant.Others, func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, LastTransitionTime: metav1.NewTime(s.now)}}
		})
	}
	ready(corev1.ConditionUnknown)
	s.after(d)
	ready(corev1.ConditionTrue)
	return p
}

// TestYields: another one begins once a drain has made no progress for so long.
func TestYields(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"not for long": {do: func(s *scene) { s.after(30 * time.Second) }, want: "I9"},
		"for long":     {do: func(s *scene) { s.after(2 * time.Minute) }},
		"a pod has left": {do: func(s *scene) {
			s.after(time.Minute)
			p := s.pod("p", "a")
			s.terminate(p)
			s.after(30 * time.Second)
			s.Pod(s.now, p, true)
		}, want: "I9"},
		"a pod terminates":                {do: func(s *scene) { s.terminating(s.pod("p", "a"), time.Hour); s.after(2 * time.Minute) }, want: "I9"},
		"a pod has been overdue for long": {do: func(s *scene) { s.terminate(s.pod("p", "a")); s.after(2 * time.Minute) }},
		"a pod has not been overdue for long": {do: func(s *scene) {
			s.terminating(s.pod("p", "a"), time.Minute)
			s.after(2 * time.Minute)
		}, want: "I9"},
		"a pod that was overdue has left": {do: func(s *scene) {
			p := s.pod("p", "a")
			s.terminate(p)
			s.after(2 * time.Minute)
			s.Pod(s.now, p, true)
		}},
		"a pod has left elsewhere": {do: func(s *scene) {
			p := s.pod("p", "c")
			s.terminate(p)
			s.after(2 * time.Minute)
			s.Pod(s.now, p, true)
		}},
		"a pod was unconfirmed": {do: func(s *scene) { s.Pod(s.now, s.unconfirmed(2*time.Minute), true) }},
		"unconfirmed for less":  {do: func(s *scene) { s.Pod(s.now, s.unconfirmed(30*time.Second), true) }, want: "I9"},
		"and terminates again, overdue": {do: func(s *scene) {
			p := s.unconfirmed(2 * time.Minute)
			s.after(30 * time.Second)
			s.Pod(s.now, p, true)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{UnreachableAfter: time.Second, Limits: invariant.Limits{YieldAfter: 2 * time.Minute}})
			s.change("c", invariant.Others, func(*corev1.Node) {})
			test.do(s)
			s.begin("b")
			s.expect(t, test.want)
		})
	}
}

// TestReplacedAfterTimeout: a request that replaces a drain which has just given up, or
// may not have, as far as drainer can know, keeps its slot. Later it begins again.
func TestReplacedAfterTimeout(t *testing.T) {
	for name, test := range map[string]struct {
		timeout string
		pauses  bool
		between time.Duration
		want    invariant.ID
	}{
		"at once":             {timeout: "10s"},
		"later":               {timeout: "10s", between: time.Minute, want: "I9"},
		"paused long after":   {timeout: "10s", pauses: true, between: time.Minute, want: "I9"},
		"paused just in time": {timeout: "2m0.5s", pauses: true, between: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			most := 1
			s := draining(invariant.Rules{Limits: invariant.Limits{MaxDraining: func(int) int { return most }}})
			s.annotate("a", api.TimeoutAnnotation, test.timeout)
			s.after(time.Minute)
			most = 0
			if test.pauses {
				s.annotate("a", api.PausedAnnotation, "true")
				s.change("a", invariant.Daemon, func(n *corev1.Node) {
					n.Annotations[api.StatusAnnotation] = api.Status{Request: "r", Phase: api.Paused, StartedAt: new(noon), PausedAt: &s.now}.Format()
				})
			}
			s.annotate("a", api.OnTimeoutAnnotation, "Stop")
			s.after(test.between)
			s.annotate("a", api.DrainAnnotation, "another")
			s.change("a", invariant.Daemon, func(n *corev1.Node) {
				n.Annotations[api.StatusAnnotation] = api.Status{Request: "another", Phase: api.Draining, StartedAt: &s.now}.Format()
			})
			s.expect(t, test.want)
		})
	}
}

// TestBeingRemoved: a node that is being removed does not begin, and need not.
func TestBeingRemoved(t *testing.T) {
	s := draining(invariant.Rules{Limits: invariant.Limits{MaxDraining: atMost(9)}})
	s.change("c", invariant.Others, func(*corev1.Node) {})
	s.annotate("b", api.DrainAnnotation, "r")
	s.change("b", invariant.Others, func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "karpenter.sh/disrupted"}} })
	s.says("a", api.Drained, noon)
	if node := s.Unfinished(s.now); node != "" {
		t.Errorf("node %s has to be drained", node)
	}
	s.begin("b")
	s.expect(t, "I9")
}

// TestMayWait: what the limits may keep from beginning need not be drained.
func TestMayWait(t *testing.T) {
	for name, test := range map[string]struct {
		limits invariant.Limits
		waits  bool
	}{
		"without limits":      {invariant.Limits{MaxDraining: atMost(9)}, false},
		"too few available":   {invariant.Limits{MaxDraining: atMost(9), MaxUnavailable: atMost(1)}, true},
		"its group is full":   {invariant.Limits{MaxDraining: atMost(9), Groups: []invariant.Group{{Label: "zone", MaxDraining: atMost(1)}}}, true},
		"another group, too":  {invariant.Limits{MaxDraining: atMost(9), Groups: []invariant.Group{{Label: "name", MaxGroups: 1}}}, true},
		"another group, fine": {invariant.Limits{MaxDraining: atMost(9), Groups: []invariant.Group{{Label: "name", MaxGroups: 2}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{Limits: test.limits})
			s.pod("p", "a", bare)
			s.is("a", "name", "a")
			s.is("c", "name", "c")
			s.annotate("b", api.DrainAnnotation, "r")
			if waits := s.Unfinished(s.now) == ""; waits != test.waits {
				t.Errorf("waits is %v", waits)
			}
		})
	}
}

// TestChangedBeforeTimeout: another one begins although a drain that times out was
// changed just before, as drainer may not have known; and not later.
func TestChangedBeforeTimeout(t *testing.T) {
	for after, want := range map[time.Duration]invariant.ID{time.Second: "", 2 * time.Second: "I9"} {
		s := draining(invariant.Rules{Limits: invariant.Limits{Timeout: time.Minute + time.Second, OnTimeout: api.Release}})
		s.change("c", invariant.Others, func(*corev1.Node) {})
		s.annotate("b", api.DrainAnnotation, "r")
		s.annotate("a", api.DeadlineAnnotation, s.now.Add(time.Hour).UTC().Format(time.RFC3339))
		s.after(after)
		s.says("b", api.Draining, s.now)
		s.expect(t, want)
	}
}

// TestChangedAtTimeout: another one begins although a drain that timed out just when it
// was changed continues, as drainer may not have known; and not later.
func TestChangedAtTimeout(t *testing.T) {
	for after, want := range map[time.Duration]invariant.ID{time.Second: "", 2 * time.Second: "I9"} {
		s := draining(invariant.Rules{Limits: invariant.Limits{Timeout: time.Minute, OnTimeout: api.Stop}})
		s.change("c", invariant.Others, func(*corev1.Node) {})
		s.annotate("b", api.DrainAnnotation, "r")
		s.annotate("a", api.TimeoutAnnotation, "1h")
		s.after(after)
		s.says("b", api.Draining, s.now)
		s.expect(t, want)
	}
}
