package simulate

import (
	"cmp"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/sim"
)

// scene is the model of the cluster, and what it assumes.
type scene struct {
	cluster *sim.Cluster
	starts  []StartTime
	notes   []string
}

// owner is a controller of pods.
type owner struct {
	uid                   types.UID
	kind, namespace, name string
	// workload is the name that people know: that of the Deployment.
	workload string
	replicas int
	// pods is how many it has; leaves is true if one of them is on a selected
	// node.
	pods     int
	leaves   bool
	template *corev1.PodTemplateSpec
	// guessed is true for a controller that is known by its pods alone.
	guessed bool
}

// newScene makes the model of a cluster. It keeps the start times of
// controllers with pods on the selected nodes.
func newScene(objects *Objects, o *Options, chosen []string) *scene {
	s := &scene{cluster: sim.New(sim.Options{
		Start: objects.latest(), BudgetLag: o.ControllerDelay, ReplaceLag: o.ControllerDelay, ScheduleLag: o.ControllerDelay,
	})}
	for i := range objects.Nodes {
		s.cluster.Put(sim.Nodes, objects.Nodes[i].DeepCopy())
	}
	for i := range objects.Namespaces {
		s.cluster.Put(sim.Namespaces, objects.Namespaces[i].DeepCopy())
	}
	s.addDaemonSets(objects)
	took := History(objects.Pods)
	behaviors := map[types.UID]sim.Behavior{}
	for _, w := range ownersOf(objects, chosen) {
		before, known := took[w.uid]
		start, source := o.startOf(w.namespace, w.workload, before, known)
		behaviors[w.uid] = s.adopt(w, o, start, source)
	}
	for i := range objects.Budgets {
		s.cluster.Put(sim.Budgets, objects.Budgets[i].DeepCopy())
	}
	for i := range objects.Pods {
		pod := objects.Pods[i].DeepCopy()
		b := sim.Behavior{StartsIn: unknownStart}
		if c := metav1.GetControllerOfNoCopy(pod); c != nil {
			if known, is := behaviors[c.UID]; is {
				b = known
			}
		}
		b.StopsIn, b.Lingers = o.stopOf(graceOf(&pod.Spec)), o.RemovalDelay
		s.cluster.AddPod(pod, b)
	}
	return s
}

// addDaemonSets adds those that exist: the listed ones, or, if none is listed,
// those that pods name.
func (s *scene) addDaemonSets(objects *Objects) {
	for i := range objects.DaemonSets {
		s.cluster.Put(sim.DaemonSets, objects.DaemonSets[i].DeepCopy())
	}
	if len(objects.DaemonSets) > 0 {
		return
	}
	named := map[types.UID]bool{}
	for i := range objects.Pods {
		c := metav1.GetControllerOfNoCopy(&objects.Pods[i])
		if c == nil || c.Kind != "DaemonSet" || named[c.UID] {
			continue
		}
		named[c.UID] = true
		s.cluster.Put(sim.DaemonSets, &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: objects.Pods[i].Namespace, Name: c.Name, UID: c.UID},
		})
	}
	if len(named) > 0 {
		s.notes = append(s.notes, "no DaemonSet is listed: every DaemonSet that a pod names is assumed to exist")
	}
}

// adopt adds a controller, and returns how its pods behave.
func (s *scene) adopt(w *owner, o *Options, start time.Duration, source string) sim.Behavior {
	if w.leaves {
		s.starts = append(s.starts, StartTime{
			Namespace: w.namespace, Controller: w.workload, Seconds: start.Seconds(), Source: source, Pods: w.pods,
		})
	}
	grace := graceOf(&w.template.Spec)
	// A new pod is created and bound before it starts.
	b := sim.Behavior{StartsIn: max(0, start-o.ControllerDelay), StopsIn: o.stopOf(grace), Lingers: o.RemovalDelay}
	s.cluster.Adopt(sim.Workload{
		Kind: sim.Kind(w.kind), Namespace: w.namespace, Name: w.name, Replicas: w.replicas,
		Labels: w.template.Labels, NodeSelector: w.template.Spec.NodeSelector, Grace: grace, Behavior: b,
	}, w.uid)
	return b
}

func graceOf(spec *corev1.PodSpec) time.Duration {
	if s := spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}

// ownersOf are the controllers of pods other than DaemonSets, in order.
func ownersOf(objects *Objects, chosen []string) []*owner {
	owners := map[types.UID]*owner{}
	for i := range objects.ReplicaSets {
		rs := &objects.ReplicaSets[i]
		w := &owner{
			uid: rs.UID, kind: "ReplicaSet", namespace: rs.Namespace, name: rs.Name, workload: rs.Name,
			replicas: scale(rs.Spec.Replicas), template: &rs.Spec.Template,
		}
		if d := metav1.GetControllerOfNoCopy(rs); d != nil {
			w.workload = d.Name
		}
		owners[rs.UID] = w
	}
	for i := range objects.StatefulSets {
		set := &objects.StatefulSets[i]
		owners[set.UID] = &owner{
			uid: set.UID, kind: "StatefulSet", namespace: set.Namespace, name: set.Name, workload: set.Name,
			replicas: scale(set.Spec.Replicas), template: &set.Spec.Template,
		}
	}
	for i := range objects.Pods {
		if w := guess(owners, &objects.Pods[i]); w != nil {
			w.leaves = w.leaves || slices.Contains(chosen, objects.Pods[i].Spec.NodeName)
		}
	}
	maps.DeleteFunc(owners, func(_ types.UID, w *owner) bool { return w.replicas == 0 && w.pods == 0 })
	sorted := make([]*owner, 0, len(owners))
	for _, w := range owners {
		sorted = append(sorted, w)
	}
	slices.SortFunc(sorted, func(a, b *owner) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name), cmp.Compare(a.uid, b.uid))
	})
	return sorted
}

// guess counts a pod of its controller. A controller that is not listed, such
// as a Job or one of another API, is assumed to want as many pods as it has. It
// returns the controller; nil for none, and for one that does not count.
func guess(owners map[types.UID]*owner, pod *corev1.Pod) *owner {
	c := metav1.GetControllerOfNoCopy(pod)
	if c == nil || c.Kind == "DaemonSet" || c.Kind == "Node" {
		return nil
	}
	w := owners[c.UID]
	if w == nil {
		w = &owner{
			uid: c.UID, kind: c.Kind, namespace: pod.Namespace, name: c.Name, workload: c.Name, guessed: true,
			template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
		}
		owners[c.UID] = w
	}
	w.pods++
	if w.guessed && pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
		w.replicas++
	}
	return w
}

func scale(replicas *int32) int {
	if replicas == nil {
		return 1
	}
	return int(*replicas)
}
