package plan

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// FuzzMake: whatever the snapshot is, the plan is one that may be carried out,
// and the only one of it.
func FuzzMake(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	at := noon.Add(-time.Hour)
	for _, status := range []string{
		"", "{}", api.Status{
			Request: "r", Phase: api.Blocked, StartedAt: &at, IdleSince: &at,
			Blockers: []api.Blocker{{Pod: "ns/p0", State: api.BlockedState, Since: at}}, MoreBlockers: []api.MoreBlockers{{Reason: "webhook", Count: 3, Since: at}},
		}.Format(),
		api.Status{Request: "r", Phase: api.Drained, StartedAt: &at, FinishedAt: &at, Result: "drained"}.Format(),
		api.Status{Request: "r", Phase: api.DryRun, Verdicts: &api.Verdicts{At: &at}}.Format(),
		`{"version":1,"request":"r","startedAt":"9999-12-31T23:59:59-10:00","pausedSeconds":-9223372036854775808}`,
		`{"version":1,"request":"r","moreBlockers":[{"reason":"webhook","count":-1}],"verdicts":{"refused":-7}}`,
	} {
		for range 4 {
			choices := make([]byte, 600)
			for i := range choices {
				choices[i] = byte(random.UintN(256))
			}
			f.Add(choices, status)
		}
	}
	f.Fuzz(func(t *testing.T, choices []byte, status string) {
		s := snapshotOf(choices, status)
		plan := Make(s)
		checkGrants(t, s, &plan)
		for i := range plan.Nodes {
			checkNode(t, s, &plan.Nodes[i])
		}
		if !plan.Wake.IsZero() && !plan.Wake.After(s.Now) {
			t.Errorf("the next plan is for %v, which is over", plan.Wake)
		}
		if again := snapshotOf(choices, status); !reflect.DeepEqual(s, again) {
			t.Error("Make changed the snapshot")
		}
		if again := Make(s); !reflect.DeepEqual(plan, again) {
			t.Errorf("two plans of the same snapshot differ:\n%+v\n%+v", plan, again)
		}
	})
}

// checkGrants fails the test if more is granted than may be.
func checkGrants(t *testing.T, s *Snapshot, plan *Plan) {
	t.Helper()
	seen, spent, forced := map[types.UID]bool{}, map[types.NamespacedName]int{}, map[types.UID]int{}
	for i := range plan.Grants {
		g := &plan.Grants[i]
		if _, sent := s.InFlight[g.Pod.UID]; sent || seen[g.Pod.UID] {
			t.Errorf("pod %s is granted and being sent, or granted twice", g.Pod.Key())
		}
		seen[g.Pod.UID] = true
		checkTarget(t, s, g)
		over := budgetsOver(s, g.Pod)
		switch {
		case g.Deletion != nil:
			for _, b := range over {
				if g.Deletion.Deadline.IsZero() {
					forced[b.UID]++
				}
			}
			if !s.Config.AllowDelete || g.Deletion.GracePeriod < 1 {
				t.Errorf("pod %s is to be deleted: %+v", g.Pod.Key(), g.Deletion)
			}
		case g.Probe:
		case g.Budget.Name != "":
			spent[g.Budget]++
		case g.Pod.Ready && len(over) == 1:
			t.Errorf("pod %s is granted without a disruption of %s", g.Pod.Key(), over[0].Key())
		}
	}
	for _, b := range s.Budgets["ns"].List {
		if n := spent[b.Ref()]; n > max(0, b.Free) {
			t.Errorf("%d disruptions of %s are granted, %d are free", n, b.Key(), b.Free)
		}
		if n := forced[b.UID]; n > 1 {
			t.Errorf("%d pods under %s are deleted at once", n, b.Key())
		}
	}
	if s.Now.Before(s.Throttled) && len(plan.Grants) > 0 || s.Careful && len(plan.Grants) > 1 {
		t.Errorf("%d evictions are granted, throttled until %v, careful: %v", len(plan.Grants), s.Throttled, s.Careful)
	}
}

// budgetsOver are the budgets that the API server checks for the pod.
func budgetsOver(s *Snapshot, pod *Pod) (over []*Budget) {
	if pod.Finished() || pod.Phase == corev1.PodPending {
		return nil
	}
	for _, b := range s.Budgets[pod.Namespace].List {
		if b.Selector.Matches(pod.Labels) {
			over = append(over, b.Budget)
		}
	}
	return over
}

// checkTarget fails the test if the pod must not be sent.
func checkTarget(t *testing.T, s *Snapshot, g *Grant) {
	t.Helper()
	switch p := g.Pod; {
	case p.Static, p.OfDaemonSet() && s.DaemonSets[p.Controller.UID], !p.Deadline.IsZero(),
		p.Controller.Kind == "" && !p.Finished() && s.Config.BarePods != EvictBarePods:
		t.Errorf("pod %+v is granted", p)
	}
	i := slices.IndexFunc(s.Nodes, func(n *Node) bool { return n.Name == g.Pod.Node })
	request, asked, err := api.RequestOf(s.Nodes[i].Annotations)
	switch n := s.Nodes[i]; {
	case !asked, err != nil, request.Paused && !counts(s, request), request.DryRun, !n.Served, !n.Unschedulable, !n.OwnCordon, s.Control.Paused != "", request.ID != g.Request:
		t.Errorf("pod %s is granted for %q on node %+v", g.Pod.Key(), g.Request, n)
	}
}

// counts is true for a request that says when its node disappears.
func counts(s *Snapshot, r api.Request) bool {
	return !r.Deadline.IsZero() && s.Now.Before(r.Deadline.Add(5*time.Minute))
}

// checkNode fails the test unless the plan says all of the node.
func checkNode(t *testing.T, s *Snapshot, n *NodePlan) {
	t.Helper()
	if n.Phase == "" {
		if !n.Release && !n.Read && !OlderVersion(n.Node.ResourceVersion, n.Memory.Written.Version) {
			t.Errorf("nothing is to be done about node %s: %+v", n.Node.Name, n)
		}
		return
	}
	if !slices.Contains(api.Phases(), n.Phase) {
		t.Errorf("node %s is in the phase %q", n.Node.Name, n.Phase)
	}
	if len(n.Pods) > 0 && len(n.Pods) != len(s.Pods[n.Node.Name]) {
		t.Errorf("node %s has %d pods, %d are planned", n.Node.Name, len(s.Pods[n.Node.Name]), len(n.Pods))
	}
	for i := range n.Pods {
		p := &n.Pods[i]
		if !slices.Contains([]State{Ignored, Eligible, Blocked, Terminating}, p.State) || (p.State == Blocked || p.State == Terminating) && p.Reason == "" {
			t.Errorf("pod %s is %q, %q", p.Pod.Key(), p.State, p.Reason)
		}
	}
	r := n.Report()
	if len(r.Message) > mostMessage || r.Message == "" {
		t.Errorf("node %s says %q", n.Node.Name, r.Message)
	}
	text := r.Status.Format()
	if status, err := api.ParseStatus(text); err != nil || len(text) > api.MaxStatusBytes || status.Phase != n.Phase || status.Request != n.Request.ID {
		t.Errorf("node %s says %s: %v", n.Node.Name, text, err)
	}
}

// FuzzOutcomeOf: whatever comes back, it has one of the known reasons, and a wait
// that ends.
func FuzzOutcomeOf(f *testing.F) {
	f.Add(uint16(201), "", int32(0), true)
	f.Add(uint16(429), `{"kind":"Status","reason":"TooManyRequests","details":{"retryAfterSeconds":-7,"causes":[{"reason":"DisruptionBudget","message":"no"}]}}`, int32(0), false)
	f.Add(uint16(500), `{"kind":"Status","message":"This pod has more than one PodDisruptionBudget"}`, int32(0), false)
	f.Add(uint16(404), `{"kind":"Status","details":{"kind":"poddisruptionbudgets"}}`, int32(0), false)
	f.Add(uint16(403), `{"kind":"Status","message":"poddisruptionbudget"}`, int32(0), false)
	f.Add(uint16(503), "upstream is down", int32(86400), false)
	f.Add(uint16(0), "EOF", int32(-1), false)
	f.Fuzz(func(t *testing.T, code uint16, text string, retryAfter int32, ok bool) {
		a := answer{code: int(code), text: text, retryAfter: int(retryAfter)}
		if json.Unmarshal([]byte(text), &a.status) != nil {
			a.status = nil
		}
		err := a.err()
		if ok {
			err = nil
		}
		o := OutcomeOf(int(code), err)
		if o.Reason == Admitted != (err == nil) || !slices.Contains(answerReasons(), o.Reason) {
			t.Errorf("%v is %+v", err, o)
		}
		if o.RetryAfter < 0 || o.RetryAfter > RetryAfterMost || o.Asked < 0 || o.Reason == Throttled && o.RetryAfter == 0 {
			t.Errorf("%v is %+v", err, o)
		}
		for _, refusals := range []int{0, 1, 2, 100} {
			if d := o.wait(refusals); d < 0 || d > RetryAfterMost || d == 0 && o.Reason != Throttled {
				t.Errorf("after %d refusals %s waits %v", refusals, o.Reason, d)
			}
		}
		if again := OutcomeOf(int(code), err); again != o {
			t.Errorf("%v is %+v, and then %+v", err, o, again)
		}
	})
}

// FuzzPodOf: whatever the API server says of a pod, a node and a budget, it can
// be planned with, and what must stay stays.
func FuzzPodOf(f *testing.F) {
	f.Add([]byte(`{"metadata":{"namespace":"ns","name":"a","uid":"u","labels":{"app":"a"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"rs","controller":true}]},
		"spec":{"nodeName":"n0","terminationGracePeriodSeconds":30,"volumes":[{"name":"v","emptyDir":{}}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`),
		[]byte(`{"metadata":{"generation":2},"spec":{"maxUnavailable":"0%","selector":{"matchLabels":{"app":"a"}}},"status":{"observedGeneration":2,"disruptionsAllowed":1,"disruptedPods":{"a":null}}}`),
		[]byte(`{"metadata":{"managedFields":[{"manager":"drainer","operation":"Apply","fieldsV1":{"f:spec":{"f:unschedulable":{}}}}]},"spec":{"unschedulable":true,"taints":[{"key":"drainer.dev/queued","effect":"PreferNoSchedule"}]}}`))
	f.Add([]byte(`{"metadata":{"name":"a","annotations":{"kubernetes.io/config.mirror":"x","drainer.dev/pod-action":"Ignore"},"deletionTimestamp":"0000-01-01T00:00:00+10:00","deletionGracePeriodSeconds":-9223372036854775808,"finalizers":["f"]},
		"status":{"containerStatuses":[{"state":{"terminated":{}}}]}}`),
		[]byte(`{"spec":{"minAvailable":-1,"unhealthyPodEvictionPolicy":"AlwaysAllow","selector":{}},"status":{"conditions":[{"type":"DisruptionAllowed","status":"False","reason":"SyncFailed"}],"currentHealthy":-2147483648}}`),
		[]byte(`{"status":{"conditions":[{"type":"Ready","status":"Unknown"},{"type":"Drained","status":"True"}]}}`))
	f.Fuzz(func(t *testing.T, podText, budgetText, nodeText []byte) {
		pod, budget, node := &corev1.Pod{}, &policyv1.PodDisruptionBudget{}, &corev1.Node{}
		// What does not decode is planned as far as it does.
		_, _, _ = json.Unmarshal(podText, pod), json.Unmarshal(budgetText, budget), json.Unmarshal(nodeText, node)
		before := []any{pod.DeepCopy(), budget.DeepCopy(), node.DeepCopy()}
		s := newScene()
		n := s.draining("n0")
		p, b, seen := PodOf(pod), budgetOf(budget), NodeOf(node)
		for range 10 {
			if !reflect.DeepEqual(p, PodOf(pod)) || !reflect.DeepEqual(b, budgetOf(budget)) || !reflect.DeepEqual(seen, NodeOf(node)) {
				t.Fatal("the same object is planned with in two ways")
			}
		}
		n.Ready, n.Repelling, n.Created = seen.Ready, seen.Repelling, seen.Created
		s.put("n0", p, b)
		plan := Make(s.Snapshot)
		states := planOf(t, plan, "n0").Pods
		if len(states) != 1 || states[0].State == "" {
			t.Fatalf("the pod is planned as %+v", states)
		}
		if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; (mirror || pod.DeletionTimestamp != nil) && len(plan.Grants) > 0 {
			t.Errorf("pod %s is granted", podText)
		}
		checkNode(t, s.Snapshot, planOf(t, plan, "n0"))
		if after := []any{pod, budget, node}; !reflect.DeepEqual(before, after) {
			t.Error("the objects were changed")
		}
	})
}

// put puts a pod on a node, and a budget, if there is one, into the cluster.
func (s scene) put(node string, p *Pod, b *Budget) {
	entry := &Entry{Pod: p, Memory: PodMemory{FirstSeen: s.Now}}
	s.Pods[node], s.Memory.Pods[p.UID] = []*Entry{entry}, entry
	if b != nil {
		s.Budgets[b.Namespace] = NamespaceBudgets{Epoch: 1, List: []BudgetView{{Budget: b, Free: int(b.Allowed)}}}
	}
}

func budgetOf(pdb *policyv1.PodDisruptionBudget) *Budget {
	b, err := BudgetOf(pdb)
	if err != nil {
		return nil
	}
	return b
}
