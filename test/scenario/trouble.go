package scenario

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/sim"
)

// trouble is what happens to the cluster besides drains.
func (g *generator) trouble() {
	for range g.IntN("troubles", 4) {
		at := g.between("trouble", 0, 90*time.Second)
		switch pick(g, "trouble", "evicts", "deletes", "scales", "lands", "finalizer", "not ready", "gone", "new", "taint", "webhook", "crash", "crash") {
		case "evicts":
			node := g.node()
			g.step(at, onPods(node, func(c *sim.Cluster, p *corev1.Pod) { c.Evict(keyOf(p), metav1.DeleteOptions{}, false) }), "somebody else evicts what is on %s", node)
		case "deletes":
			node := g.node()
			g.step(at, onPods(node, func(c *sim.Cluster, p *corev1.Pod) { _ = c.DeletePod(keyOf(p), metav1.DeleteOptions{}) }), "somebody else deletes what is on %s", node)
		case "scales":
			g.scale(at)
		case "lands":
			g.land(at)
		case "finalizer":
			g.finalizer(at)
		case "not ready":
			g.notReady(at)
		case "gone":
			g.gone(at)
		case "new":
			name := fmt.Sprintf("new%d", g.IntN("new", 3))
			g.step(at, func(h Hands) { h.Cluster(func(c *sim.Cluster) { addNode(c, name, poolA, time.Time{}) }) }, "node %s comes", name)
		case "taint":
			g.taint(at)
		case "webhook":
			g.webhook(at)
		case "crash":
			g.step(at, func(h Hands) { h.Crash() }, "the daemon crashes")
			g.step(at+pick[time.Duration](g, "restart", 100, 0, 5000, 20000)*time.Millisecond, func(h Hands) { h.Start() }, "a daemon starts")
		}
	}
}

func keyOf(p *corev1.Pod) sim.Key { return sim.Key{Namespace: p.Namespace, Name: p.Name} }

// onPods does something to every other pod of a node.
func onPods(node string, do func(*sim.Cluster, *corev1.Pod)) func(Hands) {
	return func(h Hands) {
		h.Cluster(func(c *sim.Cluster) {
			for i, o := range c.PodsOn(node) {
				if p := o.(*corev1.Pod); i%2 == 0 && p.Annotations[corev1.MirrorPodAnnotationKey] == "" && c.Pod(keyOf(p)) != nil {
					do(c, p)
				}
			}
		})
	}
}

// addNode adds a node that was created at the time, or is new if that is zero.
func addNode(c *sim.Cluster, name string, labels map[string]string, created time.Time) {
	if c.Node(name) != nil {
		return
	}
	c.AddNode(name, labels)
	if !created.IsZero() {
		c.UpdateNode(name, func(n *corev1.Node) { n.CreationTimestamp = metav1.NewTime(created) })
	}
}

var poolA = map[string]string{"pool": "a"}

// scale changes the scale of a Deployment or StatefulSet, if there is one of the
// name. Nobody does if rules look at scales: drainer reads them every few minutes
// only, so that the checker could not say what it has to know.
func (g *generator) scale(at time.Duration) {
	name, to := fmt.Sprintf("%s-%d", pick(g, "scaled", "de", "st"), g.IntN("scaled", 12)), g.IntN("scale", 14)
	g.step(at, func(h Hands) {
		if g.looksAtScales() {
			return
		}
		h.Cluster(func(c *sim.Cluster) {
			for _, namespace := range namespaces {
				c.Scale(namespace, name, to)
			}
		})
	}, "%s is scaled to %d", name, to)
}

// land puts a pod on a node past the scheduler, which changes the scale of its
// Deployment.
func (g *generator) land(at time.Duration) {
	name, node := fmt.Sprintf("de-%d", g.IntN("landed", 12)), g.node()
	g.step(at, func(h Hands) {
		if g.looksAtScales() {
			return
		}
		h.Cluster(func(c *sim.Cluster) {
			for _, namespace := range namespaces {
				if c.Node(node) != nil {
					c.Place(namespace, name, node)
				}
			}
		})
	}, "a pod of %s lands on %s past the scheduler", name, node)
}

// finalizer holds pods for a while, some of which terminate already.
func (g *generator) finalizer(at time.Duration) {
	node, released := g.node(), at+g.between("released", time.Second, 2*time.Minute)
	deletes := g.chance("deleted, too", 50)
	g.step(at, onPods(node, func(c *sim.Cluster, p *corev1.Pod) {
		if p.DeletionTimestamp == nil {
			c.UpdatePod(keyOf(p), func(p *corev1.Pod) { p.Finalizers = []string{"example.org/hold"} })
			if deletes {
				_ = c.DeletePod(keyOf(p), metav1.DeleteOptions{})
			}
		}
	}), "pods on %s have a finalizer, deleted %v", node, deletes)
	if g.chance("stays held", 10) {
		return
	}
	g.step(released, func(h Hands) {
		h.Cluster(func(c *sim.Cluster) {
			for _, o := range c.List(sim.Pods) {
				if p := o.(*corev1.Pod); len(p.Finalizers) > 0 {
					c.UpdatePod(keyOf(p), func(p *corev1.Pod) { p.Finalizers = nil })
				}
			}
		})
	}, "finalizers are removed")
}

func (g *generator) notReady(at time.Duration) {
	node := g.node()
	g.step(at, readiness(node, corev1.ConditionUnknown), "%s is not Ready", node)
	g.step(at+g.between("ready again", time.Second, 3*time.Minute), readiness(node, corev1.ConditionTrue), "%s is Ready again", node)
}

// readiness sets the condition Ready of a node.
func readiness(node string, status corev1.ConditionStatus) func(Hands) {
	return func(h Hands) {
		h.Cluster(func(c *sim.Cluster) {
			if c.Node(node) != nil {
				c.UpdateNode(node, func(n *corev1.Node) {
					for i := range n.Status.Conditions {
						if n.Status.Conditions[i].Type == corev1.NodeReady {
							n.Status.Conditions[i].Status, n.Status.Conditions[i].LastTransitionTime = status, metav1.NewTime(c.Now())
						}
					}
				})
			}
		})
	}
}

// unreachable lets drainer not wait for what is on unreachable nodes, some of which
// stay so.
func (g *generator) unreachable() {
	if !g.chance("ignores unreachable nodes", 20) {
		return
	}
	g.UnreachableAfter = g.between("unreachable for", 5*time.Second, 90*time.Second).Truncate(time.Second)
	for range 1 + g.IntN("unreachable", 2) {
		node, at := g.node(), g.between("unreachable", 0, 90*time.Second)
		g.step(at, readiness(node, corev1.ConditionUnknown), "%s is unreachable", node)
		if g.chance("reachable again", 50) {
			g.step(at+g.between("reachable again", time.Second, 3*time.Minute), readiness(node, corev1.ConditionTrue), "%s is reachable again", node)
		}
	}
	g.rest = max(g.rest, g.UnreachableAfter+time.Minute)
}

// gone deletes a node with its pods; another of the name may come.
func (g *generator) gone(at time.Duration) {
	node := g.node()
	g.step(at, func(h Hands) {
		h.Cluster(func(c *sim.Cluster) {
			c.Delete(sim.Nodes, sim.Key{Name: node})
			for _, o := range c.PodsOn(node) {
				c.Delete(sim.Pods, keyOf(o.(*corev1.Pod)))
			}
		})
	}, "%s is deleted", node)
	if g.chance("comes back", 60) {
		g.step(at+g.between("comes back", 10*time.Millisecond, 30*time.Second), func(h Hands) {
			h.Cluster(func(c *sim.Cluster) { addNode(c, node, poolA, time.Time{}) })
		}, "another %s comes", node)
	}
}

func (g *generator) taint(at time.Duration) {
	node := g.node()
	set := func(taints ...corev1.Taint) func(Hands) {
		return func(h Hands) {
			h.Cluster(func(c *sim.Cluster) {
				if n := c.Node(node); n != nil {
					c.UpdateNode(node, func(n *corev1.Node) { n.Spec.Taints = taints })
				}
			})
		}
	}
	key := pick(g, "taint", "example.org/full", "ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted")
	g.step(at, set(corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule}), "%s is tainted %s", node, key)
	g.step(at+g.between("untainted", time.Second, time.Minute), set(), "%s is not tainted", node)
}

// webhook lets the evictions of a namespace be slow, or denied, for a while.
func (g *generator) webhook(at time.Duration) {
	namespace := pick(g, "namespace", namespaces...)
	hook := &sim.Webhook{Takes: pick[time.Duration](g, "webhook takes", 10, 500, 5000, 20000) * time.Millisecond}
	text := pick(g, "webhook", "slow", "denies", "denies for now", "fails")
	switch text {
	case "denies":
		hook.Error = sim.WebhookDenied("evictions.example.org", "not now", 403, 0)
	case "denies for now":
		hook.Error = sim.WebhookDenied("evictions.example.org", "not now", 429, 5*time.Second)
	case "fails":
		hook.Error = sim.WebhookFailed("evictions.example.org")
	}
	set := func(w *sim.Webhook) func(Hands) {
		return func(h Hands) { h.Cluster(func(c *sim.Cluster) { c.Namespace(namespace).Webhook = w }) }
	}
	g.step(at, set(hook), "a webhook for evictions in %s: %s, takes %v", namespace, text, hook.Takes)
	g.step(at+g.between("webhook ends", time.Second, 2*time.Minute), set(nil), "no webhook in %s", namespace)
}
