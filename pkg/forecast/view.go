package forecast

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// view is what the daemon's watches have shown: the cluster as it was a moment
// ago.
type view struct {
	daemon *daemon
	// listed is the version of the cluster that was listed first; watches deliver
	// later changes.
	listed uint64
	synced bool

	nodes      map[string]*plan.Node
	nodeList   []*plan.Node // rebuilt when nil
	daemonSets map[types.UID]bool
	// namespaces are the labels of namespaces that rules look at.
	namespaces map[string]labels.Set
	control    plan.Control
	pods       map[string]*nodePods
	// shown is when the newest change of each resource is shown.
	shown map[sim.Resource]time.Time
}

// nodePods is the watch of one node's pods.
type nodePods struct {
	// listed is as in view; 0 until the list has come.
	listed uint64
	pods   map[types.UID]*plan.Pod
	list   []*plan.Pod // sorted; rebuilt when nil
}

func newView(d *daemon) *view {
	return &view{
		daemon: d, nodes: map[string]*plan.Node{}, daemonSets: map[types.UID]bool{}, namespaces: map[string]labels.Set{}, pods: map[string]*nodePods{},
		shown: map[sim.Resource]time.Time{},
	}
}

// list reads the current cluster.
func (v *view) list() {
	c := v.daemon.loop.cluster
	v.listed, v.synced = c.Version(), true
	for _, o := range c.List(sim.Nodes) {
		n := v.nodeOf(o.(*corev1.Node))
		v.nodes[n.Name] = n
	}
	for _, o := range c.List(sim.ConfigMaps) {
		v.showControl(o.(*corev1.ConfigMap), false)
	}
	for _, o := range c.List(sim.DaemonSets) {
		v.daemonSets[o.GetUID()] = true
	}
	for _, o := range c.List(sim.Namespaces) {
		v.showNamespace(o.(*corev1.Namespace), false)
	}
	for _, o := range c.List(sim.Budgets) {
		if b, err := plan.BudgetOf(o.(*policyv1.PodDisruptionBudget)); err == nil {
			v.daemon.ledger.Observe(b)
		}
	}
}

// watch shows a change of the cluster after the watch's lag.
func (v *view) watch(c sim.Change) {
	if !v.synced || c.Version <= v.listed {
		return
	}
	l := v.daemon.loop
	at := l.Now().Add(l.options.WatchLag)
	if l.options.Lag != nil {
		at = at.Add(l.options.Lag(c))
	}
	if last := v.shown[c.Resource]; at.Before(last) {
		at = last
	}
	v.shown[c.Resource] = at
	if c.Resource == sim.Pods && !v.follows(c) {
		return
	}
	l.At(at, func() {
		if !v.daemon.dead {
			v.show(c)
		}
	})
}

// follows is true for a change of a pod on a watched node.
func (v *view) follows(c sim.Change) bool {
	node := c.Object.(*corev1.Pod).Spec.NodeName
	return node != "" && v.pods[node] != nil
}

func (v *view) show(c sim.Change) {
	gone := c.Type == watch.Deleted
	switch o := c.Object.(type) {
	case *corev1.Node:
		v.showNode(o, gone)
	case *corev1.ConfigMap:
		v.showControl(o, gone)
	case *corev1.Pod:
		v.showPod(o, c.Version, gone)
	case *policyv1.PodDisruptionBudget:
		v.showBudget(o, gone)
	case *corev1.Namespace:
		v.showNamespace(o, gone)
	case *appsv1.DaemonSet:
		// Plans hold the set: it is copied.
		v.daemonSets = maps.Clone(v.daemonSets)
		if delete(v.daemonSets, o.UID); !gone {
			v.daemonSets[o.UID] = true
		}
		v.daemon.wake()
	}
}

func (v *view) nodeOf(node *corev1.Node) *plan.Node {
	return v.daemon.loop.options.Selectors.NodeOf(node)
}

func (v *view) showNode(o *corev1.Node, gone bool) {
	v.nodeList = nil
	if gone {
		delete(v.nodes, o.Name)
	} else {
		v.nodes[o.Name] = v.nodeOf(o)
	}
	v.daemon.wake()
}

// showNamespace copies what plans hold.
func (v *view) showNamespace(o *corev1.Namespace, gone bool) {
	v.namespaces = maps.Clone(v.namespaces)
	if delete(v.namespaces, o.Name); !gone {
		v.namespaces[o.Name] = v.daemon.loop.options.Selectors.Rules.LabelsOf(o)
	}
	v.daemon.wake()
}

func (v *view) showControl(o *corev1.ConfigMap, gone bool) {
	if o.Name != api.ControlName {
		return
	}
	if v.control = plan.ControlOf(o); gone {
		v.control = plan.Control{}
	}
	v.daemon.wake()
}

func (v *view) showBudget(o *policyv1.PodDisruptionBudget, gone bool) {
	b, err := plan.BudgetOf(o)
	switch {
	case gone || err != nil:
		v.daemon.ledger.Forget(types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
		v.daemon.wake()
	case v.daemon.ledger.Observe(b):
		v.daemon.wake()
	default:
		v.daemon.wakeSoon()
	}
}

func (v *view) showPod(o *corev1.Pod, version uint64, gone bool) {
	p := v.pods[o.Spec.NodeName]
	if p == nil || p.listed == 0 || version <= p.listed {
		return
	}
	if gone {
		delete(p.pods, o.UID)
		p.list = nil
		v.daemon.wakeSoon()
		return
	}
	pod := v.daemon.loop.options.Selectors.PodOf(o)
	if reflect.DeepEqual(p.pods[o.UID], pod) {
		return
	}
	p.pods[o.UID], p.list = pod, nil
	if o.DeletionTimestamp != nil {
		v.daemon.wakeSoon()
		return
	}
	v.daemon.wake()
}

// watchPods starts missing watches of nodes' pods and stops those that are no
// longer needed.
func (v *view) watchPods(needed map[string]bool) {
	for name := range v.pods {
		if !needed[name] {
			delete(v.pods, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		if needed[name] && v.pods[name] == nil {
			v.listPods(name)
		}
	}
}

// listPods begins the watch of a node's pods: with a list, as it is when the
// API server reads it.
func (v *view) listPods(name string) {
	l, p := v.daemon.loop, &nodePods{pods: map[types.UID]*plan.Pod{}}
	v.pods[name] = p
	l.After(l.options.Latency/2, func() {
		version, there := l.cluster.Version(), l.cluster.PodsOn(name)
		l.After(l.options.Latency/2, func() {
			if v.daemon.dead || v.pods[name] != p {
				return
			}
			p.listed = version
			for _, o := range there {
				p.pods[o.GetUID()] = l.options.Selectors.PodOf(o.(*corev1.Pod))
			}
			v.daemon.wake()
		})
	})
}

// allNodes are the nodes, in order.
func (v *view) allNodes() []*plan.Node {
	if v.nodeList == nil {
		v.nodeList = make([]*plan.Node, 0, len(v.nodes))
		for _, name := range slices.Sorted(maps.Keys(v.nodes)) {
			v.nodeList = append(v.nodeList, v.nodes[name])
		}
	}
	return v.nodeList
}

// allPods are the pods of the nodes whose list is complete, in order.
func (v *view) allPods() map[string][]*plan.Pod {
	all := make(map[string][]*plan.Pod, len(v.pods))
	for name, p := range v.pods {
		if p.listed == 0 {
			continue
		}
		if p.list == nil {
			p.list = slices.SortedFunc(maps.Values(p.pods), func(a, b *plan.Pod) int {
				return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
			})
			if p.list == nil {
				p.list = []*plan.Pod{}
			}
		}
		all[name] = p.list
	}
	return all
}
