package sim

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Kind is a kind of controller.
type Kind string

// The kinds of controllers. The pods of a Deployment belong to a ReplicaSet.
const (
	Deployment  Kind = "Deployment"
	StatefulSet Kind = "StatefulSet"
	DaemonSet   Kind = "DaemonSet"
	Job         Kind = "Job"
)

// Workload is a controller and the pods that it wants.
type Workload struct {
	Kind            Kind
	Namespace, Name string
	// Replicas is the scale; a DaemonSet has one pod on every node instead.
	Replicas int
	// Surge is how many pods a Deployment runs on top of its scale, as in a
	// rollout that has created new pods and deleted no old ones yet.
	Surge int
	// Ordered lets a StatefulSet create a pod only when those with a lower number
	// are Ready, as podManagementPolicy OrderedReady does; it is Parallel if false.
	Ordered bool
	// Labels are those of the pods, app=Name if nil.
	Labels map[string]string
	// Annotations are those of the pods.
	Annotations map[string]string
	// NodeSelector says which nodes take the pods; nil for all.
	NodeSelector map[string]string
	// Grace is the pods' termination grace period in whole seconds, 30s if 0.
	Grace time.Duration
	Behavior
}

// workload is a Workload with its identity.
type workload struct {
	Workload
	uid types.UID
	// created numbers the pods.
	created int
}

// Run adds a workload whose first pods are Running and Ready on the nodes
// named, one on each mention. The scheduler places the others.
func (c *Cluster) Run(w Workload, nodes ...string) {
	if w.Labels == nil {
		w.Labels = map[string]string{"app": w.Name}
	}
	if w.Grace == 0 {
		w.Grace = 30 * time.Second
	}
	added := &workload{Workload: w, uid: c.newUID()}
	c.workloads[added.uid] = added
	if w.Kind == DaemonSet {
		c.Put(DaemonSets, &appsv1.DaemonSet{
			TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"},
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: w.Name, UID: added.uid},
		})
		nodes = c.names
	}
	for _, node := range nodes {
		pod := c.template(added)
		pod.Spec.NodeName = node
		SetReady(pod, true, c.now)
		c.AddPod(pod, w.Behavior)
	}
	c.after(c.options.ReplaceLag, step{deed: syncWorkload, uid: added.uid})
}

// Place scales a workload up by one pod, which is Running and Ready on the node,
// past the scheduler and whether or not the node is cordoned.
func (c *Cluster) Place(namespace, name, node string) {
	for _, w := range c.workloads {
		if w.Namespace == namespace && w.Name == name {
			w.Replicas++
			pod := c.template(w)
			pod.Spec.NodeName = node
			SetReady(pod, true, c.now)
			c.AddPod(pod, w.Behavior)
		}
	}
}

// Scale changes a workload's number of replicas.
func (c *Cluster) Scale(namespace, name string, replicas int) {
	for _, w := range c.workloads {
		if w.Namespace == namespace && w.Name == name {
			w.Replicas = replicas
			c.after(c.options.ReplaceLag, step{deed: syncWorkload, uid: w.uid})
		}
	}
}

// Replicas is the scale of the controller of the UID; known is false if there is none.
func (c *Cluster) Replicas(uid types.UID) (replicas int, known bool) {
	if w := c.workloads[uid]; w != nil {
		return w.Replicas, true
	}
	return 0, false
}

// ownerOf names what controls the pods of the workload.
func (c *Cluster) ownerOf(w *workload) metav1.OwnerReference {
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: string(w.Kind), Name: w.Name, UID: w.uid, Controller: new(true)}
	switch w.Kind {
	case Deployment:
		owner.Kind, owner.Name = "ReplicaSet", w.Name+"-1"
	case Job:
		owner.APIVersion = "batch/v1"
	}
	return owner
}

// template is a new pod of the workload.
func (c *Cluster) template(w *workload) *corev1.Pod {
	seconds := int64(w.Grace / time.Second)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Namespace, Name: c.podName(w), Labels: w.Labels, Annotations: w.Annotations,
			OwnerReferences: []metav1.OwnerReference{c.ownerOf(w)},
		},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &seconds, NodeSelector: w.NodeSelector, Containers: []corev1.Container{{Name: "main", Image: "example.org/app"}},
		},
	}
}

// Controller is the ReplicaSet or StatefulSet of the name, with its scale; nil if
// there is none.
func (c *Cluster) Controller(r Resource, key Key) Object {
	for uid, w := range c.workloads {
		owner := c.ownerOf(w)
		if w.Namespace != key.Namespace || owner.Name != key.Name {
			continue
		}
		meta := metav1.ObjectMeta{Namespace: w.Namespace, Name: owner.Name, UID: uid}
		kind, scale := metav1.TypeMeta{APIVersion: "apps/v1", Kind: owner.Kind}, int32(w.Replicas)
		switch {
		case r == StatefulSets && owner.Kind == "StatefulSet":
			return &appsv1.StatefulSet{TypeMeta: kind, ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &scale}}
		case r == ReplicaSets && owner.Kind == "ReplicaSet":
			return &appsv1.ReplicaSet{TypeMeta: kind, ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: &scale}}
		}
	}
	return nil
}

// podName is a name that no pod has: the first free name of a StatefulSet, or a
// new one.
func (c *Cluster) podName(w *workload) string {
	if w.Kind == StatefulSet {
		for i := 0; ; i++ {
			name := fmt.Sprintf("%s-%d", w.Name, i)
			if c.Pod(Key{Namespace: w.Namespace, Name: name}) == nil {
				return name
			}
		}
	}
	w.created++
	return fmt.Sprintf("%s-%d", w.Name, w.created)
}

// workloadOf is the workload that controls the pod, or nil.
func (c *Cluster) workloadOf(pod *corev1.Pod) *workload {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		return c.workloads[owner.UID]
	}
	return nil
}

// syncWorkload creates and deletes pods until there are as many as wanted. The
// pods of a StatefulSet are missing only once they are gone.
func (c *Cluster) syncWorkload(uid types.UID) {
	w := c.workloads[uid]
	var have []*corev1.Pod
	for _, o := range c.podsOf(uid) {
		pod := o.(*corev1.Pod)
		if finished(pod) || pod.DeletionTimestamp != nil && w.Kind != StatefulSet {
			continue
		}
		have = append(have, pod)
	}
	if w.Kind == DaemonSet {
		c.syncDaemonSet(w, have)
		return
	}
	want := w.Replicas + w.Surge
	if w.Ordered {
		if slices.ContainsFunc(have, func(p *corev1.Pod) bool { return !podReady(p) || p.DeletionTimestamp != nil }) {
			return
		}
		want = min(want, len(have)+1)
	}
	for range want - len(have) {
		c.AddPod(c.template(w), w.Behavior)
	}
	for i := len(have) - 1; i >= want; i-- {
		c.terminate(have[i], nil)
	}
}

// syncDaemonSet creates the pods that are missing, cordoned nodes included.
func (c *Cluster) syncDaemonSet(w *workload, have []*corev1.Pod) {
	on := map[string]bool{}
	for _, pod := range have {
		on[pod.Spec.NodeName] = true
	}
	for _, node := range c.names {
		if !on[node] {
			pod := c.template(w)
			pod.Spec.NodeName = node
			c.AddPod(pod, w.Behavior)
		}
	}
}
