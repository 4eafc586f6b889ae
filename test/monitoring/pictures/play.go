package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/monitoring/stage"
)

// The cluster that is drained: workers with web shops under budgets.
const (
	namespace = "shop"
	workers   = 14
)

func worker(i int) string { return fmt.Sprintf("worker-%02d", i) }

var flags = []string{"--stuck-after=20s", "--settle=2s", "--max-draining=6", "--max-unavailable=100%"}

// play drains the workers in waves, while Prometheus looks: some go well, some
// wait for slow budgets, some are stuck, and the leader dies once.
func play(ctx context.Context, s *stage.Stage, dir string) (*stage.Prometheus, time.Time, error) {
	if err := createWorkers(ctx, s); err != nil {
		return nil, time.Time{}, err
	}
	for _, name := range []string{"drainer-6f5d-abcde", "drainer-6f5d-vwxyz"} {
		if err := s.Replicate(ctx, name, flags...); err != nil {
			return nil, time.Time{}, err
		}
	}
	p, err := stage.StartPrometheus(ctx, dir, step, "groups: []\n", []stage.Job{{Name: "drainer", Targets: s.Targets()}})
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := s.AwaitScene(ctx); err != nil {
		return p, time.Time{}, err
	}
	begun := time.Now()
	return p, begun, acts(ctx, s, begun)
}

// acts are played at their times: pictures are of how things look over time.
func acts(ctx context.Context, s *stage.Stage, begun time.Time) error {
	for _, act := range []struct {
		at   time.Duration
		what string
		do   func() error
	}{
		{20 * time.Second, "a wave of four", func() error { return request(ctx, s, 1, 4) }},
		{100 * time.Second, "the leader dies", func() error { s.Replicas[s.Leader(ctx)].Kill(); return nil }},
		{140 * time.Second, "a wave of eight, more than may be drained at once", func() error { return request(ctx, s, 5, 12) }},
		{270 * time.Second, "a budget is fixed", func() error { return fix(ctx, s) }},
		{330 * time.Second, "the end", func() error { return nil }},
	} {
		timer := time.NewTimer(time.Until(begun.Add(act.at)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		fmt.Fprintf(os.Stderr, "%5.0fs %s\n", time.Since(begun).Seconds(), act.what)
		if err := act.do(); err != nil {
			return fmt.Errorf("%s: %w", act.what, err)
		}
	}
	return nil
}

// request asks for the drains of the workers from first to last.
func request(ctx context.Context, s *stage.Stage, first, last int) error {
	for i := first; i <= last; i++ {
		if err := s.Annotate(ctx, worker(i), map[string]string{api.DrainAnnotation: "CHG-1234"}); err != nil {
			return err
		}
	}
	return nil
}

// fix gives the ledger's budget the room that it never had.
func fix(ctx context.Context, s *stage.Stage) error {
	budgets := s.Client.PolicyV1().PodDisruptionBudgets(namespace)
	if err := budgets.Delete(ctx, "ledger", metav1.DeleteOptions{}); err != nil {
		return err
	}
	_, err := budgets.Create(ctx, workload.MaxUnavailable(namespace, "ledger", "ledger", "1"), metav1.CreateOptions{})
	return err
}

func createWorkers(ctx context.Context, s *stage.Stage) error {
	for i := 1; i <= workers; i++ {
		if err := workload.Create(ctx, s.Client, workload.Node(worker(i), nil)); err != nil {
			return err
		}
	}
	spec := func(name string, replicas int, start, stop time.Duration) workload.Spec {
		return workload.Spec{Namespace: namespace, Name: name, Replicas: replicas, Start: start, Stop: stop}
	}
	on := func(s workload.Spec, node string) workload.Spec {
		s.NodeSelector = map[string]string{corev1.LabelHostname: node}
		return s
	}
	both := func(s workload.Spec, most string) []runtime.Object {
		return []runtime.Object{workload.Deployment(s), workload.MaxUnavailable(namespace, s.Name, s.Name, most)}
	}
	var objects []runtime.Object
	objects = append(objects, both(spec("web", 90, 2*time.Second, 3*time.Second), "10%")...)
	objects = append(objects, both(spec("checkout", 28, 6*time.Second, 4*time.Second), "1")...)
	objects = append(objects, both(spec("search", 24, 9*time.Second, 6*time.Second), "2")...)
	objects = append(objects, both(on(spec("ledger", 3, 2*time.Second, 2*time.Second), worker(6)), "0")...)
	objects = append(objects,
		workload.Deployment(on(spec("report", 1, time.Second, 2*time.Second), worker(7))),
		budget("report-a"), budget("report-b"),
		workload.Pod(on(spec("debug-shell", 1, time.Second, time.Second), worker(8)), worker(8)),
		finalized(workload.Pod(on(spec("import", 1, time.Second, time.Second), worker(9)), worker(9))),
	)
	return workload.Create(ctx, s.Client, objects...)
}

// budget is one of two over the same pods, which the Eviction API refuses.
func budget(name string) *policyv1.PodDisruptionBudget {
	return workload.MinAvailable(namespace, name, "report", "0")
}

// finalized is a pod that does not end; its controller is made up.
func finalized(p *corev1.Pod) *corev1.Pod {
	yes := true
	p.Finalizers = []string{"example.com/keep"}
	p.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "example.com/v1", Kind: "Import", Name: "import", UID: "8f1b5a54-0000-4000-8000-000000000002", Controller: &yes,
	}}
	return p
}
