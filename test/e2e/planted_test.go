package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/invariant"
	"drainer.dev/drainer/test/witness"
)

// TestPlantedViolations: the judge of all these tests is not blind. Two real
// drains are recorded, and every violation that is planted in the record is
// found.
func TestPlantedViolations(t *testing.T) {
	e := setup(t, 4)
	r := e.recorded()
	if found := r.judge(t); len(found) > 0 {
		t.Fatalf("the record has violations before any is planted: %v", found)
	}
	for _, p := range plants() {
		t.Run(strings.ReplaceAll(p.name, " ", "-"), func(t *testing.T) {
			planted := r.clone()
			p.plant(t, planted)
			found := planted.judge(t)
			if !slices.ContainsFunc(found, func(v invariant.Violation) bool { return v.Invariant == p.want }) {
				t.Errorf("%s is not found; found are %v", p.want, found)
			}
		})
	}
}

// recorded is a record to plant violations in, of one process.
type recorded struct {
	*witness.Record
	witness.Process
	// drained and beside were drained, and idle never; drained is released, too.
	drained, beside, idle string
}

// recorded lets drainer drain two nodes, one of which is paused in the meantime and
// released afterwards, and returns what was seen of it.
func (e *env) recorded() *recorded {
	e.Helper()
	node, beside, idle := e.nodes[0], e.nodes[1], e.nodes[2]
	e.create(workload.DaemonSet(e.spec("agent", 0)), workload.Deployment(on(e.spec("idle", 1), idle)))
	e.twoOfTen(node)
	e.awaitReady("idle", 1)
	e.awaitReady("agent", len(e.nodes))
	drainer := e.start()
	e.request(node, "planted")
	e.awaitLeaving(node, "web", 10, 2)
	e.annotate(node, api.PausedAnnotation, "true")
	e.awaitPhase(node, api.Paused)
	e.editBudget("web", "10")
	e.annotate(node, api.PausedAnnotation, "")
	e.request(beside, "planted")
	e.awaitDrained(node, "planted")
	e.awaitDrained(beside, "planted")
	e.cancel(node)
	e.awaitReleased(node)
	e.awaitReady("web", 10)
	if status, _ := drainer.terminate(); status != 0 {
		e.Fatalf("drainer exited with %d", status)
	}
	processes := e.witnessed()
	return &recorded{Record: e.record(processes), Process: processes[0], drained: node, beside: beside, idle: idle}
}

func (r *recorded) clone() *recorded {
	c := *r
	c.Record = &witness.Record{Changes: slices.Clone(r.Changes), Requests: slices.Clone(r.Requests)}
	c.Counted = map[string]int{}
	for code, n := range r.Counted {
		c.Counted[code] = n
	}
	return &c
}

func (r *recorded) judge(t *testing.T) []invariant.Violation {
	t.Helper()
	verdict, err := r.Judge([]witness.Process{r.Process})
	if err != nil {
		t.Fatal(err)
	}
	return verdict.Violations
}

// request is the first request of drainer that is so.
func (r *recorded) request(t *testing.T, what string, is func(*cluster.AuditEvent) bool) *cluster.AuditEvent {
	t.Helper()
	for i := range r.Requests {
		if q := &r.Requests[i]; q.Credential() == r.Process.Credential && is(q) {
			return q
		}
	}
	t.Fatalf("drainer never sent %s", what)
	return nil
}

// admitted is the first eviction of a pod of the app that was admitted after a
// time.
func (r *recorded) admitted(t *testing.T, app string, after time.Time) *cluster.AuditEvent {
	t.Helper()
	return r.request(t, "an eviction of "+app, func(q *cluster.AuditEvent) bool {
		return q.Eviction() && strings.HasPrefix(q.ObjectRef.Name, app) && q.ResponseStatus.Code == 201 && q.Received.After(after)
	})
}

// wrote is drainer's first write by which the node became so.
func (r *recorded) wrote(t *testing.T, node, what string, is func(*corev1.Node) bool) *cluster.AuditEvent {
	t.Helper()
	return r.request(t, what, func(q *cluster.AuditEvent) bool {
		var n corev1.Node
		return q.ObjectRef.Resource == "nodes" && q.ObjectRef.Name == node && json.Unmarshal(q.ResponseObject, &n) == nil && is(&n)
	})
}

func (r *recorded) paused(t *testing.T) time.Time {
	t.Helper()
	return r.wrote(t, r.drained, "Paused", func(n *corev1.Node) bool {
		return strings.Contains(n.Annotations[api.StatusAnnotation], `"phase":"Paused"`)
	}).Done
}

func (r *recorded) released(t *testing.T) *cluster.AuditEvent {
	t.Helper()
	drained := r.wrote(t, r.drained, "Drained", func(n *corev1.Node) bool { return n.Annotations[api.DrainedAnnotation] != "" }).Done
	return r.wrote(t, r.drained, "the release", func(n *corev1.Node) bool {
		at := r.seen(t, n)
		return at.After(drained) && n.Annotations[api.StatusAnnotation] == ""
	})
}

// seen is when a node was seen as it is.
func (r *recorded) seen(t *testing.T, n *corev1.Node) time.Time {
	t.Helper()
	for _, c := range r.Changes {
		if c.Object.GetResourceVersion() == n.ResourceVersion && c.Object.GetName() == n.Name {
			return c.Seen
		}
	}
	return time.Time{}
}

// pod is the first version of a pod of the app that is ready on the node and was
// seen after a time.
func (r *recorded) pod(t *testing.T, app, node string, after time.Time) (*corev1.Pod, time.Time) {
	t.Helper()
	for _, c := range r.Changes {
		if p, is := c.Object.(*corev1.Pod); is && strings.HasPrefix(p.Name, app) && p.Spec.NodeName == node && podReady(p) && c.Seen.After(after) {
			return p, c.Seen
		}
	}
	t.Fatalf("no pod of %s was ready on %s", app, node)
	return nil, time.Time{}
}

// send plants an eviction of a pod that is refused.
func (r *recorded) send(t *testing.T, pod *corev1.Pod, at time.Time) {
	t.Helper()
	q := *r.admitted(t, "", time.Time{})
	body, err := json.Marshal(policyv1.Eviction{DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}})
	if err != nil {
		t.Fatal(err)
	}
	q.ObjectRef.Namespace, q.ObjectRef.Name, q.RequestObject = pod.Namespace, pod.Name, body
	q.Received, q.Done, q.ResponseStatus.Code = at, at.Add(time.Millisecond), 429
	r.Requests = append(r.Requests, q)
	r.Counted["429"]++
}

// alter replaces the versions of objects for which edit returns another one.
func alter[T witness.Object](r *recorded, edit func(T) T) {
	for i, c := range r.Changes {
		if o, is := c.Object.(T); is {
			r.Changes[i].Object = edit(o.DeepCopyObject().(T))
		}
	}
}
