package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/api"
)

// NodeOf makes a plan's Node of the API's. It is served unless the caller
// decides otherwise.
func NodeOf(node *corev1.Node) *Node {
	n := &Node{
		Served: true,
		Name:   node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion,
		Created: node.CreationTimestamp.Time, Deleting: node.DeletionTimestamp != nil,
		ProviderID:    node.Spec.ProviderID,
		Labels:        node.Labels,
		Annotations:   ours(node.Annotations),
		Unschedulable: node.Spec.Unschedulable,
		OwnCordon:     owns(node.ManagedFields, api.CordonFieldManager, "", "f:spec", "f:unschedulable"),
		OwnStatus:     owns(node.ManagedFields, api.StatusFieldManager, "status"),
	}
	for _, taint := range node.Spec.Taints {
		if slices.Contains(removalTaints, taint.Key) {
			n.RemovalTaint = taint.Key
		}
		switch {
		case OwnTaint(taint):
			n.QueuedTaint = true
		case taint.Key == corev1.TaintNodeUnschedulable, taint.Effect == corev1.TaintEffectPreferNoSchedule:
		default:
			n.Repelling = true
			n.Taints = append(n.Taints, corev1.Taint{Key: taint.Key, Value: taint.Value, Effect: taint.Effect})
		}
	}
	for _, c := range node.Status.Conditions {
		switch c.Type {
		case corev1.NodeReady:
			n.Ready, n.Unreachable = c.Status == corev1.ConditionTrue, c.Status == corev1.ConditionUnknown
			n.ReadySince = c.LastTransitionTime.Time
		case corev1.NodeDrainInProgress:
			n.InProgress = Condition{Status: c.Status, Transition: c.LastTransitionTime.Time}
		case corev1.NodeDrained:
			n.Drained = Condition{Status: c.Status, Transition: c.LastTransitionTime.Time}
		}
	}
	return n
}

// removalTaints are the keys of the taints by which cluster-autoscaler and
// Karpenter, from v1 on and before, say that they remove a node.
var removalTaints = []string{"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption"}

// OwnTaint is true for the taint of a queued node. One of its key with another
// effect is somebody else's.
func OwnTaint(t corev1.Taint) bool {
	return t.Key == api.QueuedTaint && t.Effect == corev1.TaintEffectPreferNoSchedule
}

// ours keeps the annotations of the protocol, and those that hold the node.
func ours(annotations map[string]string) map[string]string {
	var kept map[string]string
	for key, value := range annotations {
		if api.IsOurs(key) {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[key] = value
		}
	}
	return kept
}

// owns is true if the manager has applied something through the subresource,
// and, if a path is given, that field.
func owns(entries []metav1.ManagedFieldsEntry, manager, subresource string, path ...string) bool {
	for _, e := range entries {
		if e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == subresource &&
			e.FieldsV1 != nil {
			return holds(e.FieldsV1.GetRawBytes(), path)
		}
	}
	return false
}

func holds(raw []byte, path []string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || len(fields) == 0 {
		return false
	}
	if len(path) == 0 {
		return true
	}
	below, ok := fields[path[0]]
	return ok && (len(path) == 1 || holds(below, path[1:]))
}

// PodOf makes a plan's Pod of the API's, to which no rule of the configuration
// applies.
func PodOf(pod *corev1.Pod) *Pod {
	p := &Pod{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Node: pod.Spec.NodeName,
		Labels: LabelsOf(pod.Labels), Phase: pod.Status.Phase, Finalizers: strings.Join(pod.Finalizers, ", "), Created: pod.CreationTimestamp.Unix(),
	}
	p.OwnGrace = corev1.DefaultTerminationGracePeriodSeconds * time.Second
	if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
		p.OwnGrace = time.Duration(*seconds) * time.Second
	}
	_, p.Static = pod.Annotations[corev1.MirrorPodAnnotationKey]
	if owner := metav1.GetControllerOf(pod); owner != nil {
		p.Controller = Owner{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID}
	}
	if pod.DeletionTimestamp != nil {
		p.Deadline = pod.DeletionTimestamp.Time
		if pod.DeletionGracePeriodSeconds != nil {
			p.Grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			p.Ready = c.Status == corev1.ConditionTrue
		}
	}
	for i := range pod.Spec.Volumes {
		p.EmptyDir = p.EmptyDir || pod.Spec.Volumes[i].EmptyDir != nil
	}
	p.Stopped = p.Finished() || stopped(pod.Status.ContainerStatuses)
	for key := range pod.Annotations {
		if strings.HasPrefix(key, api.Prefix) {
			p.Instructions = append(p.Instructions, key)
		}
	}
	slices.Sort(p.Instructions)
	p.Departure = departureOf(&pod.Spec)
	p.Placement = placementOf(pod, p)
	return p
}

func stopped(containers []corev1.ContainerStatus) bool {
	for i := range containers {
		if containers[i].State.Terminated == nil {
			return false
		}
	}
	return len(containers) > 0
}

// BudgetOf makes a plan's Budget of the API's. It fails for a selector that
// cannot be read; the API server takes such a budget as matching nothing.
func BudgetOf(pdb *policyv1.PodDisruptionBudget) (*Budget, error) {
	selector, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("reading the selector of PodDisruptionBudget %s/%s: %w", pdb.Namespace, pdb.Name, err)
	}
	b := &Budget{
		Namespace: pdb.Namespace, Name: pdb.Name, UID: pdb.UID, ResourceVersion: pdb.ResourceVersion,
		Selector:   selector,
		ZeroBySpec: is(pdb.Spec.MaxUnavailable, "0%", 0) || is(pdb.Spec.MinAvailable, "100%", -1),
		Observed:   pdb.Status.ObservedGeneration >= pdb.Generation,
		Allowed:    pdb.Status.DisruptionsAllowed, CurrentHealthy: pdb.Status.CurrentHealthy,
		DesiredHealthy: pdb.Status.DesiredHealthy, ExpectedPods: pdb.Status.ExpectedPods,
	}
	if owner := metav1.GetControllerOfNoCopy(pdb); owner != nil {
		b.Controller = owner.Kind + " " + owner.Name
	}
	if p := pdb.Spec.UnhealthyPodEvictionPolicy; p != nil {
		b.AlwaysAllow = *p == policyv1.AlwaysAllow
	}
	for _, c := range pdb.Status.Conditions {
		if c.Type == policyv1.DisruptionAllowedCondition && c.Status == metav1.ConditionFalse && c.Reason == policyv1.SyncFailedReason {
			b.SyncFailed = c.Message
		}
	}
	for name := range pdb.Status.DisruptedPods {
		if b.Disrupted == nil {
			b.Disrupted = map[string]bool{}
		}
		b.Disrupted[name] = true
	}
	return b, nil
}

// is compares a number or percentage with both its forms.
func is(value *intstr.IntOrString, percent string, number int) bool {
	if value == nil {
		return false
	}
	if value.Type == intstr.String {
		return value.StrVal == percent
	}
	return value.IntValue() == number
}
