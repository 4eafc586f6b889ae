package scenario

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/sim"
)

var namespaces = []string{"shop", "data", "sys"}

// app is a workload, or pods that look like one.
type app struct{ namespace, name string }

func (a app) labels() map[string]string {
	return map[string]string{"app": a.name, "tier": a.name[len(a.name)-1:]}
}

// replicasLabel tells the checker how many replicas the controller of a pod has whose
// scale drainer reads.
const replicasLabel = "replicas"

// workloads adds pods of all kinds, and budgets over them.
func (g *generator) workloads() {
	for i := range 5 + g.IntN("workloads", 10) {
		kind := pick(g, "kind", "deployment", "deployment", "deployment", "deployment", "deployment", "deployment", "deployment", "deployment",
			"stateful set", "stateful set", "stateful set", "stateful set", "daemon set", "job", "bare", "static", "finished", "orphans", "empty dir")
		a := app{namespaces[g.IntN("namespace", len(namespaces))], fmt.Sprintf("%s-%d", kind[:2], i)}
		switch kind {
		case "deployment":
			g.run(a, sim.Deployment)
		case "stateful set":
			g.run(a, sim.StatefulSet)
		case "daemon set":
			g.run(a, sim.DaemonSet)
		case "job":
			g.run(a, sim.Job)
		default:
			g.strays(a, kind)
		}
		g.budgets(a)
	}
	if g.chance("budget over a tier", 12) {
		g.budget(app{pick(g, "namespace", namespaces...), "tier"}, map[string]string{"tier": fmt.Sprint(g.IntN("tier", 4))})
	}
}

func (g *generator) behavior() sim.Behavior {
	return sim.Behavior{
		StartsIn: pick[time.Duration](g, "starts in", 1000, 200, 5000, 20000) * time.Millisecond,
		StopsIn:  pick[time.Duration](g, "stops in", 1000, 100, 5000, 40000) * time.Millisecond,
	}
}

// run adds a workload of a kind that the model knows.
func (g *generator) run(a app, kind sim.Kind) {
	w := sim.Workload{
		Kind: kind, Namespace: a.namespace, Name: a.name, Labels: a.labels(),
		Grace: pick[time.Duration](g, "grace", 30, 2, 60) * time.Second, Behavior: g.behavior(),
	}
	var on []string
	if kind == sim.DaemonSet {
		g.Pods += len(g.Nodes)
	} else {
		for range 1 + g.IntN("replicas", 18) {
			on = append(on, g.node())
		}
		g.Pods += len(on)
	}
	if w.Replicas = len(on); kind == sim.Deployment || kind == sim.StatefulSet {
		w.Labels[replicasLabel] = fmt.Sprint(w.Replicas)
	}
	if kind == sim.Deployment && g.chance("only in a pool", 12) {
		w.NodeSelector = map[string]string{"pool": "b"}
	}
	w.Ordered = kind == sim.StatefulSet && g.chance("ordered", 30)
	if kind == sim.Deployment && g.chance("surge", 10) {
		w.Surge = 1
	}
	g.build(func(c *sim.Cluster) { c.Run(w, on...) }, "%s %s/%s on %v, ordered %v, surge %d, %+v, grace %v, only on %v", kind, a.namespace, a.name, on, w.Ordered, w.Surge, w.Behavior, w.Grace, w.NodeSelector)
	if len(on) > 0 && g.chance("unready", 20) {
		g.unready(a, 1)
	}
}

// unready lets a pod of a workload not be Ready for a while.
func (g *generator) unready(a app, pod int) {
	key := sim.Key{Namespace: a.namespace, Name: fmt.Sprintf("%s-%d", a.name, pod)}
	set := func(ready bool) func(Hands) {
		return func(h Hands) {
			h.Cluster(func(c *sim.Cluster) {
				if p := c.Pod(key); p != nil && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
					c.UpdatePod(key, func(p *corev1.Pod) { sim.SetReady(p, ready, c.Now()) })
				}
			})
		}
	}
	from := pick[time.Duration](g, "unready from", 0, 0, 10, 40) * time.Second
	g.step(from, set(false), "pod %s is not Ready", key)
	if g.chance("ready again", 70) {
		g.step(from+g.between("ready again", time.Second, time.Minute), set(true), "pod %s is Ready again", key)
	}
}

// strays adds pods that no controller of the model runs.
func (g *generator) strays(a app, kind string) {
	uid := types.UID("owner-of-" + a.name)
	if kind == "empty dir" {
		g.build(func(c *sim.Cluster) {
			c.Adopt(sim.Workload{Kind: sim.Deployment, Namespace: a.namespace, Name: a.name, Labels: a.labels(), Behavior: sim.Behavior{StartsIn: time.Second, StopsIn: time.Second}}, uid)
		}, "deployment %s/%s", a.namespace, a.name)
	}
	b := g.behavior()
	for i := range 1 + g.IntN("strays", 3) {
		node := g.node()
		make := func(now time.Time) *corev1.Pod {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: fmt.Sprintf("%s-x%d", a.name, i), Labels: a.labels()}}
			pod.Spec.NodeName = node
			sim.SetReady(pod, true, now)
			shape(pod, kind, uid)
			return pod
		}
		g.Pods++
		g.build(func(c *sim.Cluster) { c.AddPod(make(c.Now()), b) }, "%s pod %s/%s-x%d on %s", kind, a.namespace, a.name, i, node)
	}
}

// shape makes a pod one of a kind.
func shape(pod *corev1.Pod, kind string, uid types.UID) {
	switch kind {
	case "bare":
	case "static":
		pod.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		pod.OwnerReferences = ownedBy("Node", "v1", pod.Spec.NodeName, string(uid))
	case "finished":
		pod.OwnerReferences = ownedBy("Job", "batch/v1", "job", string(uid))
		pod.Status.Phase = corev1.PodSucceeded
		for i := range pod.Status.Conditions {
			if pod.Status.Conditions[i].Type == corev1.PodReady {
				pod.Status.Conditions[i].Status = corev1.ConditionFalse
			}
		}
	case "orphans":
		pod.OwnerReferences = ownedBy("DaemonSet", "apps/v1", "gone", string(uid))
	case "empty dir":
		pod.OwnerReferences = ownedBy("ReplicaSet", "apps/v1", "cache", string(uid))
		pod.Spec.Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
}

// budgets adds the budgets of a workload: one mostly, sometimes none or two.
func (g *generator) budgets(a app) {
	if g.chance("no budget", 20) {
		return
	}
	g.budget(a, map[string]string{"app": a.name})
	if g.chance("two budgets", 8) {
		g.budget(app{a.namespace, a.name + "-too"}, map[string]string{"app": a.name})
	}
}

// limit draws how much a budget allows.
func (g *generator) limit() (policyv1.PodDisruptionBudgetSpec, string) {
	text := pick(g, "limit", "max 1", "max 1", "max 2", "max 30%", "max 50%", "max 0", "min 1", "min 2", "min 50%", "min 80%", "min 100%", "max 100%")
	var spec policyv1.PodDisruptionBudgetSpec
	value := intstr.Parse(text[len("max "):])
	if text[:3] == "max" {
		spec.MaxUnavailable = &value
	} else {
		spec.MinAvailable = &value
	}
	if g.chance("always allow", 25) {
		spec.UnhealthyPodEvictionPolicy = new(policyv1.AlwaysAllow)
		text += ", AlwaysAllow"
	}
	return spec, text
}

func (g *generator) budget(a app, selector map[string]string) {
	spec, text := g.limit()
	spec.Selector = &metav1.LabelSelector{MatchLabels: selector}
	g.Budgets++
	managed := g.chance("managed budget", 10)
	g.build(func(c *sim.Cluster) {
		c.AddBudget(a.namespace, a.name, "", spec)
		if b := c.Budget(sim.Key{Namespace: a.namespace, Name: a.name}).DeepCopy(); managed {
			b.OwnerReferences = ownedBy("Cluster", "example.org/v1", a.name, "cluster-"+a.name)
			c.Put(sim.Budgets, b)
		}
	}, "budget %s/%s over %v: %s, managed %v", a.namespace, a.name, selector, text, managed)
	if g.chance("budget changes", 10) {
		changed, text := g.limit()
		g.step(g.between("budget changes", time.Second, 90*time.Second), func(h Hands) {
			h.Cluster(func(c *sim.Cluster) {
				if key := (sim.Key{Namespace: a.namespace, Name: a.name}); c.Budget(key) != nil {
					c.UpdateBudget(key, func(s *policyv1.PodDisruptionBudgetSpec) { changed.Selector = s.Selector; *s = changed })
				}
			})
		}, "budget %s/%s becomes %s", a.namespace, a.name, text)
	}
	if g.chance("budget goes", 3) {
		g.step(g.between("budget goes", time.Second, 90*time.Second), func(h Hands) {
			h.Cluster(func(c *sim.Cluster) { c.Delete(sim.Budgets, sim.Key{Namespace: a.namespace, Name: a.name}) })
		}, "budget %s/%s is deleted", a.namespace, a.name)
	}
}
