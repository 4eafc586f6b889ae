// Package workload makes the nodes, workloads and budgets that tests and
// demonstrations drain.
package workload

import (
	"context"
	"fmt"
	"math"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/test/cluster"
)

// Spec is a workload.
type Spec struct {
	Namespace, Name string
	Replicas        int
	// Start is how long a pod takes from its creation until it is ready.
	Start time.Duration
	// Stop is how long a pod takes from its deletion until it is gone.
	Stop time.Duration
	// NodeSelector says where its pods may run.
	NodeSelector map[string]string
	// Pod changes the pods' template; it may be nil.
	Pod func(*corev1.PodTemplateSpec)
}

// AppLabel is on every pod; its value is the workload's name.
const AppLabel = "app"

func (s Spec) labels() map[string]string { return map[string]string{AppLabel: s.Name} }

func (s Spec) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, Labels: s.labels()}
}

func (s Spec) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: s.labels()}
}

// template makes pods that kwok starts and stops after just these times: it
// picks a time between a delay and its jitter-delay, and removes a deleted pod
// between its delay and the end of the grace period.
func (s Spec) template() corev1.PodTemplateSpec {
	grace := max(1, int64(math.Ceil(s.Stop.Seconds())))
	annotations := map[string]string{}
	for stage, delay := range map[string]time.Duration{
		"pod-create": 50 * time.Millisecond, "pod-ready": s.Start, "pod-complete": 24 * time.Hour,
	} {
		annotations[stage+".stage.kwok.x-k8s.io/delay"] = delay.String()
		annotations[stage+".stage.kwok.x-k8s.io/jitter-delay"] = delay.String()
	}
	annotations["pod-delete.stage.kwok.x-k8s.io/delay"] = s.Stop.String()
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: s.labels(), Annotations: annotations},
		Spec: corev1.PodSpec{
			NodeSelector: s.NodeSelector, TerminationGracePeriodSeconds: &grace,
			Containers:  []corev1.Container{{Name: "main", Image: "registry.k8s.io/pause:3.10"}},
			Tolerations: []corev1.Toleration{{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists}},
		},
	}
	if s.Pod != nil {
		s.Pod(&t)
	}
	return t
}

func (s Spec) replicas() *int32 {
	n := int32(s.Replicas)
	return &n
}

// Deployment makes the workload a Deployment.
func Deployment(s Spec) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: s.meta(), Spec: appsv1.DeploymentSpec{
		Replicas: s.replicas(), Selector: s.selector(), Template: s.template(),
	}}
}

// StatefulSet makes the workload a StatefulSet whose pods start side by side.
func StatefulSet(s Spec) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: s.meta(), Spec: appsv1.StatefulSetSpec{
		Replicas: s.replicas(), Selector: s.selector(), Template: s.template(),
		PodManagementPolicy: appsv1.ParallelPodManagement,
	}}
}

// DaemonSet makes the workload a DaemonSet.
func DaemonSet(s Spec) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{ObjectMeta: s.meta(), Spec: appsv1.DaemonSetSpec{
		Selector: s.selector(), Template: s.template(),
	}}
}

// Job makes the workload a Job whose pods do not end by themselves.
func Job(s Spec) *batchv1.Job {
	t := s.template()
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	backoff := int32(1000)
	return &batchv1.Job{ObjectMeta: s.meta(), Spec: batchv1.JobSpec{
		Parallelism: s.replicas(), Completions: s.replicas(), BackoffLimit: &backoff, Template: t,
	}}
}

// Pod makes the workload one pod that nothing controls, on the node if one is
// named.
func Pod(s Spec, node string) *corev1.Pod {
	t := s.template()
	t.Spec.NodeName = node
	t.Namespace, t.Name = s.Namespace, s.Name
	return &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
}

// MaxUnavailable makes a budget over the workload of the name.
func MaxUnavailable(namespace, name, app, value string) *policyv1.PodDisruptionBudget {
	b := budget(namespace, name, app)
	v := intstr.Parse(value)
	b.Spec.MaxUnavailable = &v
	return b
}

// MinAvailable makes a budget over the workload of the name.
func MinAvailable(namespace, name, app, value string) *policyv1.PodDisruptionBudget {
	b := budget(namespace, name, app)
	v := intstr.Parse(value)
	b.Spec.MinAvailable = &v
	return b
}

func budget(namespace, name, app string) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{AppLabel: app}},
		},
	}
}

// Node makes a node that kwok brings to life.
func Node(name string, labels map[string]string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{cluster.KwokLabel: cluster.KwokValue, corev1.LabelHostname: name},
	}}
	for key, value := range labels {
		n.Labels[key] = value
	}
	n.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("128Gi"),
		corev1.ResourcePods: resource.MustParse("250"),
	}
	n.Status.Capacity = n.Status.Allocatable
	return n
}

// Create creates the objects in their order.
func Create(ctx context.Context, client kubernetes.Interface, objects ...runtime.Object) error {
	for _, object := range objects {
		if err := create(ctx, client, object); err != nil {
			return fmt.Errorf("creating a %T: %w", object, err)
		}
	}
	return nil
}

func create(ctx context.Context, client kubernetes.Interface, object runtime.Object) (err error) {
	o := metav1.CreateOptions{}
	switch x := object.(type) {
	case *corev1.Node:
		_, err = client.CoreV1().Nodes().Create(ctx, x, o)
	case *corev1.Namespace:
		_, err = client.CoreV1().Namespaces().Create(ctx, x, o)
	case *corev1.ConfigMap:
		_, err = client.CoreV1().ConfigMaps(x.Namespace).Create(ctx, x, o)
	case *corev1.Pod:
		_, err = client.CoreV1().Pods(x.Namespace).Create(ctx, x, o)
	case *appsv1.Deployment:
		_, err = client.AppsV1().Deployments(x.Namespace).Create(ctx, x, o)
	case *appsv1.StatefulSet:
		_, err = client.AppsV1().StatefulSets(x.Namespace).Create(ctx, x, o)
	case *appsv1.DaemonSet:
		_, err = client.AppsV1().DaemonSets(x.Namespace).Create(ctx, x, o)
	case *batchv1.Job:
		_, err = client.BatchV1().Jobs(x.Namespace).Create(ctx, x, o)
	case *policyv1.PodDisruptionBudget:
		_, err = client.PolicyV1().PodDisruptionBudgets(x.Namespace).Create(ctx, x, o)
	default:
		return fmt.Errorf("this kind is not known here")
	}
	return err
}
