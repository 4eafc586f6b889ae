package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (r *runner) show(ctx context.Context, kind, name string) (string, error) {
	switch kind {
	case "budget":
		b, err := r.Client().PolicyV1().PodDisruptionBudgets(r.Namespace()).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		return r.plain(r.showBudget(b)), nil
	case "pods":
		return r.showPods(ctx, name)
	case "node":
		n, err := r.Client().CoreV1().Nodes().Get(ctx, r.Node(name), metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		text := "schedulable"
		if n.Spec.Unschedulable {
			text = "unschedulable"
		}
		for _, taint := range n.Spec.Taints {
			text += fmt.Sprintf(", taint %s:%s", taint.Key, taint.Effect)
		}
		return text, nil
	default:
		return "", fmt.Errorf("%q cannot be shown", kind)
	}
}

func (r *runner) showBudget(b *policyv1.PodDisruptionBudget) string {
	s := b.Status
	text := fmt.Sprintf("expected %d desired %d healthy %d allowed %d", s.ExpectedPods, s.DesiredHealthy, s.CurrentHealthy, s.DisruptionsAllowed)
	if s.ObservedGeneration != b.Generation {
		text += ", not observed"
	}
	if len(s.DisruptedPods) > 3 {
		text += fmt.Sprintf(", %d disrupted", len(s.DisruptedPods))
	} else {
		var disrupted []string
		for name := range s.DisruptedPods {
			disrupted = append(disrupted, ", disrupted "+name)
		}
		slices.Sort(disrupted)
		text += strings.Join(disrupted, "")
	}
	if c := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition); c != nil {
		text += fmt.Sprintf("\n%s %s", c.Status, c.Reason)
		if c.Message != "" {
			text += ": " + c.Message
		}
	}
	return text
}

// showPods writes down the pods of an app.
func (r *runner) showPods(ctx context.Context, app string) (string, error) {
	list, err := r.Client().CoreV1().Pods(r.Namespace()).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return "", err
	}
	lines := []string{}
	for i := range list.Items {
		pod := &list.Items[i]
		alias, known := r.aliases[string(pod.UID)]
		if !known {
			return "a pod that is new", nil // The next look knows it.
		}
		lines = append(lines, alias+" "+r.showPod(pod))
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		return "none", nil
	}
	return strings.Join(lines, "\n"), nil
}

func (r *runner) showPod(pod *corev1.Pod) string {
	text := string(pod.Status.Phase)
	conditions := map[corev1.PodConditionType]corev1.PodCondition{}
	for _, c := range pod.Status.Conditions {
		conditions[c.Type] = c
	}
	if conditions[corev1.PodReady].Status == corev1.ConditionTrue {
		text += " ready"
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		if pod.Spec.NodeName == r.Node(node) {
			text += " on " + node
		}
	}
	if c := conditions[corev1.PodScheduled]; pod.Spec.NodeName == "" && c.Status == corev1.ConditionFalse {
		text += " " + c.Reason
	}
	if pod.DeletionTimestamp != nil {
		text += fmt.Sprintf(", terminating %ds", *pod.DeletionGracePeriodSeconds)
	}
	if c := conditions[corev1.DisruptionTarget]; c.Status == corev1.ConditionTrue {
		text += ", DisruptionTarget " + c.Reason
	}
	for _, finalizer := range pod.Finalizers {
		text += ", held by " + finalizer
	}
	return text
}
