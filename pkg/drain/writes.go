package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// nodeWriter makes the changes to Nodes. Each of them names the Node's UID, so
// that an apply does not create a Node again that was deleted.
type nodeWriter struct {
	nodes corev1client.NodeInterface
}

// cordon declares that we want the node to be unschedulable.
// It returns the Node's new resourceVersion.
func (w nodeWriter) cordon(ctx context.Context, n *plan.Node) (string, error) {
	want := applycorev1.Node(n.Name).WithUID(n.UID).
		WithSpec(applycorev1.NodeSpec().WithUnschedulable(true))
	written, err := w.nodes.Apply(ctx, want, applyAs(api.CordonFieldManager))
	if err != nil {
		return "", fmt.Errorf("cordoning node %s: %w", n.Name, err)
	}
	return written.ResourceVersion, nil
}

// uncordon withdraws that. The node stays unschedulable if somebody else
// wants that, too.
func (w nodeWriter) uncordon(ctx context.Context, n *plan.Node) (string, error) {
	want := applycorev1.Node(n.Name).WithUID(n.UID)
	written, err := w.nodes.Apply(ctx, want, applyAs(api.CordonFieldManager))
	if err != nil {
		return "", fmt.Errorf("releasing the cordon of node %s: %w", n.Name, err)
	}
	return written.ResourceVersion, nil
}

// report writes conditions and annotations in one request and returns the
// Node's new resourceVersion. A version other than "" makes the write fail
// with a conflict if the Node has changed since. Conditions that others own stay
// as they are: the conflict says which.
func (w nodeWriter) report(ctx context.Context, n *plan.Node, r plan.Report, version string, now time.Time) (written, conflict string, err error) {
	options := applyAs(api.StatusFieldManager)
	options.Force = false
	node, err := w.nodes.ApplyStatus(ctx, statusOf(n, r, version, now, nil), options)
	if others := ownedByOthers(err); err != nil && others.any {
		// The annotations are ours whoever has written to them.
		options.Force = true
		node, err = w.nodes.ApplyStatus(ctx, statusOf(n, r, version, now, others.conditions), options)
		conflict = others.text()
	}
	if err != nil {
		return "", "", fmt.Errorf("writing the status of node %s: %w", n.Name, err)
	}
	return node.ResourceVersion, conflict, nil
}

// statusOf is everything that the status manager wants of a Node: of conditions
// that others own, only that they exist.
func statusOf(n *plan.Node, r plan.Report, version string, now time.Time, others map[corev1.NodeConditionType]string) *applycorev1.NodeApplyConfiguration {
	annotations := map[string]string{api.StatusAnnotation: r.Status.Format()}
	if r.Drained == corev1.ConditionTrue {
		annotations[api.DrainedAnnotation] = r.Status.Request
	}
	conditions := []*applycorev1.NodeConditionApplyConfiguration{
		condition(corev1.NodeDrainInProgress, r.InProgress, n.InProgress, r, now),
		condition(corev1.NodeDrained, r.Drained, n.Drained, r, now),
	}
	for i, c := range conditions {
		if _, theirs := others[*c.Type]; theirs {
			// It stays in the list: otherwise the API server would remove a condition that
			// we created and others have changed.
			conditions[i] = applycorev1.NodeCondition().WithType(*c.Type)
		}
	}
	want := applycorev1.Node(n.Name).WithUID(n.UID).WithAnnotations(annotations).
		WithStatus(applycorev1.NodeStatus().WithConditions(conditions...))
	if version != "" {
		want = want.WithResourceVersion(version)
	}
	return want
}

func condition(kind corev1.NodeConditionType, status corev1.ConditionStatus, was plan.Condition, r plan.Report, now time.Time) *applycorev1.NodeConditionApplyConfiguration {
	transition := was.Transition
	if was.Status != status || transition.IsZero() {
		transition = now
	}
	return applycorev1.NodeCondition().WithType(kind).WithStatus(status).
		WithReason(string(r.Status.Phase)).WithMessage(r.Message).
		WithLastHeartbeatTime(metav1.NewTime(now)).WithLastTransitionTime(metav1.NewTime(transition))
}

// clear removes the conditions and annotations that are ours.
func (w nodeWriter) clear(ctx context.Context, n *plan.Node) (string, error) {
	want := applycorev1.Node(n.Name).WithUID(n.UID)
	written, err := w.nodes.ApplyStatus(ctx, want, applyAs(api.StatusFieldManager))
	if err != nil {
		return "", fmt.Errorf("clearing the status of node %s: %w", n.Name, err)
	}
	return written.ResourceVersion, nil
}

// taint adds or removes the queued taint. spec.taints is one atomic list, so
// it is read again and written under its resourceVersion: a conflict means that
// somebody else changed it, and nothing is lost.
func (w nodeWriter) taint(ctx context.Context, n *plan.Node, wanted bool) (string, error) {
	node, err := w.nodes.Get(ctx, n.Name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("reading the taints of node %s: %w", n.Name, err)
	}
	taints := slices.DeleteFunc(slices.Clone(node.Spec.Taints), plan.OwnTaint)
	if wanted {
		taints = append(taints, corev1.Taint{Key: api.QueuedTaint, Effect: corev1.TaintEffectPreferNoSchedule})
	}
	if node.UID != n.UID || slices.Equal(taints, node.Spec.Taints) {
		return "", nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": n.UID, "resourceVersion": node.ResourceVersion},
		"spec":     map[string]any{"taints": taints},
	})
	if err != nil {
		return "", fmt.Errorf("writing the taints of node %s: %w", n.Name, err)
	}
	written, err := w.nodes.Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: api.TaintFieldManager})
	if err != nil {
		return "", fmt.Errorf("tainting node %s: %w", n.Name, err)
	}
	return written.ResourceVersion, nil
}

func applyAs(manager string) metav1.ApplyOptions {
	return metav1.ApplyOptions{FieldManager: manager, Force: true}
}
