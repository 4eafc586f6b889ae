package monitoring

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/metrics"
	"drainer.dev/drainer/pkg/plan"
)

// crowdOf are plans for nodes that are being drained, nine of ten with pods that
// are stuck. Which of them have the most pods to go is another matter each second.
func crowdOf(nodes int, now time.Time) map[types.UID]plan.NodePlan {
	plans := map[types.UID]plan.NodePlan{}
	reasons := plan.BlockedReasons()
	for i := range nodes {
		name := fmt.Sprintf("%s-%03d", crowdJob, i)
		n := plan.NodePlan{
			Node: &plan.Node{Name: name, PoolValue: fmt.Sprintf("pool-%d", i%7)}, Phase: api.Blocked, Watch: true,
			Memory: plan.NodeMemory{
				// Returns that raise no alert.
				Request: "r", StartedAt: now.Add(-time.Duration(i) * time.Minute),
				Returns: map[types.UID]plan.Return{"controller": {Count: (i + now.Second()) % 6}},
			},
			Facts: plan.Report{Status: api.Status{
				Pods:    api.PodCounts{Blocked: 20, Eligible: (i + 20*now.Second()) % nodes, Terminating: 2, Gone: 1 + i},
				Volumes: &api.Volumes{Attached: (i + now.Second()) % 3},
			}},
		}
		since := now
		if i%10 > 0 {
			since = since.Add(-time.Hour)
		}
		for j := range 20 {
			n.Pods = append(n.Pods, plan.PodState{
				Pod: &plan.Pod{Namespace: fmt.Sprintf("crowd-%02d", (i+j+now.Second())%40), Name: fmt.Sprintf("%s-pod-%02d", name, j)}, State: plan.Blocked,
				Reason: reasons[(i+j)%len(reasons)], Since: since,
			})
		}
		plans[types.UID(name)] = n
	}
	return plans
}

// exporter serves the metrics of a drainer with the plans.
func exporter(plans func() map[types.UID]plan.NodePlan) http.Handler {
	m := metrics.New("v", "c")
	m.Leader("drainer", true)
	queues := m.NewQueues()
	for _, name := range []string{"evictions", "tasks"} {
		queues.NewDepthMetric(name)
	}
	m.RegisterPlans(plans, 5*time.Minute, true)
	m.RegisterMarks(func() []plan.MarkState {
		if len(plans()) == 0 {
			return nil
		}
		return []plan.MarkState{{Rule: "condition/KernelDeadlock", Marked: 2, Requested: 1, Silent: 1, MaxNodes: 5}, {Rule: "taint/repair", MaxNodes: 1}}
	})
	m.RegisterControl(func() (plan.Control, bool) { return plan.Control{}, true })
	m.RegisterWatches(func() map[string]int { return map[string]int{"nodes": 0, "pods": 0} })
	return promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{})
}
