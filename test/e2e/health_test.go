package e2e

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/test/cluster/workload"
)

// TestManyNodes: 20 nodes at once under shared budgets, watched from outside.
func TestManyNodes(t *testing.T) {
	const apps, replicas, drained = 6, 30, 20
	e := setup(t, 30)
	var names []string
	for i := range apps {
		name := fmt.Sprintf("app-%d", i)
		names = append(names, name)
		e.create(workload.Deployment(e.spec(name, replicas)), workload.MaxUnavailable(e.namespace, name, name, "10%"))
	}
	for _, name := range names {
		e.awaitReady(name, replicas)
		e.awaitBudget(name, func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 3 })
	}
	guard := e.watchHealth(names, replicas-3)
	drainer := e.start()
	begun := time.Now()
	for _, node := range e.nodes[:drained] {
		e.request(node, "many")
	}
	for _, node := range e.nodes[:drained] {
		e.awaitDrained(node, "many")
	}
	makespan := time.Since(begun)
	if violations := guard(); len(violations) > 0 {
		t.Errorf("budgets were violated: %v", violations)
	}
	posts := e.awaitEvictions(int(drainer.metric("drainer_eviction_requests_total")))
	admitted := int(drainer.metric("drainer_eviction_requests_total", "code", "201"))
	if admitted != len(posts)-len(refused(posts)) {
		t.Errorf("%d admitted evictions counted, the audit log has %d", admitted, len(posts)-len(refused(posts)))
	}
	t.Logf("%d nodes drained in %.1fs with %d evictions, %d of them refused", drained, makespan.Seconds(), len(posts), len(refused(posts)))
	for _, p := range refused(posts) {
		t.Logf("%s was answered %d: %s", p.ObjectRef.Name, p.ResponseStatus.Code, p.ResponseObject)
	}
}

// watchHealth watches, with a watch of its own, that no app ever has fewer
// than least healthy pods. The function it returns ends the watch.
func (e *env) watchHealth(apps []string, least int) func() []string {
	e.Helper()
	list, err := shared.Client.CoreV1().Pods(e.namespace).List(e.Context(), metav1.ListOptions{})
	if err != nil {
		e.Fatal(err)
	}
	w, err := follow(e.Context(), list.ResourceVersion, shared.Client.CoreV1().Pods(e.namespace).Watch)
	if err != nil {
		e.Fatal(err)
	}
	healthy := map[string]map[types.UID]bool{}
	for _, app := range apps {
		healthy[app] = map[types.UID]bool{}
	}
	see := func(p *corev1.Pod, exists bool) {
		if pods := healthy[p.Labels[workload.AppLabel]]; exists && podReady(p) {
			pods[p.UID] = true
		} else {
			delete(pods, p.UID)
		}
	}
	for i := range list.Items {
		see(&list.Items[i], true)
	}
	var violations []string
	var stopped atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range w.ResultChan() {
			p, ok := event.Object.(*corev1.Pod)
			if stopped.Load() {
				return
			}
			if !ok {
				violations = append(violations, fmt.Sprintf("the watch broke: %v", event))
				return
			}
			see(p, event.Type != watch.Deleted)
			if app := p.Labels[workload.AppLabel]; len(healthy[app]) < least {
				violations = append(violations, fmt.Sprintf("%s had %d healthy pods after %s of %s", app, len(healthy[app]), event.Type, p.Name))
			}
		}
	}()
	return func() []string {
		stopped.Store(true)
		w.Stop()
		<-done
		return violations
	}
}
