package stage

import (
	"context"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/workload"
)

// shop is the namespace of the workloads.
const shop = "shop"

// Nodes of the scene, named after how their drains go.
const (
	// Quick is drained, as fast as a budget allows.
	Quick = "quick"
	// Stuck has pods that can never leave.
	Stuck = "stuck"
	// Overdue has a pod that does not end.
	Overdue = "overdue"
	// Exhausted has pods whose budget is used up and stays so.
	Exhausted = "exhausted"
	// Timed is Stuck with a timeout.
	Timed = "timed"
	// Waiting is queued until a time.
	Waiting = "waiting"
	// Paused is paused, and Mistaken has an invalid request.
	Paused, Mistaken = "paused", "mistaken"
	// Spare is where pods go.
	Spare = "spare"
)

// Requests are the annotations that ask for the drains.
func Requests(now time.Time) map[string]map[string]string {
	ask := func(more ...string) map[string]string {
		all := map[string]string{api.DrainAnnotation: "CHG-1234"}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	return map[string]map[string]string{
		Quick: ask(), Stuck: ask(), Overdue: ask(), Exhausted: ask(),
		Timed:    ask(api.TimeoutAnnotation, "5s"),
		Waiting:  ask(api.NotBeforeAnnotation, now.Add(time.Hour).UTC().Format(time.RFC3339)),
		Paused:   ask(api.PausedAnnotation, "true"),
		Mistaken: ask(api.Prefix+"typo", "true"),
	}
}

// CreateScene makes nodes and workloads.
func (s *Stage) CreateScene(ctx context.Context) error {
	for _, name := range []string{Quick, Stuck, Overdue, Exhausted, Timed, Waiting, Paused, Mistaken, Spare} {
		if err := workload.Create(ctx, s.Client, workload.Node(name, nil)); err != nil {
			return err
		}
	}
	never := func(node, name string) []runtime.Object {
		return []runtime.Object{
			workload.Deployment(on(node, name, 2)), workload.MaxUnavailable(shop, name, name, "0"),
		}
	}
	objects := append(never(Stuck, "ledger"), never(Timed, "archive")...)
	objects = append(objects, twoBudgets()...)
	objects = append(objects,
		// Some of these are on Quick, and can go to Spare only one by one.
		workload.Deployment(spread("web", 12, Quick, Spare)), workload.MaxUnavailable(shop, "web", "web", "1"),
		workload.Pod(on(Stuck, "by-hand", 1), Stuck),
		withFinalizer(workload.Pod(on(Overdue, "queue", 1), Overdue)),
		// The first that leaves cannot come back: the others wait for it. It
		// takes its time, so that Prometheus sees that it goes.
		workload.Deployment(slow(on(Exhausted, "cache", 4))), workload.MaxUnavailable(shop, "cache", "cache", "1"),
	)
	return workload.Create(ctx, s.Client, objects...)
}

// twoBudgets makes a pod that the Eviction API refuses with 500.
func twoBudgets() []runtime.Object {
	return []runtime.Object{
		workload.Deployment(on(Stuck, "search", 1)),
		workload.MinAvailable(shop, "search-a", "search", "0"), workload.MinAvailable(shop, "search-b", "search", "0"),
	}
}

// withFinalizer makes a pod that does not end: kwok leaves pods with finalizers
// alone, like a kubelet that hangs. Its controller is made up.
func withFinalizer(p *corev1.Pod) *corev1.Pod {
	yes := true
	p.Finalizers = []string{"example.com/keep"}
	p.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "example.com/v1", Kind: "Queue", Name: "queue", UID: "8f1b5a54-0000-4000-8000-000000000001", Controller: &yes,
	}}
	return p
}

func quick(name string, replicas int) workload.Spec {
	return workload.Spec{Namespace: shop, Name: name, Replicas: replicas, Start: 500 * time.Millisecond, Stop: time.Second}
}

func slow(s workload.Spec) workload.Spec {
	s.Stop = 5 * time.Second
	return s
}

func on(node, name string, replicas int) workload.Spec {
	s := quick(name, replicas)
	s.NodeSelector = map[string]string{corev1.LabelHostname: node}
	return s
}

// spread puts a workload's pods on some nodes.
func spread(name string, replicas int, nodes ...string) workload.Spec {
	s := quick(name, replicas)
	s.Pod = func(t *corev1.PodTemplateSpec) {
		t.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: nodes}},
			}}},
		}}
	}
	return s
}

// AwaitScene returns once all pods are ready and all budgets have been counted.
func (s *Stage) AwaitScene(ctx context.Context) error {
	patience := await.Waiter{Progress: os.Stderr}
	return patience.Until(ctx, "all pods are ready and all budgets counted", func() error {
		deployments, err := s.Client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range deployments.Items {
			if !complete(&deployments.Items[i]) {
				return await.NotYet("%s is not ready", deployments.Items[i].Name)
			}
		}
		budgets, err := s.Client.PolicyV1().PodDisruptionBudgets("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range budgets.Items {
			if !counted(&budgets.Items[i]) {
				return await.NotYet("budget %s is not counted", budgets.Items[i].Name)
			}
		}
		return nil
	})
}

func complete(d *appsv1.Deployment) bool { return d.Status.ReadyReplicas == *d.Spec.Replicas }

// counted says nothing about the numbers: of two budgets over the same pods the
// disruption controller keeps only one up to date.
func counted(b *policyv1.PodDisruptionBudget) bool {
	return b.Status.ObservedGeneration == b.Generation
}

// Annotate sets annotations of a node; an empty value removes one.
func (s *Stage) Annotate(ctx context.Context, node string, annotations map[string]string) error {
	patch := `{"metadata":{"annotations":{`
	comma := ""
	for key, value := range annotations {
		text := fmt.Sprintf("%q", value)
		if value == "" {
			text = "null"
		}
		patch += fmt.Sprintf("%s%q:%s", comma, key, text)
		comma = ","
	}
	_, err := s.Client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch+"}}}"), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("annotating node %s: %w", node, err)
	}
	return nil
}

// Phase is the phase that a node says it is in.
func (s *Stage) Phase(ctx context.Context, node string) (api.Phase, error) {
	n, err := s.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("reading node %s: %w", node, err)
	}
	status, err := api.ParseStatus(n.Annotations[api.StatusAnnotation])
	return status.Phase, err
}
