package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
	"drainer.dev/drainer/test/witness"
)

// plant is a violation to plant in a record.
type plant struct {
	name  string
	want  invariant.ID
	plant func(*testing.T, *recorded)
}

func plants() []plant {
	const later = 50 * time.Millisecond
	return []plant{
		{"a pod that stays is evicted", invariant.OnlyTargets, func(t *testing.T, r *recorded) {
			pod, _ := r.pod(t, "agent", r.drained, time.Time{})
			r.send(t, pod, r.admitted(t, "web", time.Time{}).Received)
		}},
		{"a node without a request is drained", invariant.OnlyTargets, func(t *testing.T, r *recorded) {
			pod, _ := r.pod(t, "idle", r.idle, time.Time{})
			r.send(t, pod, r.admitted(t, "web", time.Time{}).Received)
		}},
		{"a pod is evicted after Paused", invariant.Stops, func(t *testing.T, r *recorded) {
			paused := r.paused(t)
			r.admitted(t, "web", paused).Received = paused.Add(time.Microsecond)
		}},
		{"a pod is evicted after the release", invariant.Stops, func(t *testing.T, r *recorded) {
			pod, seen := r.pod(t, "web", r.drained, r.released(t).Done)
			r.send(t, pod, seen.Add(later))
		}},
		{"a budget demands more", invariant.KeepsBudgets, func(_ *testing.T, r *recorded) {
			alter(r, func(b *policyv1.PodDisruptionBudget) *policyv1.PodDisruptionBudget {
				b.Status.DesiredHealthy += 5
				return b
			})
		}},
		{"a pod is admitted twice", invariant.AdmittedOnce, func(t *testing.T, r *recorded) {
			again := *r.admitted(t, "web", time.Time{})
			again.Received, again.Done = again.Done.Add(later), again.Done.Add(2*later)
			r.Requests = append(r.Requests, again)
			r.Counted["201"]++
		}},
		{"a pod stays on a drained node", invariant.DrainedIsEmpty, func(t *testing.T, r *recorded) {
			pod, _ := r.pod(t, "web", r.drained, time.Time{})
			r.Changes = slices.DeleteFunc(r.Changes, func(c witness.Change) bool {
				return c.Object.GetUID() == pod.UID && (c.Deleted || c.Object.GetDeletionTimestamp() != nil)
			})
		}},
		{"another's cordon is removed", invariant.OwnCordonOnly, func(_ *testing.T, r *recorded) {
			alter(r, func(n *corev1.Node) *corev1.Node {
				if n.Spec.Unschedulable {
					n.ManagedFields = append(n.ManagedFields, metav1.ManagedFieldsEntry{
						Manager: "kubectl-cordon", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:unschedulable":{}}}`),
					})
				}
				return n
			})
		}},
		{"drainer's own cordon stays", invariant.OwnCordonOnly, func(_ *testing.T, r *recorded) {
			alter(r, func(n *corev1.Node) *corev1.Node {
				if strings.HasSuffix(n.Name, "-00") && n.Annotations[api.DrainAnnotation] == "" {
					n.ManagedFields = append(n.ManagedFields, metav1.ManagedFieldsEntry{
						Manager: api.CordonFieldManager, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:unschedulable":{}}}`),
					})
				}
				return n
			})
		}},
		{"an answer is not counted", invariant.CountsAnswers, func(_ *testing.T, r *recorded) { r.Counted["201"]-- }},
		{"an answer is counted twice", invariant.CountsAnswers, func(_ *testing.T, r *recorded) { r.Counted["201"]++ }},
		{"too many nodes are drained at once", invariant.KeepsLimits, func(_ *testing.T, r *recorded) {
			r.Rules.MaxDraining = func(int) int { return 1 }
		}},
		{"too many nodes are unavailable at once", invariant.KeepsLimits, func(_ *testing.T, r *recorded) {
			// Nodes that were made within its patience are not judged.
			r.Rules.MaxUnavailable, r.Rules.Patience = func(int) int { return 1 }, time.Second
		}},
	}
}
