package simulate_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/simulate"
)

// cluster builds the objects of a cluster.
type cluster struct{ simulate.Objects }

func newCluster(nodes ...string) *cluster {
	c := &cluster{}
	for _, name := range nodes {
		c.Nodes = append(c.Nodes, corev1.Node{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("node-" + name), Labels: map[string]string{"name": name}},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(noon)},
			}},
		})
	}
	return c
}

// deployment adds a Deployment of shop with a pod on each node named, each of
// which became Ready so long after its creation.
func (c *cluster) deployment(name string, took time.Duration, nodes ...string) {
	replicas, controller := int32(len(nodes)), true
	app := map[string]string{"app": name}
	meta := func(kind, name, ownerKind, owner string) metav1.ObjectMeta {
		m := metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(kind + name), CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)), Labels: app}
		if owner != "" {
			m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: ownerKind, Name: owner, UID: types.UID(ownerKind + owner), Controller: &controller}}
		}
		return m
	}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}}
	c.Deployments = append(c.Deployments, appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: meta("Deployment", name, "", ""),
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template},
	})
	c.ReplicaSets = append(c.ReplicaSets, appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"}, ObjectMeta: meta("ReplicaSet", name+"-1", "Deployment", name),
		Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Template: template},
	})
	for i, node := range nodes {
		pod := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: meta("Pod", fmt.Sprintf("%s-old-%d", name, i), "ReplicaSet", name+"-1")}
		pod.Spec.NodeName = node
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(pod.CreationTimestamp.Add(took))},
		}}
		c.Pods = append(c.Pods, pod)
	}
}

// budget adds a budget of maxUnavailable over the Deployment's pods.
func (c *cluster) budget(name, app string, most int) {
	value := intstr.FromInt(most)
	c.Budgets = append(c.Budgets, policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("pdb-" + name), Generation: 1},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &value, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		},
	})
}

// dump is what kubectl prints of the cluster.
func (c *cluster) dump(t *testing.T) string {
	t.Helper()
	var items []any
	for _, list := range []any{c.Nodes, c.Pods, c.Budgets, c.Deployments, c.ReplicaSets, c.StatefulSets} {
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var some []any
		if err := json.Unmarshal(text, &some); err != nil {
			t.Fatal(err)
		}
		items = append(items, some...)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items, "metadata": map[string]any{"resourceVersion": ""}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
