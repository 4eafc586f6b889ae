package e2e

import (
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

func (p process) ready() bool { return p.Ready(p.env.Context()) }

// blockedBy is true if the status names a blocker of the app with the reason.
func (e *env) blockedBy(node, app, reason string) bool {
	e.Helper()
	return slices.ContainsFunc(e.status(node).Blockers, func(b api.Blocker) bool {
		return b.Reason == reason && strings.HasPrefix(b.Pod, e.namespace+"/"+app)
	})
}

// terminating are the app's pods that have been deleted and are not gone.
func (e *env) terminating(app string) []*corev1.Pod {
	return slices.DeleteFunc(e.pods(app), func(p *corev1.Pod) bool { return p.DeletionTimestamp == nil })
}

func ready(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// node is a node as it is, nil if there is none.
func (e *env) node(name string) *corev1.Node {
	n, err := shared.world.nodes.Get(name)
	if err != nil {
		return nil
	}
	return n
}

func (e *env) condition(node string, kind corev1.NodeConditionType) corev1.NodeCondition {
	if n := e.node(node); n != nil {
		for _, c := range n.Status.Conditions {
			if c.Type == kind {
				return c
			}
		}
	}
	return corev1.NodeCondition{}
}

// status is the status annotation, zero if there is none.
func (e *env) status(node string) api.Status {
	e.Helper()
	n := e.node(node)
	if n == nil || n.Annotations[api.StatusAnnotation] == "" {
		return api.Status{}
	}
	s, err := api.ParseStatus(n.Annotations[api.StatusAnnotation])
	if err != nil {
		e.Fatal(err)
	}
	return s
}

// message is what the node says to people.
func (e *env) message(node string) string {
	return e.condition(node, corev1.NodeDrainInProgress).Message
}

// pods are the pods of an app, sorted by name.
func (e *env) pods(app string) []*corev1.Pod {
	e.Helper()
	pods, err := shared.world.pods.Pods(e.namespace).List(labels.SelectorFromSet(labels.Set{workload.AppLabel: app}))
	if err != nil {
		e.Fatal(err)
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods
}

// podsOn are the app's pods on a node.
func (e *env) podsOn(node, app string) []*corev1.Pod {
	return slices.DeleteFunc(e.pods(app), func(p *corev1.Pod) bool { return p.Spec.NodeName != node })
}

// stillOn are the names of the app's pods that the API server has on a node. The
// informers of nodes and pods are not in step: a node may be seen Drained
// before its last pod is seen gone.
func (e *env) stillOn(node, app string) []string {
	e.Helper()
	pods, err := shared.Client.CoreV1().Pods(e.namespace).List(e.Context(), metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		LabelSelector: labels.Set{workload.AppLabel: app}.String(),
	})
	if err != nil {
		e.Fatal(err)
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Name)
	}
	return names
}

func podReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func (e *env) budget(name string) *policyv1.PodDisruptionBudget {
	b, err := shared.world.budgets.PodDisruptionBudgets(e.namespace).Get(name)
	if err != nil {
		return nil
	}
	return b
}

func (e *env) released(node string) bool {
	n := e.node(node)
	if n == nil {
		return false
	}
	for key := range n.Annotations {
		if key == api.StatusAnnotation || key == api.DrainedAnnotation {
			return false
		}
	}
	return e.condition(node, corev1.NodeDrainInProgress).Type == "" && e.condition(node, corev1.NodeDrained).Type == "" &&
		!slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return strings.HasPrefix(t.Key, api.Prefix) })
}

// events are what drainer wrote about an object.
func (e *env) events(namespace, name string) []eventsv1.Event {
	e.Helper()
	list, err := shared.Client.EventsV1().Events(namespace).List(e.Context(), metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("regarding.name", name).String(),
	})
	if err != nil {
		e.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(v eventsv1.Event) bool { return v.ReportingController != "drainer.dev/drainer" })
}

func (e *env) lease() *coordinationv1.Lease {
	e.Helper()
	lease, err := shared.Client.CoordinationV1().Leases(e.namespace).Get(e.Context(), "drainer", metav1.GetOptions{})
	if err != nil {
		e.Fatal(err)
	}
	return lease
}

func (e *env) holder() string {
	e.Helper()
	if lease := e.lease(); lease.Spec.HolderIdentity != nil {
		return *lease.Spec.HolderIdentity
	}
	return ""
}

func (e *env) cordoned(node string) bool { return e.node(node).Spec.Unschedulable }

func (e *env) readyPods(app string) int {
	n := 0
	for _, p := range e.pods(app) {
		if podReady(p) {
			n++
		}
	}
	return n
}
