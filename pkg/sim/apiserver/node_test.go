package apiserver

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"drainer.dev/drainer/pkg/sim"
)

func cordon(n *corev1.Node) *applycorev1.NodeApplyConfiguration {
	return applycorev1.Node(n.Name).WithUID(n.UID).WithSpec(applycorev1.NodeSpec().WithUnschedulable(true))
}

func release(n *corev1.Node) *applycorev1.NodeApplyConfiguration {
	return applycorev1.Node(n.Name).WithUID(n.UID)
}

// TestApply: a field stays as long as it has an owner.
func TestApply(t *testing.T) {
	play(t, func(s *stage) {
		nodes := s.client.CoreV1().Nodes()
		apply := func(want *applycorev1.NodeApplyConfiguration) *corev1.Node {
			n, err := nodes.Apply(s.ctx, want, metav1.ApplyOptions{FieldManager: "drainer", Force: true})
			if err != nil {
				s.Fatal(err)
			}
			return n
		}
		n := s.node("n1")
		if n = apply(cordon(n)); !n.Spec.Unschedulable {
			t.Error("an applied cordon does not show")
		}
		if again := apply(cordon(n)); again.ResourceVersion != n.ResourceVersion {
			t.Error("an apply that changes nothing makes a new version")
		}
		if n = apply(release(n)); n.Spec.Unschedulable {
			t.Error("a cordon that was removed stays")
		}
		if err := s.EditNode("n2", "kubectl-cordon", func(n *corev1.Node) { n.Spec.Unschedulable = true }); err != nil {
			t.Fatal(err)
		}
		n = apply(cordon(s.node("n2")))
		if n = apply(release(n)); !n.Spec.Unschedulable {
			t.Error("a release takes somebody else's cordon away")
		}
		report := release(n).WithAnnotations(map[string]string{"drainer.dev/status": "{}"}).
			WithStatus(applycorev1.NodeStatus().WithConditions(applycorev1.NodeCondition().WithType("Drained").WithStatus("True")))
		n, err := nodes.ApplyStatus(s.ctx, report, metav1.ApplyOptions{FieldManager: "drainer-status", Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(n.Status.Conditions) != 2 || n.Annotations["drainer.dev/status"] != "{}" || !n.Spec.Unschedulable {
			t.Errorf("after a report the node is %+v", n)
		}
		n, err = nodes.ApplyStatus(s.ctx, release(n), metav1.ApplyOptions{FieldManager: "drainer-status", Force: true})
		if err != nil || len(n.Status.Conditions) != 1 || len(n.Annotations) != 0 {
			t.Errorf("after the report was removed the node is %+v, %v", n, err)
		}
	})
}

// TestApplyPreconditions: an apply names the Node that it means.
func TestApplyPreconditions(t *testing.T) {
	play(t, func(s *stage) {
		nodes := s.client.CoreV1().Nodes()
		options := metav1.ApplyOptions{FieldManager: "drainer", Force: true}
		n := s.node("n1")
		if err := s.EditNode("n1", "someone", func(n *corev1.Node) { n.Labels = map[string]string{"a": "b"} }); err != nil {
			t.Fatal(err)
		}
		if _, err := nodes.Apply(s.ctx, cordon(n).WithResourceVersion(n.ResourceVersion), options); !apierrors.IsConflict(err) {
			t.Errorf("an apply of an old version is answered %v", err)
		}
		s.Do(func(c *sim.Cluster) { c.Delete(sim.Nodes, sim.Key{Name: "n1"}) })
		if _, err := nodes.Apply(s.ctx, cordon(n), options); !apierrors.IsConflict(err) {
			t.Errorf("an apply to a node that is gone is answered %v", err)
		}
		if _, err := nodes.ApplyStatus(s.ctx, release(n), options); !apierrors.IsNotFound(err) {
			t.Errorf("an apply to the status of a node that is gone is answered %v", err)
		}
		s.Do(func(c *sim.Cluster) { c.AddNode("n1", nil) })
		if _, err := nodes.Apply(s.ctx, cordon(n), options); !apierrors.IsConflict(err) {
			t.Errorf("an apply to a node that was made again is answered %v", err)
		}
		ghost := applycorev1.Node("ghost").WithSpec(applycorev1.NodeSpec().WithUnschedulable(true))
		if n, err := nodes.Apply(s.ctx, ghost, options); err != nil || !n.Spec.Unschedulable {
			t.Errorf("an apply without a UID does not create the node: %v", err)
		}
	})
}

// TestMergePatch: a list is replaced, under the version that was read.
func TestMergePatch(t *testing.T) {
	play(t, func(s *stage) {
		patch := func(version string) error {
			text := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"taints":[{"key":"k","effect":"PreferNoSchedule"}]}}`, version)
			_, err := s.client.CoreV1().Nodes().Patch(s.ctx, "n1", types.MergePatchType, []byte(text), metav1.PatchOptions{FieldManager: "m"})
			return err
		}
		version := s.node("n1").ResourceVersion
		if err := patch(version); err != nil {
			t.Fatal(err)
		}
		if taints := s.node("n1").Spec.Taints; len(taints) != 1 || taints[0].Key != "k" {
			t.Errorf("the taints are %v", taints)
		}
		if err := patch(version); !apierrors.IsConflict(err) {
			t.Errorf("a patch of an old version is answered %v", err)
		}
	})
}
