package invariant_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// scene is a checker and what it has been told last.
type scene struct {
	*invariant.Checker
	now   time.Time
	nodes map[string]*corev1.Node
}

func newScene(r invariant.Rules) *scene {
	r.Patience, r.NodeLag, r.PodLag = time.Second, 100*time.Millisecond, 100*time.Millisecond
	if r.MaxDraining == nil {
		r.MaxDraining = func(int) int { return 1 }
	}
	return &scene{Checker: invariant.New(r), now: noon, nodes: map[string]*corev1.Node{}}
}

// after lets time pass.
func (s *scene) after(d time.Duration) { s.now = s.now.Add(d) }

// change changes a node, which is there from then on.
func (s *scene) change(name string, by invariant.Actor, change func(*corev1.Node)) {
	n := s.nodes[name].DeepCopy()
	if n == nil {
		n = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Annotations: map[string]string{}}}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	}
	change(n)
	s.nodes[name] = n
	s.Node(s.now, n, false, by)
}

func (s *scene) annotate(node, key, value string) {
	s.change(node, invariant.Others, func(n *corev1.Node) { n.Annotations[key] = value })
}

func (s *scene) unannotate(node, key string) {
	s.change(node, invariant.Others, func(n *corev1.Node) { delete(n.Annotations, key) })
}

// says lets drainer write a phase of the request r, since the time at which the
// drain began.
func (s *scene) says(node string, phase api.Phase, began time.Time) {
	s.change(node, invariant.Daemon, func(n *corev1.Node) {
		status := api.Status{Request: "r", Phase: phase}
		if !began.IsZero() {
			status.StartedAt = &began
		}
		if phase == api.Drained {
			status.FinishedAt = &s.now
			n.Annotations[api.DrainedAnnotation] = "r"
		}
		n.Annotations[api.StatusAnnotation] = status.Format()
	})
}

func (s *scene) cordon(node, manager string, by invariant.Actor) {
	s.change(node, by, func(n *corev1.Node) {
		n.Spec.Unschedulable = true
		n.ManagedFields = append(n.ManagedFields, metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:unschedulable":{}}}`)})
	})
}

// draining is a node a with a request that drainer carries out, and a node b.
func draining(r invariant.Rules) *scene {
	s := newScene(r)
	s.Started()
	s.change("b", invariant.Others, func(*corev1.Node) {})
	s.annotate("a", api.DrainAnnotation, "r")
	s.says("a", api.Draining, noon)
	s.cordon("a", api.CordonFieldManager, invariant.Daemon)
	s.after(time.Minute)
	return s
}

// pod puts a Ready pod of a ReplicaSet on a node.
func (s *scene) pod(name, node string, shape ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "web"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", UID: "rs", Controller: new(true)}},
	}}
	p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	for _, f := range shape {
		f(p)
	}
	s.Pod(s.now, p, false)
	return p
}

func owned(kind string, uid types.UID) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.OwnerReferences[0].Kind, p.OwnerReferences[0].UID = kind, uid }
}

func bare(p *corev1.Pod)     { p.OwnerReferences = nil }
func static(p *corev1.Pod)   { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }
func finished(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
func pending(p *corev1.Pod)  { p.Status.Phase = corev1.PodPending }

func emptyDir(p *corev1.Pod) {
	p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
}

// evict lets drainer evict a pod, which terminates if the code is 201.
func (s *scene) evict(p *corev1.Pod, code int) {
	e := invariant.Eviction{Pod: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, UID: p.UID, By: invariant.Daemon}
	s.Received(s.now, e)
	s.Handled(s.now, e, code)
	if code == 201 {
		s.terminate(p)
	}
}

func (s *scene) terminate(p *corev1.Pod) { s.terminating(p, 0) }

// terminating lets a pod terminate within so long.
func (s *scene) terminating(p *corev1.Pod, grace time.Duration) {
	gone := p.DeepCopy()
	gone.DeletionTimestamp = &metav1.Time{Time: s.now.Add(grace)}
	s.Pod(s.now, gone, false)
}

// budget adds a budget over the pods with the label app=web.
func (s *scene) budget(name string, desired, allowed int32) {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1}}
	b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	b.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, DesiredHealthy: desired, DisruptionsAllowed: allowed}
	s.Budget(b, false)
}

// expect compares the first violation; empty for none.
func (s *scene) expect(t *testing.T, want invariant.ID) {
	t.Helper()
	got := invariant.ID("")
	if found := s.Violations(); len(found) > 0 {
		got = found[0].Invariant
	}
	if got != want {
		t.Errorf("violated is %q, want %q: %v", got, want, s.Violations())
	}
}

// TestTargets: only pods that have to leave, and may, are evicted.
func TestTargets(t *testing.T) {
	block := invariant.Rules{BlockEmptyDir: true}
	for name, test := range map[string]struct {
		rules invariant.Rules
		shape []func(*corev1.Pod)
		want  invariant.ID
	}{
		"of a ReplicaSet":             {},
		"of a DaemonSet":              {shape: []func(*corev1.Pod){owned("DaemonSet", "ds")}, want: "I1"},
		"of a DaemonSet, finished":    {shape: []func(*corev1.Pod){owned("DaemonSet", "ds"), finished}, want: "I1"},
		"of a DaemonSet that is gone": {shape: []func(*corev1.Pod){owned("DaemonSet", "gone")}},
		"static":                      {shape: []func(*corev1.Pod){static}, want: "I1"},
		"bare":                        {shape: []func(*corev1.Pod){bare}, want: "I1"},
		"bare, ignored":               {rules: invariant.Rules{BarePods: invariant.IgnoreBarePods}, shape: []func(*corev1.Pod){bare}, want: "I1"},
		"bare, evicted":               {rules: invariant.Rules{BarePods: invariant.EvictBarePods}, shape: []func(*corev1.Pod){bare}},
		"bare, finished":              {shape: []func(*corev1.Pod){bare, finished}},
		"with an emptyDir":            {shape: []func(*corev1.Pod){emptyDir}},
		"with an emptyDir, blocked":   {rules: block, shape: []func(*corev1.Pod){emptyDir}, want: "I1"},
		"with an emptyDir, finished":  {rules: block, shape: []func(*corev1.Pod){emptyDir, finished}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(test.rules)
			s.DaemonSet(s.now, "ds", true)
			s.DaemonSet(s.now, "gone", true)
			s.DaemonSet(s.now, "gone", false)
			s.evict(s.pod("p", "a", test.shape...), 429)
			s.expect(t, test.want)
		})
	}
}

// TestVerdicts: what the rule for a pod says holds, whatever else there is.
func TestVerdicts(t *testing.T) {
	is := func(v invariant.Verdict) func(string) invariant.Verdict {
		return func(string) invariant.Verdict { return v }
	}
	second := func(v invariant.Verdict) func(string) invariant.Verdict {
		return func(name string) invariant.Verdict {
			if name == "p" {
				return v
			}
			return invariant.Verdict{}
		}
	}
	for name, test := range map[string]struct {
		verdict func(string) invariant.Verdict
		shape   []func(*corev1.Pod)
		beside  []func(*corev1.Pod) // of another pod
		want    invariant.ID
	}{
		"no rule":               {verdict: is(invariant.Verdict{})},
		"evicted":               {verdict: is(invariant.Verdict{Action: invariant.Evicts}), shape: []func(*corev1.Pod){bare}},
		"ignored":               {verdict: is(invariant.Verdict{Action: invariant.Ignores}), want: "I1"},
		"ignored, finished":     {verdict: is(invariant.Verdict{Action: invariant.Ignores}), shape: []func(*corev1.Pod){finished}, want: "I1"},
		"blocked":               {verdict: is(invariant.Verdict{Action: invariant.Blocks}), want: "I1"},
		"blocked, finished":     {verdict: is(invariant.Verdict{Action: invariant.Blocks}), shape: []func(*corev1.Pod){finished}},
		"waits":                 {verdict: is(invariant.Verdict{Action: invariant.Awaits}), want: "I1"},
		"waits, finished":       {verdict: is(invariant.Verdict{Action: invariant.Awaits}), shape: []func(*corev1.Pod){finished}},
		"waits an hour":         {verdict: is(invariant.Verdict{Action: invariant.Awaits, AtMost: time.Hour}), want: "I1"},
		"waited a minute":       {verdict: is(invariant.Verdict{Action: invariant.Awaits, AtMost: time.Minute})},
		"before its order":      {verdict: second(invariant.Verdict{Action: invariant.Evicts, Order: 1}), want: "I1"},
		"after a later order":   {verdict: second(invariant.Verdict{Action: invariant.Evicts, Order: -1})},
		"after a finished one":  {verdict: second(invariant.Verdict{Action: invariant.Evicts, Order: 1}), beside: []func(*corev1.Pod){finished}},
		"after one that stays":  {verdict: second(invariant.Verdict{Action: invariant.Evicts, Order: 1}), beside: []func(*corev1.Pod){static}},
		"finished before order": {verdict: second(invariant.Verdict{Action: invariant.Evicts, Order: 1}), shape: []func(*corev1.Pod){finished}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{Pods: func(p *corev1.Pod) invariant.Verdict { return test.verdict(p.Name) }})
			s.pod("other", "a", test.beside...)
			p := s.pod("p", "a", test.shape...)
			s.after(2 * time.Minute)
			s.evict(p, 429)
			s.expect(t, test.want)
		})
	}
}

// TestRequests: evictions follow from live requests, and stop in time.
func TestRequests(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*scene)
		node string
		want invariant.ID
	}{
		"live":               {do: func(*scene) {}},
		"never requested":    {do: func(*scene) {}, node: "b", want: "I1"},
		"on no node":         {do: func(*scene) {}, node: "c", want: "I1"},
		"cancelled just now": {do: func(s *scene) { s.unannotate("a", api.DrainAnnotation); s.after(time.Second) }},
		"cancelled":          {do: func(s *scene) { s.unannotate("a", api.DrainAnnotation); s.after(1001 * time.Millisecond) }, want: "I2"},
		"paused just now":    {do: func(s *scene) { s.annotate("a", api.PausedAnnotation, "true"); s.after(time.Second) }},
		"paused":             {do: func(s *scene) { s.annotate("a", api.PausedAnnotation, "true"); s.after(2 * time.Second) }, want: "I2"},
		"paused, and it says so": {do: func(s *scene) {
			s.annotate("a", api.PausedAnnotation, "true")
			s.says("a", api.Paused, noon)
		}, want: "I2"},
		"paused again, and it spoke of before": {do: func(s *scene) {
			s.annotate("a", api.PausedAnnotation, "true")
			s.unannotate("a", api.PausedAnnotation)
			s.annotate("a", api.PausedAnnotation, "true")
			s.after(100 * time.Millisecond)
			s.says("a", api.Paused, noon)
		}},
		"resumed, and it does not say so": {do: func(s *scene) {
			s.annotate("a", api.PausedAnnotation, "true")
			s.says("a", api.Paused, noon)
			s.unannotate("a", api.PausedAnnotation)
		}},
		"released": {do: func(s *scene) {
			s.unannotate("a", api.DrainAnnotation)
			s.change("a", invariant.Daemon, func(n *corev1.Node) { n.ManagedFields = nil; delete(n.Annotations, api.StatusAnnotation) })
		}, want: "I2"},
		"invalid": {do: func(s *scene) { s.annotate("a", api.TimeoutAnnotation, "soon"); s.after(2 * time.Second) }, want: "I2"},
		"gave up": {do: func(s *scene) { s.says("a", api.TimedOut, noon) }, want: "I2"},
		"not before, already begun": {do: func(s *scene) {
			s.annotate("a", api.NotBeforeAnnotation, s.now.Add(time.Hour).Format(time.RFC3339))
		}},
		"not before": {do: func(s *scene) {
			s.annotate("b", api.NotBeforeAnnotation, s.now.Add(time.Hour).Format(time.RFC3339))
			s.annotate("b", api.DrainAnnotation, "r")
		}, node: "b", want: "I1"},
		"another of the name just now": {do: func(s *scene) {
			s.Node(s.now, s.nodes["a"], true, invariant.Others)
			s.Node(s.now, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "other"}}, false, invariant.Others)
		}},
		"deleted": {do: func(s *scene) { s.Node(s.now, s.nodes["a"], true, invariant.Others); s.after(2 * time.Second) }, want: "I2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			node := test.node
			if node == "" {
				node = "a"
			}
			p := s.pod("p", node)
			test.do(s)
			s.evict(p, 429)
			s.expect(t, test.want)
		})
	}
}

// TestNoPrecondition: an eviction without a UID is about whatever pod has the
// name.
func TestNoPrecondition(t *testing.T) {
	s := draining(invariant.Rules{})
	p := s.pod("p", "b").DeepCopy()
	p.UID = ""
	s.evict(p, 429)
	s.expect(t, "I1")
}

// TestAgain: a pod is not sent while it terminates, and not admitted twice by one
// process.
func TestAgain(t *testing.T) {
	s := draining(invariant.Rules{})
	p := s.pod("p", "a")
	s.evict(p, 201)
	s.after(time.Second)
	s.Started()
	s.evict(p, 201)
	s.expect(t, "")
	s.evict(p, 201)
	s.expect(t, "I4")

	s = draining(invariant.Rules{})
	p = s.pod("p", "a")
	s.terminate(p)
	s.after(2 * time.Second)
	s.evict(p, 429)
	s.expect(t, "I1")
}

// TestBudgets: an eviction leaves as many healthy pods as the budget demands,
// unless others have taken them.
func TestBudgets(t *testing.T) {
	for name, test := range map[string]struct {
		desired int32
		others  int
		shape   func(*corev1.Pod)
		want    invariant.ID
	}{
		"enough":                    {desired: 2},
		"too few":                   {desired: 3, want: "I3"},
		"too few because of others": {desired: 2, others: 1},
		"too few in spite of them":  {desired: 3, others: 1, want: "I3"},
		"too few, but finished":     {desired: 3, shape: finished},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			s.budget("web", test.desired, 1)
			var pods []*corev1.Pod
			for i := range 3 {
				pods = append(pods, s.pod(fmt.Sprintf("p%d", i), "a", func(p *corev1.Pod) {
					if i == 0 && test.shape != nil {
						test.shape(p)
					}
				}))
			}
			for i := range test.others {
				s.terminate(pods[2-i])
			}
			s.evict(pods[0], 201)
			s.expect(t, test.want)
		})
	}
}
