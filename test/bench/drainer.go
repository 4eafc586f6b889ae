package main

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/daemon"
)

// noLimits are flags under which no limit of drainer's own binds.
var noLimits = []string{
	"--max-draining=100%", "--eviction-qps=0", fmt.Sprintf("--eviction-workers=%d", 2*concurrency), // The pods of one controller get half of them.
	"--kube-api-qps=1000", "--kube-api-burst=1000",
}

// patience is for what is waited for and not measured.
var patience = await.Waiter{Progress: os.Stderr}

// requestID is the ID of every request.
const requestID = "bench"

// concurrency is how many evictions are under way at once, for everybody.
const concurrency = 50

// startDrainer starts drainer as an account of the namespace and returns once
// it leads and its caches are filled, and who it is to the API server.
func (s *stage) startDrainer(ctx context.Context, namespace string, flags ...string) (p *daemon.Process, user string, err error) {
	s.started++
	account := types.NamespacedName{Namespace: namespace, Name: "drainer"}
	p, err = s.Run(ctx, account, fmt.Sprintf("%s-%d", namespace, s.started), nil, append([]string{"--pprof-bind-address=127.0.0.1:0"}, flags...)...)
	if err != nil {
		return nil, "", err
	}
	err = patience.Until(ctx, "drainer is ready and leads", await.True(func() bool { return p.Ready(ctx) && p.Leads(ctx) }))
	if err != nil {
		p.Kill()
		return nil, "", err
	}
	return p, "system:serviceaccount:" + namespace + ":drainer", nil
}

// usageOf is what the process has used so far.
func usageOf(ctx context.Context, p *daemon.Process) (Usage, error) {
	m, err := p.Metrics(ctx)
	if err != nil {
		return Usage{}, err
	}
	u := Usage{RSS: m.Sum("process_resident_memory_bytes"), CPU: m.Sum("process_cpu_seconds_total")}
	u.Plans, u.PlanMean, u.PlanP99 = m.Histogram("drainer_plan_duration_seconds", .99)
	_, u.Answer, _ = m.Histogram("drainer_eviction_request_duration_seconds", .99)
	_, u.Termination, _ = m.Histogram("drainer_pod_termination_duration_seconds", .99)
	return u, nil
}

// request annotates a node; without an ID it takes the request back.
func (s *stage) request(ctx context.Context, node, id string) error {
	value := "null"
	if id != "" {
		value = fmt.Sprintf("%q", id)
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, api.DrainAnnotation, value)
	if _, err := s.Client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("annotating node %s: %w", node, err)
	}
	return nil
}
