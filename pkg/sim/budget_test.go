package sim

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// newCluster is a cluster of Ready nodes n1, n2 and so on.
func newCluster(nodes int) *Cluster {
	c := New(Options{Start: noon})
	for i := range nodes {
		c.AddNode(fmt.Sprintf("n%d", i+1), nil)
	}
	return c
}

func minAvailable(text string) policyv1.PodDisruptionBudgetSpec {
	value := intstr.Parse(text)
	return policyv1.PodDisruptionBudgetSpec{MinAvailable: &value}
}

func maxUnavailable(text string) policyv1.PodDisruptionBudgetSpec {
	value := intstr.Parse(text)
	return policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &value}
}

var (
	web = Key{Namespace: "shop", Name: "web"}
	pod = Key{Namespace: "shop", Name: "web-1"}
)

// run adds pods of web to the node n1, of which some are not Ready.
func run(c *Cluster, w Workload, pods, unready int) {
	w.Namespace, w.Name = "shop", "web"
	on := make([]string, pods)
	for i := range on {
		on[i] = "n1"
	}
	c.Run(w, on...)
	for i := range unready {
		c.UpdatePod(Key{Namespace: "shop", Name: fmt.Sprintf("web-%d", pods-i)}, func(p *corev1.Pod) { SetReady(p, false, noon) })
	}
}

// TestBudget: a budget's numbers are those of the disruption controller.
func TestBudget(t *testing.T) {
	deployment := func(replicas int) Workload { return Workload{Kind: Deployment, Replicas: replicas} }
	surging := Workload{Kind: Deployment, Replicas: 3, Surge: 1}
	type numbers struct{ expected, desired, healthy, allowed int32 }
	for name, test := range map[string]struct {
		workload      Workload
		pods, unready int
		spec          policyv1.PodDisruptionBudgetSpec
		want          numbers
	}{
		"minAvailable as a number counts the pods":        {surging, 4, 0, minAvailable("2"), numbers{4, 2, 4, 2}},
		"minAvailable as a share counts the scale":        {surging, 4, 0, minAvailable("50%"), numbers{3, 2, 4, 2}},
		"minAvailable as a share is rounded up":           {deployment(7), 7, 0, minAvailable("34%"), numbers{7, 3, 7, 4}},
		"minAvailable of all":                             {deployment(3), 3, 0, minAvailable("100%"), numbers{3, 3, 3, 0}},
		"minAvailable above the number of pods":           {deployment(2), 2, 0, minAvailable("5"), numbers{2, 5, 2, 0}},
		"maxUnavailable counts the scale":                 {surging, 4, 0, maxUnavailable("1"), numbers{3, 2, 4, 2}},
		"maxUnavailable as a share is rounded up":         {deployment(7), 7, 0, maxUnavailable("30%"), numbers{7, 4, 7, 3}},
		"maxUnavailable 0":                                {deployment(3), 3, 0, maxUnavailable("0"), numbers{3, 3, 3, 0}},
		"maxUnavailable 0 while a rollout has a pod more": {surging, 4, 0, maxUnavailable("0"), numbers{3, 3, 4, 1}},
		"maxUnavailable above the scale":                  {deployment(2), 2, 0, maxUnavailable("5"), numbers{2, 0, 2, 2}},
		"pods that are not Ready are not healthy":         {deployment(5), 5, 2, minAvailable("2"), numbers{5, 2, 3, 1}},
		"fewer healthy pods than desired":                 {deployment(5), 5, 4, minAvailable("2"), numbers{5, 2, 1, 0}},
		"no pods":                                         {deployment(0), 0, 0, maxUnavailable("1"), numbers{0, 0, 0, 0}},
		"minAvailable 0 of a pod that is not Ready":       {deployment(1), 1, 1, minAvailable("0"), numbers{1, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(1)
			run(c, test.workload, test.pods, test.unready)
			c.AddBudget("shop", "web", "web", test.spec)
			c.Advance(noon.Add(time.Second))
			b := c.Budget(web)
			s := b.Status
			if got := (numbers{s.ExpectedPods, s.DesiredHealthy, s.CurrentHealthy, s.DisruptionsAllowed}); got != test.want {
				t.Errorf("expected, desired, healthy, allowed are %v, want %v", got, test.want)
			}
			if s.ObservedGeneration != b.Generation {
				t.Errorf("generation %d of %d is observed", s.ObservedGeneration, b.Generation)
			}
			if allowed := meta.IsStatusConditionTrue(s.Conditions, policyv1.DisruptionAllowedCondition); allowed != (test.want.allowed > 0) {
				t.Errorf("the condition DisruptionAllowed is %v", allowed)
			}
		})
	}
}

// TestBudgetSyncFails: a budget that cannot be computed is never observed.
func TestBudgetSyncFails(t *testing.T) {
	c := newCluster(1)
	run(c, Workload{Kind: Job, Replicas: 2}, 2, 0)
	c.AddBudget("shop", "web", "web", maxUnavailable("1"))
	c.Advance(noon.Add(time.Minute))
	s := c.Budget(web).Status
	condition := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
	if condition == nil || condition.Reason != policyv1.SyncFailedReason || s.ObservedGeneration != 0 || s.DisruptionsAllowed != 0 {
		t.Errorf("the status is %+v", s)
	}
}

// TestBudgetLag: between a change and its sync the budget has the old numbers.
func TestBudgetLag(t *testing.T) {
	c := New(Options{Start: noon, BudgetLag: time.Second, ReplaceLag: time.Hour})
	c.AddNode("n1", nil)
	run(c, Workload{Kind: Deployment, Replicas: 3}, 3, 0)
	c.AddBudget("shop", "web", "web", maxUnavailable("1"))
	if s := c.Budget(web).Status; s.ObservedGeneration != 0 {
		t.Fatalf("the budget is observed at once: %+v", s)
	}
	c.Advance(noon.Add(time.Minute))
	if err := c.DeletePod(pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after   time.Duration
		allowed int32
	}{{999 * time.Millisecond, 1}, {time.Second, 0}} {
		c.Advance(noon.Add(time.Minute).Add(step.after))
		if got := c.Budget(web).Status.DisruptionsAllowed; got != step.allowed {
			t.Errorf("%v after the deletion %d are allowed, want %d", step.after, got, step.allowed)
		}
	}
}

// TestDisruptedPods: an evicted pod that does not terminate counts as unhealthy
// for two minutes; one that terminates is dropped at once.
func TestDisruptedPods(t *testing.T) {
	c := newCluster(1)
	run(c, Workload{Kind: Deployment, Replicas: 3}, 3, 0)
	c.AddBudget("shop", "web", "web", maxUnavailable("1"))
	c.Advance(noon.Add(time.Second))
	other := Key{Namespace: "shop", Name: "web-2"}
	// The UID is compared only after the budget was charged.
	uid := c.Pod(other).UID
	if a := c.Evict(pod, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}, false); a.Error == nil {
		t.Fatal("a pod with another UID is evicted")
	}
	for _, step := range []struct {
		after             time.Duration
		allowed, disrupts int
	}{{time.Second, 0, 1}, {119 * time.Second, 0, 1}, {121 * time.Second, 1, 0}} {
		c.Advance(noon.Add(time.Second).Add(step.after))
		s := c.Budget(web).Status
		if int(s.DisruptionsAllowed) != step.allowed || len(s.DisruptedPods) != step.disrupts {
			t.Errorf("%v after the eviction %d are allowed and %v disrupted", step.after, s.DisruptionsAllowed, s.DisruptedPods)
		}
	}
	if a := c.Evict(other, metav1.DeleteOptions{}, false); a.Error != nil {
		t.Fatal(a.Error)
	}
	if s := c.Budget(web).Status; len(s.DisruptedPods) != 1 {
		t.Errorf("the eviction does not show: %v", s.DisruptedPods)
	}
	c.Advance(c.Now())
	if s := c.Budget(web).Status; len(s.DisruptedPods) != 0 {
		t.Errorf("a terminating pod is disrupted: %v", s.DisruptedPods)
	}
}

// TestSelection: a budget counts the pods that its selector currently selects,
// no matter whether the pod, its labels or the selector changed last.
func TestSelection(t *testing.T) {
	selector := func(app string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	}
	relabel := func(c *Cluster, app string) {
		c.UpdatePod(pod, func(p *corev1.Pod) { p.Labels = map[string]string{"app": app} })
	}
	one := func(c *Cluster) { run(c, Workload{Kind: Deployment, Replicas: 1}, 1, 0) }
	guard := func(c *Cluster) { c.AddBudget("shop", "web", "web", minAvailable("0")) }
	aim := func(c *Cluster, app string) {
		c.UpdateBudget(web, func(s *policyv1.PodDisruptionBudgetSpec) { s.Selector = selector(app) })
	}
	for name, test := range map[string]struct {
		steps func(c *Cluster)
		want  int32
	}{
		"the budget came last":      {func(c *Cluster) { one(c); guard(c) }, 1},
		"the pod came last":         {func(c *Cluster) { guard(c); one(c) }, 1},
		"another selector":          {func(c *Cluster) { one(c); guard(c); aim(c, "api") }, 0},
		"another selector and back": {func(c *Cluster) { one(c); guard(c); aim(c, "api"); aim(c, "web") }, 1},
		"other labels":              {func(c *Cluster) { one(c); guard(c); relabel(c, "api"); aim(c, "web") }, 0},
		"other labels and back":     {func(c *Cluster) { one(c); guard(c); relabel(c, "api"); relabel(c, "web") }, 1},
		"labels after the selector": {func(c *Cluster) { one(c); guard(c); aim(c, "api"); relabel(c, "api") }, 1},
		"the pod was replaced":      {func(c *Cluster) { one(c); guard(c); c.Delete(Pods, pod) }, 1},
		"an empty selector selects all": {func(c *Cluster) {
			one(c)
			guard(c)
			c.UpdateBudget(web, func(s *policyv1.PodDisruptionBudgetSpec) { s.Selector = &metav1.LabelSelector{} })
		}, 1},
		"a restored store": {func(c *Cluster) { one(c); guard(c); b := c.Backup(); c.Delete(Pods, pod); c.Restore(b) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(1)
			test.steps(c)
			c.Advance(noon.Add(time.Second))
			if got := c.Budget(web).Status.ExpectedPods; got != test.want {
				t.Errorf("the budget expects %d pods, want %d", got, test.want)
			}
		})
	}
}
