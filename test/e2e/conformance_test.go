package e2e

import (
	"context"
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/conformance"
	"drainer.dev/drainer/test/suite"
)

// TestConformance: the script that the model is held to holds here, too.
func TestConformance(t *testing.T) {
	script, err := conformance.Script()
	if err != nil {
		t.Fatal(err)
	}
	side := conformance.Kubernetes
	if serverBefore(t, "1.37") {
		side = conformance.Kubernetes134
	}
	for _, section := range script {
		t.Run(section.Name, func(t *testing.T) {
			conformance.Run(suite.Context(t), t, side, &realCluster{env: setup(t, 0)}, section)
		})
	}
}

// realCluster is a section's part of the cluster.
type realCluster struct{ *env }

func (c *realCluster) Client() kubernetes.Interface { return shared.Client }
func (c *realCluster) Namespace() string            { return c.namespace }
func (c *realCluster) Node(name string) string      { return c.pool + "-" + name }

func (c *realCluster) AddNode(_ context.Context, name string) error {
	c.addNode(c.Node(name))
	awaitState(c.T, "node "+name+" is ready", func() bool {
		n := c.node(c.Node(name))
		return n != nil && ready(n) && len(n.Spec.Taints) == 0
	})
	return nil
}

func (c *realCluster) Run(ctx context.Context, w conformance.Workload) error {
	s := c.spec(w.Name, w.Replicas)
	s.Start, s.Stop = w.Start, w.Stop
	if w.Node != "" {
		s = on(s, w.Node)
	}
	s.Pod = func(t *corev1.PodTemplateSpec) {
		t.Labels = map[string]string{workload.AppLabel: w.App, "workload": w.Name}
		if w.Hold {
			t.Finalizers = []string{conformance.Finalizer}
		}
	}
	var object runtime.Object
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"workload": w.Name}}
	switch w.Kind {
	case "deployment":
		d := workload.Deployment(s)
		d.Spec.Selector, object = selector, d
	case "statefulset":
		set := workload.StatefulSet(s)
		set.Spec.Selector, object = selector, set
		if !w.Parallel {
			set.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement
		}
	case "daemonset":
		d := workload.DaemonSet(s)
		d.Spec.Selector, object = selector, d
	case "job":
		object = workload.Job(s)
	default:
		object = workload.Pod(s, w.Node)
	}
	return workload.Create(ctx, shared.Client, object)
}

func (c *realCluster) Scale(ctx context.Context, name string, replicas int) error {
	_, err := shared.Client.AppsV1().Deployments(c.namespace).UpdateScale(ctx, name, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}, Spec: autoscalingv1.ScaleSpec{Replicas: int32(replicas)},
	}, metav1.UpdateOptions{})
	return err
}

// UpdatePod waits until kwok has done what it does to a pod that is bound: it
// may write over a status otherwise.
func (c *realCluster) UpdatePod(ctx context.Context, name string, change func(*corev1.Pod)) error {
	pods := shared.Client.CoreV1().Pods(c.namespace)
	awaitState(c.T, "kwok has taken "+name, func() bool {
		p, err := shared.world.pods.Pods(c.namespace).Get(name)
		return err == nil && p.Status.PodIP != ""
	})
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		p, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		held := len(p.Finalizers) > 0
		change(p)
		if held && len(p.Finalizers) == 0 {
			_, err = pods.Update(ctx, p, metav1.UpdateOptions{})
			return err
		}
		_, err = pods.UpdateStatus(ctx, p, metav1.UpdateOptions{})
		return err
	})
}

func (c *realCluster) Cordon(ctx context.Context, name string, unschedulable bool) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		n, err := shared.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		n.Spec.Unschedulable = unschedulable
		_, err = shared.Client.CoreV1().Nodes().Update(ctx, n, metav1.UpdateOptions{})
		return err
	})
}

func (c *realCluster) TerminateNamespace(ctx context.Context) error {
	return shared.Client.CoreV1().Namespaces().Delete(ctx, c.namespace, metav1.DeleteOptions{})
}

func (c *realCluster) Await(ctx context.Context, what string, condition func() error) error {
	w := await.Waiter{Progress: suite.Progress(c.T)}
	return w.Until(ctx, what, func() error {
		err := condition()
		if errors.Is(err, conformance.ErrOther) {
			err = await.NotYet("%v", err)
		}
		return err
	})
}
