package e2e

import (
	"context"
	"encoding/json"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/suite"
)

// yardstick is a bare reaction to a budget's return: it watches the budget and
// answers the first status that allows something with a request, at once. It
// shows what the machine and the API server need at the time, whoever reacts.
type yardstick struct {
	env       *env
	budget    string
	userAgent string
	reacted   chan error
}

// measureReaction begins to watch a budget that allows nothing.
func (e *env) measureReaction(budget string) yardstick {
	e.Helper()
	y := yardstick{env: e, budget: budget, userAgent: "yardstick-of-" + e.namespace, reacted: make(chan error, 1)}
	config := shared.Cluster.Config()
	config.UserAgent = y.userAgent
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		e.Fatal(err)
	}
	only := metav1.SingleObject(metav1.ObjectMeta{Name: budget})
	w, err := follow(e.Context(), e.budget(budget).ResourceVersion, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.FieldSelector = only.FieldSelector
		return client.PolicyV1().PodDisruptionBudgets(e.namespace).Watch(ctx, o)
	})
	if err != nil {
		e.Fatal(err)
	}
	go func() {
		defer w.Stop()
		for event := range w.ResultChan() {
			if b, ok := event.Object.(*policyv1.PodDisruptionBudget); ok && b.Status.DisruptionsAllowed > 0 {
				_, err := client.CoreV1().Namespaces().Get(e.Context(), e.namespace, metav1.GetOptions{})
				y.reacted <- err
				return
			}
		}
		y.reacted <- e.Context().Err()
	}()
	return y
}

// took is how long after the budget's return the bare reaction came.
func (y yardstick) took() time.Duration {
	y.env.Helper()
	if err := suite.Receive(y.env, "somebody else reacts to the budget's return", y.reacted); err != nil {
		y.env.Fatal(err)
	}
	var came time.Time
	poll(y.env.T, "that reaction is in the audit log", func() bool {
		asked, err := shared.Cluster.Audit(y.userAgent, func(a *cluster.AuditEvent) bool {
			return a.UserAgent == y.userAgent && a.ObjectRef.Resource == "namespaces"
		})
		if err != nil {
			y.env.Fatal(err)
		}
		if len(asked) > 0 {
			came = asked[0].Received
		}
		return len(asked) > 0
	})
	return came.Sub(y.env.budgetReturned(y.budget))
}

// budgetReturned is when the disruption controller first wrote a status that
// allows something.
func (e *env) budgetReturned(name string) time.Time {
	e.Helper()
	var returned time.Time
	_, err := shared.Cluster.Audit(`"poddisruptionbudgets"`, func(a *cluster.AuditEvent) bool {
		if !returned.IsZero() || a.ObjectRef.Namespace != e.namespace || a.ObjectRef.Name != name || a.ObjectRef.Subresource != "status" {
			return false
		}
		var b policyv1.PodDisruptionBudget
		if json.Unmarshal(a.ResponseObject, &b) == nil && b.Status.DisruptionsAllowed > 0 {
			returned = a.Received
		}
		return false
	})
	if err != nil || returned.IsZero() {
		e.Fatalf("no status of budget %s that allows something is in the audit log: %v", name, err)
	}
	return returned
}
