package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// The verdicts on a pod.
const (
	// leaves: the API server would admit its eviction now.
	leaves = "leaves"
	// waits: it would not be admitted now, and waiting may help.
	waits = "waits"
	// blocked: drainer does not evict it, or nobody may, until something is changed.
	blocked = "blocked"
	// stays: it stays on a drained node.
	stays = "stays"
	// going: it is terminating already.
	going = "terminating"
	// unknown: nobody said.
	unknown = "unknown"
)

// verdict is what would happen to a pod, taken alone.
type verdict struct {
	Node    string `json:"node"`
	Pod     string `json:"pod"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	// Message says why, for people.
	Message string `json:"message,omitempty"`
}

// bad is true if the pod would keep its node from being drained.
func (v *verdict) bad() bool { return v.Verdict == blocked }

// judgePod asks drainer's own rules, and then the API server, what would happen to
// a pod. Without judge only the rules are asked.
func judgePod(ctx context.Context, object *corev1.Pod, around plan.Surroundings, config *plan.Config, judge JudgeFunc, now time.Time) verdict {
	pod := config.Rules.PodOf(object)
	v := judgedPod(ctx, pod, around, config, judge, now)
	if text := pod.Departure.String(); text != "" && v.Verdict != stays {
		v.Message = strings.TrimPrefix(v.Message+"; "+text, "; ")
	}
	return v
}

// judgedPod is judgePod without what the pod's spec says about how it leaves.
func judgedPod(ctx context.Context, pod *plan.Pod, around plan.Surroundings, config *plan.Config, judge JudgeFunc, now time.Time) verdict {
	v := verdict{Node: pod.Node, Pod: pod.Key(), Verdict: leaves}
	j := plan.NewJudgement([]*plan.Pod{pod}, around, config, now)
	switch {
	case len(j.Ask) == 0:
		return v.byRule(pod, j.Done(now))
	case !pod.Deadline.IsZero():
		v.Verdict = going
		return v
	case judge == nil:
		v.Message = "the API server was not asked"
		return v
	}
	outcome := plan.OutcomeOf(judge(ctx, pod, nil))
	v.Reason, v.Message = string(outcome.Reason), outcome.Message
	switch outcome.Reason {
	case plan.Admitted, plan.Gone:
		v.Reason, v.Message = "", ""
	case plan.BudgetExhausted, plan.BudgetUnsynced, plan.Contention, plan.NamespaceTerminating, plan.Evacuating:
		v.Verdict = waits
	case plan.Unknown, plan.ServerError, plan.Throttled:
		v.Verdict = unknown
	case plan.Forbidden:
		v.Verdict, v.Message = unknown, "you may not evict pods there, so the API server says nothing: "+outcome.Message
	default:
		v.Verdict = blocked
	}
	return v
}

// byRule is the verdict of drainer's own rules.
func (v verdict) byRule(pod *plan.Pod, run plan.DryRun) verdict {
	if len(run.Kept) > 0 {
		v.Verdict, v.Reason = blocked, run.Kept[0].Reason
		if plan.Reason(v.Reason) == plan.Completion {
			v.Verdict = waits
		}
		v.Message = strings.TrimPrefix(run.Kept[0].Message, "held: ")
		return v
	}
	v.Verdict = stays
	switch {
	case pod.Static:
		v.Message = "a static pod: the kubelet runs it"
	case pod.OfDaemonSet():
		v.Message = fmt.Sprintf("DaemonSet %s would create it again", pod.Controller.Name)
	default:
		v.Message = "drainer's configuration says so"
	}
	return v
}

// budgetsOf are budgets as rules look at them. One whose selector cannot be read
// selects nothing.
func budgetsOf(list []policyv1.PodDisruptionBudget) map[string]plan.NamespaceBudgets {
	all := map[string]plan.NamespaceBudgets{}
	for i := range list {
		b, err := plan.BudgetOf(&list[i])
		if err != nil {
			continue
		}
		in := all[b.Namespace]
		in.Epoch, in.List = 1, append(in.List, plan.BudgetView{Budget: b, Free: int(b.Allowed)})
		all[b.Namespace] = in
	}
	return all
}

// scalesOf are the scales of the controllers that are listed.
func scalesOf(o *simulate.Objects) map[types.UID]plan.ScaleMemory {
	all := map[types.UID]plan.ScaleMemory{}
	add := func(uid types.UID, replicas *int32) {
		scale := plan.Scale{Replicas: 1}
		if replicas != nil {
			scale.Replicas = *replicas
		}
		all[uid] = plan.ScaleMemory{Scale: &scale}
	}
	for i := range o.ReplicaSets {
		add(o.ReplicaSets[i].UID, o.ReplicaSets[i].Spec.Replicas)
	}
	for i := range o.StatefulSets {
		add(o.StatefulSets[i].UID, o.StatefulSets[i].Spec.Replicas)
	}
	return all
}

var verdictColumns = []column{{"NODE", 0}, {"POD", 0}, {"VERDICT", 0}, {"WHY", 0}}

func verdictTable(list []verdict, width int) []string {
	cells := make([][]string, len(list))
	for i := range list {
		v := &list[i]
		cells[i] = []string{v.Node, v.Pod, v.Verdict, dash(v.Message)}
	}
	return table(verdictColumns, cells, width)
}
