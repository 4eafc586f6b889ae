package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// TestFaultKubectl: kubectl drain empties the same nodes under the same budget.
func TestFaultKubectl(t *testing.T) {
	f := disturb(setup(t, 6), "kubectl drain on two of the four nodes at the same time", 1)
	// What kubectl has cordoned before drainer stays cordoned.
	f.alsoCordoned = true
	f.requestAll("fault")
	var drains sync.WaitGroup
	for _, node := range f.draining[:2] {
		drains.Go(func() {
			_, err := suite.Run(t, func(ctx context.Context) *exec.Cmd {
				return exec.CommandContext(ctx, shared.Cluster.Kubectl(), "--kubeconfig="+shared.Cluster.Kubeconfig(), "drain", node, "--ignore-daemonsets")
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	drains.Wait()
	f.recover("fault")
}

// TestFaultNodes: nodes are deleted during their drains, as by an
// autoscaler, and come back under the same names.
func TestFaultNodes(t *testing.T) {
	f := disturb(setup(t, 6), "nodes deleted during their drains and created again", 1)
	f.requestAll("fault")
	f.awaitStarted(f.draining[0])
	f.last(faultFor, time.Second, 3*time.Second, func() { f.replaceNode("fault") })
	f.recover("fault")
}

// anyNode is one of the nodes to drain.
func (f *trouble) anyNode() string { return f.draining[f.random.IntN(len(f.draining))] }

// replaceNode deletes a node, and lets it come back with a request of the ID.
func (f *trouble) replaceNode(id string) {
	f.Helper()
	node := f.anyNode()
	if err := shared.Client.CoreV1().Nodes().Delete(f.Context(), node, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		f.Fatal(err)
	}
	f.last(time.Millisecond, time.Millisecond, time.Second, func() {})
	f.create(workload.Node(node, map[string]string{poolLabel: f.pool}))
	f.request(node, id)
}

// TestFaultFlapping: requests come, go, change and pause ten times a second.
func TestFaultFlapping(t *testing.T) {
	f := disturb(setup(t, 6), "annotations changed 10 times a second", 1)
	f.requestAll("fault")
	f.last(faultFor, 50*time.Millisecond, 150*time.Millisecond, f.changeMind)
	for _, node := range f.draining {
		f.annotate(node, api.DrainAnnotation, "fault", api.PausedAnnotation, "")
	}
	f.recover("fault")
}

// changeMind lets somebody want something else of a node.
func (f *trouble) changeMind() {
	f.Helper()
	node := f.anyNode()
	switch f.random.IntN(4) {
	case 0:
		f.cancel(node)
	case 1:
		f.annotate(node, api.PausedAnnotation, []string{"", "true", "ture"}[f.random.IntN(3)])
	default:
		f.request(node, fmt.Sprintf("fault-%d", f.random.IntN(3)))
	}
}

// TestFaultBudgets: a namespace has 1,000 more budgets, which come and go.
func TestFaultBudgets(t *testing.T) {
	const budgets, clients = 1000, 10
	f := disturb(setup(t, 6), "1,000 other PodDisruptionBudgets in the namespace, some of them deleted", 1)
	var makers sync.WaitGroup
	for i := range clients {
		makers.Go(func() {
			for n := i; n < budgets; n += clients {
				name := fmt.Sprintf("other-%04d", n)
				if err := workload.Create(f.Context(), shared.Client, workload.MaxUnavailable(f.namespace, name, name, "1")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	makers.Wait()
	f.requestAll("fault")
	f.last(5*time.Second, 50*time.Millisecond, 150*time.Millisecond, func() {
		name := fmt.Sprintf("other-%04d", f.random.IntN(budgets))
		err := shared.Client.PolicyV1().PodDisruptionBudgets(f.namespace).Delete(f.Context(), name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	})
	f.recover("fault")
}

// TestFaultWebhook: every eviction hangs in a webhook.
func TestFaultWebhook(t *testing.T) {
	f := disturb(setup(t, 6), "a webhook that holds every eviction until the API server gives it up, or for 15 s", 1)
	hanging, asked := f.hold("web")
	f.requestAll("fault")
	suite.Receive(t, "the webhook is asked", asked)
	f.last(faultFor, time.Second, 2*time.Second, func() {})
	hanging.open()
	f.recover("fault")
}
