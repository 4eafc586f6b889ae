package conformance

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
	"drainer.dev/drainer/test/bubble"
)

// TestModel: the model gives what the script says.
func TestModel(t *testing.T) {
	script, err := Script()
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range script {
		t.Run(section.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { Run(t.Context(), t, Model, newModel(t), section) })
		})
	}
}

// TestScript: the script asserts as much as is promised, and the differences
// are about steps of it.
func TestScript(t *testing.T) {
	script, err := Script()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckDifferences(script); err != nil {
		t.Error(err)
	}
	steps, asserting := 0, 0
	for _, section := range script {
		for _, step := range section.Steps {
			if steps++; step.Want != "" {
				asserting++
			}
		}
	}
	if asserting < 60 {
		t.Errorf("%d of %d steps say what they give, want at least 60", asserting, steps)
	}
	t.Logf("%d steps, of which %d say what they give", steps, asserting)
}

// model is a cluster of pkg/sim.
type model struct {
	server *apiserver.Server
	client kubernetes.Interface
}

const modelNamespace = "section"

func newModel(t *testing.T) *model {
	server := apiserver.New(sim.New(sim.Options{Start: time.Now()}), 0)
	server.Do(func(c *sim.Cluster) { c.Namespace(modelNamespace) })
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: "http://model", QPS: -1, Transport: server.Transport("script"),
		ContentConfig: rest.ContentConfig{ContentType: "application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &model{server: server, client: client}
}

func (m *model) Client() kubernetes.Interface { return m.client }
func (m *model) Namespace() string            { return modelNamespace }
func (m *model) Node(name string) string      { return name }

func (m *model) AddNode(_ context.Context, name string) error {
	m.do(func(c *sim.Cluster) { c.AddNode(name, map[string]string{corev1.LabelHostname: name}) })
	return nil
}

func (m *model) Run(_ context.Context, w Workload) error {
	kinds := map[string]sim.Kind{
		"deployment": sim.Deployment, "statefulset": sim.StatefulSet, "daemonset": sim.DaemonSet, "job": sim.Job,
	}
	labels := map[string]string{"app": w.App}
	behavior := sim.Behavior{StartsIn: w.Start, StopsIn: w.Stop}
	s := sim.Workload{
		Kind: kinds[w.Kind], Namespace: modelNamespace, Name: w.Name, Replicas: w.Replicas, Labels: labels, Grace: w.Stop,
		Ordered: w.Kind == "statefulset" && !w.Parallel, Behavior: behavior,
	}
	if w.Node != "" {
		s.NodeSelector = map[string]string{corev1.LabelHostname: w.Node}
	}
	m.do(func(c *sim.Cluster) {
		if w.Kind != "pod" {
			c.Run(s)
			return
		}
		grace := int64(w.Stop / time.Second)
		pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: w.Node, TerminationGracePeriodSeconds: &grace}}
		pod.Namespace, pod.Name, pod.Labels = modelNamespace, w.Name, labels
		if w.Hold {
			pod.Finalizers = []string{Finalizer}
		}
		c.AddPod(pod, behavior)
	})
	return nil
}

func (m *model) Scale(_ context.Context, name string, replicas int) error {
	m.do(func(c *sim.Cluster) { c.Scale(modelNamespace, name, replicas) })
	return nil
}

func (m *model) UpdatePod(_ context.Context, name string, change func(*corev1.Pod)) error {
	err := error(apierrors.NewNotFound(corev1.Resource("pods"), name))
	m.do(func(c *sim.Cluster) {
		if key := (sim.Key{Namespace: modelNamespace, Name: name}); c.Pod(key) != nil {
			c.UpdatePod(key, change)
			err = nil
		}
	})
	return err
}

func (m *model) Cordon(_ context.Context, node string, unschedulable bool) error {
	m.do(func(c *sim.Cluster) {
		c.UpdateNode(node, func(n *corev1.Node) { n.Spec.Unschedulable = unschedulable })
	})
	return nil
}

func (m *model) TerminateNamespace(context.Context) error {
	m.do(func(c *sim.Cluster) { c.Namespace(modelNamespace).Terminating = true })
	return nil
}

// Await lets happen what is due within half a minute: what a test waits for
// that looks at a real cluster. It looks once, at a cluster that has settled.
func (m *model) Await(_ context.Context, _ string, condition func() error) error {
	m.settle()
	_ = condition() // It names the pods that are new.
	return condition()
}

func (m *model) do(f func(*sim.Cluster)) {
	m.server.Do(f)
	m.settle()
}

// settle lets the model's time pass, which is that of a synctest bubble, until
// nothing is due soon.
func (m *model) settle() {
	for {
		var next time.Time
		var due bool
		m.server.Do(func(c *sim.Cluster) { next, due = c.Next() })
		if !due || time.Until(next) > 30*time.Second {
			return
		}
		bubble.Sleep(time.Until(next))
	}
}
