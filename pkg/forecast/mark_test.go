package forecast_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// TestMarks: a marked node is drained after its time, and its request is removed once
// the mark has cleared. If too many are marked, the rule is latched.
func TestMarks(t *testing.T) {
	c := newCluster("a", "b", "spare")
	web(c, 1, "a", "b")
	o := options()
	o.Config.Requests = []plan.MarkRule{{Kind: plan.LabelMark, Name: "broken", For: 10 * time.Second, MaxNodes: 1, MinInterval: time.Hour, ReleaseWhenCleared: true}}
	o.Selectors.Requests = o.Config.Requests
	o.RequestsMarked = true
	l := forecast.New(c, o)
	l.Start()
	mark := func(node string, broken bool) {
		c.UpdateNode(node, func(n *corev1.Node) {
			if n.Labels = nil; broken {
				n.Labels = map[string]string{"broken": "yes"}
			}
		})
	}
	request := func(node string) string { return c.Node(node).Annotations[api.DrainAnnotation] }
	mark("a", true)
	await(t, l, time.Minute, func() bool { return request("a") != "" })
	if took := l.Now().Sub(noon); took < 10*time.Second {
		t.Errorf("requested after %v", took)
	}
	await(t, l, time.Minute, drained(l, request("a"), "a"))
	mark("a", false)
	await(t, l, time.Minute, func() bool { return request("a") == "" && !c.Node("a").Spec.Unschedulable })
	mark("b", true)
	mark("spare", true)
	await(t, l, time.Minute, func() bool { return c.Node("b").Annotations[api.LatchedAnnotation] != "" })
	if request("b")+request("spare") != "" {
		t.Error("two nodes are marked of which one may be, and a drain is requested")
	}
}

// TestForesees: a queued node says what would keep its drain from its end if the
// options say so, and nothing otherwise.
func TestForesees(t *testing.T) {
	for _, foresees := range []bool{true, false} {
		c := newCluster("a", "spare")
		c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: 1, Behavior: quick}, "a")
		none := intstr.FromInt(0)
		c.AddBudget("shop", "web", "web", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &none})
		o := options()
		o.Foresees = foresees
		l := forecast.New(c, o)
		l.Start()
		l.Annotate("a", api.NotBeforeAnnotation, noon.Add(time.Hour).Format(time.RFC3339))
		l.Request("r", "a")
		l.Run(noon.Add(time.Minute), nil)
		status, err := api.ParseStatus(c.Node("a").Annotations[api.StatusAnnotation])
		if err != nil || status.Phase != api.Queued || (len(status.CannotFinish) == 1) != foresees {
			t.Errorf("foresees %v: it says %+v: %v", foresees, status, err)
		}
	}
}
