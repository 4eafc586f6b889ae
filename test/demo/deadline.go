package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// legacy is the Deployment whose only pod its budget never lets go.
const legacy = "legacy"

// soon is how long after the notice the node with that pod disappears.
const soon = 3 * time.Second

// held is the node that is drained and has the pod.
func (s *stage) held() string { return s.nodes[0] }

// createLegacy makes the Deployment, with its pod on the node.
func (s *stage) createLegacy(ctx context.Context) error {
	spec := workload.Spec{Namespace: s.namespace, Name: legacy, Replicas: 1, Stop: time.Second, Pod: func(p *corev1.PodTemplateSpec) {
		s.place(p)
		if p.Spec.Affinity == nil {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
		}
		p.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.PreferredSchedulingTerm{{
			Weight: 100, Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{s.held()},
			}}},
		}}
	}}
	return workload.Create(ctx, s.client, workload.Deployment(spec), workload.MaxUnavailable(s.namespace, legacy, legacy, "0"))
}

// mayDelete lets drainer delete pods of the demonstration, and no others.
func (s *stage) mayDelete(ctx context.Context) error {
	list, err := s.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing namespaces: %w", err)
	}
	never := "--never-delete-namespaces=kube-system"
	for i := range list.Items {
		if name := list.Items[i].Name; name != s.namespace && name != metav1.NamespaceSystem {
			never += "," + name
		}
	}
	s.flags = append(s.flags, "--allow-delete", never)
	return nil
}

// grantDelete gives drainer's account on the local cluster the permission.
func (s *stage) grantDelete(ctx context.Context) error {
	name := metav1.ObjectMeta{Namespace: s.namespace, Name: "drainer-delete"}
	role := &rbacv1.Role{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"delete"}}}}
	if _, err := s.client.RbacV1().Roles(s.namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating Role %s: %w", name.Name, err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: "drainer"}},
	}
	if _, err := s.client.RbacV1().RoleBindings(s.namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating RoleBinding %s: %w", name.Name, err)
	}
	return nil
}

// onlyLegacy is true once the node has only the pod that waits for the budget that
// never allows anything, and says so. What it says of its other pods may be older than
// the metrics.
func (s *stage) onlyLegacy(seen map[string]view, metrics daemon.Metrics) bool {
	held := seen[s.held()]
	c := countsOf(s.held(), held, metrics)
	return c.gone > 0 && c.total()-c.gone == 1 && slices.ContainsFunc(held.status.CannotFinish, func(o api.Obstacle) bool {
		return o.Budget == s.namespace+"/"+legacy
	})
}

// giveNotice tells what the node waits for, and that it disappears soon.
func (s *stage) giveNotice(ctx context.Context) error {
	node, err := s.client.CoreV1().Nodes().Get(ctx, s.held(), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading node %s: %w", s.held(), err)
	}
	for _, o := range viewOf(node).status.CannotFinish {
		say("%s cannot finish: %s %s\n    To fix: %s", s.held(), o.Pod, o.Message, o.Fix)
	}
	at := time.Now().Add(soon).UTC().Format(time.RFC3339)
	say("The machine disappears in %v: kubectl annotate node %s %s=%s", soon, s.held(), api.DeadlineAnnotation, at)
	return annotate(ctx, s.client, s.held(), api.DeadlineAnnotation, at)
}

// checkDeleted is an error unless exactly the one pod was deleted.
func (s *stage) checkDeleted(ctx context.Context, metrics daemon.Metrics) error {
	node, err := s.client.CoreV1().Nodes().Get(ctx, s.held(), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading node %s: %w", s.held(), err)
	}
	want := api.Deletions{Budget: s.namespace + "/" + legacy, Count: 1}
	if got := viewOf(node).status.Deletions; !slices.Equal(got, []api.Deletions{want}) {
		return fmt.Errorf("node %s says of deletions %+v, want %+v alone", s.held(), got, want)
	}
	if n := metrics.Sum("drainer_forced_deletions_total"); n != 1 {
		return fmt.Errorf("drainer counts %.0f deletions, want 1", n)
	}
	fmt.Printf("%-8s 1 pod was deleted past PDB %s, just before its deadline\n", s.held(), want.Budget)
	return nil
}
