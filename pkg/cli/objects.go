package cli

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// ReadObjects lists every kind of object that a forecast with the rules is made
// from. It changes nothing.
func ReadObjects(ctx context.Context, client kubernetes.Interface, rules *plan.Rules) (*simulate.Objects, error) {
	o, core, apps := &simulate.Objects{}, client.CoreV1(), client.AppsV1()
	for _, read := range []func() error{
		func() error {
			if !rules.LooksAtNamespaces() {
				return nil
			}
			return into(ctx, "namespaces", &o.Namespaces, core.Namespaces().List, func(l *corev1.NamespaceList) []corev1.Namespace { return l.Items })
		},
		func() error {
			return into(ctx, "nodes", &o.Nodes, core.Nodes().List, func(l *corev1.NodeList) []corev1.Node { return l.Items })
		},
		func() error {
			return into(ctx, "pods", &o.Pods, core.Pods("").List, func(l *corev1.PodList) []corev1.Pod { return l.Items })
		},
		func() error {
			return into(ctx, "budgets", &o.Budgets, client.PolicyV1().PodDisruptionBudgets("").List,
				func(l *policyv1.PodDisruptionBudgetList) []policyv1.PodDisruptionBudget { return l.Items })
		},
		func() error {
			return into(ctx, "deployments", &o.Deployments, apps.Deployments("").List, func(l *appsv1.DeploymentList) []appsv1.Deployment { return l.Items })
		},
		func() error {
			return into(ctx, "replicasets", &o.ReplicaSets, apps.ReplicaSets("").List, func(l *appsv1.ReplicaSetList) []appsv1.ReplicaSet { return l.Items })
		},
		func() error {
			return into(ctx, "statefulsets", &o.StatefulSets, apps.StatefulSets("").List, func(l *appsv1.StatefulSetList) []appsv1.StatefulSet { return l.Items })
		},
		func() error {
			return into(ctx, "daemonsets", &o.DaemonSets, apps.DaemonSets("").List, func(l *appsv1.DaemonSetList) []appsv1.DaemonSet { return l.Items })
		},
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// into lists one kind of object.
func into[L, O any](ctx context.Context, what string, to *[]O, list func(context.Context, metav1.ListOptions) (L, error), items func(L) []O) error {
	l, err := list(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing %s: %w", what, err)
	}
	*to = items(l)
	return nil
}
