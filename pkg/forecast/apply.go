package forecast

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// How the API server handles the daemon's writes to a node: the part of
// server-side apply that records who wants the node cordoned.

const (
	cordonFields = `{"f:spec":{"f:unschedulable":{}}}`
	statusFields = `{"f:status":{"f:conditions":{}}}`
	// firstManager is the manager that the API server records for fields that
	// existed before the first apply.
	firstManager = "before-first-apply"
)

// applyCordon applies spec.unschedulable for the daemon.
func applyCordon(node *corev1.Node) {
	if node.Spec.Unschedulable && !cordonOwned(node) {
		setManager(node, firstManager, metav1.ManagedFieldsOperationUpdate, "", cordonFields)
	}
	node.Spec.Unschedulable = true
	setManager(node, api.CordonFieldManager, metav1.ManagedFieldsOperationApply, "", cordonFields)
}

// removeCordon removes the daemon's field. The node stays unschedulable if
// somebody else also owns the field.
func removeCordon(node *corev1.Node) {
	removeManagers(node, func(e *metav1.ManagedFieldsEntry) bool {
		return e.Manager == api.CordonFieldManager && e.Operation == metav1.ManagedFieldsOperationApply
	})
	node.Spec.Unschedulable = node.Spec.Unschedulable && cordonOwned(node)
}

// cordonBy is an update of spec.unschedulable by somebody else. An update that
// changes nothing is not recorded.
func cordonBy(node *corev1.Node, manager string, unschedulable bool) {
	if node.Spec.Unschedulable == unschedulable {
		return
	}
	node.Spec.Unschedulable = unschedulable
	removeManagers(node, ownsCordon)
	if unschedulable {
		setManager(node, manager, metav1.ManagedFieldsOperationUpdate, "", cordonFields)
	}
}

func ownsCordon(e *metav1.ManagedFieldsEntry) bool {
	return e.Subresource == "" && e.FieldsV1 != nil && strings.Contains(e.FieldsV1.GetRawString(), `"f:unschedulable"`)
}

func cordonOwned(node *corev1.Node) bool {
	return slices.ContainsFunc(node.ManagedFields, func(e metav1.ManagedFieldsEntry) bool { return ownsCordon(&e) })
}

// removeManagers removes entries. If a manager owns more than the cordon, that
// is lost, too: nothing needs it.
func removeManagers(node *corev1.Node, which func(*metav1.ManagedFieldsEntry) bool) {
	node.ManagedFields = slices.DeleteFunc(node.ManagedFields, func(e metav1.ManagedFieldsEntry) bool { return which(&e) })
}

func setManager(node *corev1.Node, manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) {
	removeManagers(node, func(e *metav1.ManagedFieldsEntry) bool {
		return e.Manager == manager && e.Operation == operation && e.Subresource == subresource
	})
	node.ManagedFields = append(node.ManagedFields, metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, Subresource: subresource, APIVersion: "v1", FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(fields),
	})
}

// applyReport writes conditions and annotations.
func applyReport(node *corev1.Node, r *plan.Report, planned *plan.Node, now time.Time) {
	node.Annotations = maps.Clone(node.Annotations)
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	node.Annotations[api.StatusAnnotation] = r.Status.Format()
	delete(node.Annotations, api.DrainedAnnotation)
	if r.Drained == corev1.ConditionTrue {
		node.Annotations[api.DrainedAnnotation] = r.Status.Request
	}
	setCondition(node, corev1.NodeDrainInProgress, r.InProgress, planned.InProgress, r, now)
	setCondition(node, corev1.NodeDrained, r.Drained, planned.Drained, r, now)
	setManager(node, api.StatusFieldManager, metav1.ManagedFieldsOperationApply, "status", statusFields)
}

func setCondition(node *corev1.Node, kind corev1.NodeConditionType, status corev1.ConditionStatus, was plan.Condition, r *plan.Report, now time.Time) {
	transition := was.Transition
	if was.Status != status || transition.IsZero() {
		transition = now
	}
	removeCondition(node, kind)
	node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{
		Type: kind, Status: status, Reason: string(r.Status.Phase), Message: r.Message,
		LastHeartbeatTime: metav1.NewTime(now), LastTransitionTime: metav1.NewTime(transition),
	})
}

func removeCondition(node *corev1.Node, kind corev1.NodeConditionType) {
	node.Status.Conditions = slices.DeleteFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == kind })
}

// removeReport removes the conditions and annotations that applyReport writes.
func removeReport(node *corev1.Node) {
	delete(node.Annotations, api.StatusAnnotation)
	delete(node.Annotations, api.DrainedAnnotation)
	removeCondition(node, corev1.NodeDrainInProgress)
	removeCondition(node, corev1.NodeDrained)
	removeManagers(node, func(e *metav1.ManagedFieldsEntry) bool {
		return e.Manager == api.StatusFieldManager && e.Subresource == "status"
	})
}

func setQueuedTaint(node *corev1.Node, wanted bool) {
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, plan.OwnTaint)
	if wanted {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: api.QueuedTaint, Effect: corev1.TaintEffectPreferNoSchedule})
	}
}

// sameNode is true if a write changed nothing.
func sameNode(a, b *corev1.Node) bool { return equality.Semantic.DeepEqual(a, b) }
