package sim

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Behavior is how a pod's containers behave on a node.
type Behavior struct {
	// StartsIn is how long a pod takes from its binding until it is Ready.
	StartsIn time.Duration
	// StopsIn is how long a pod takes from its deletion until it is gone; the
	// grace period bounds it.
	StopsIn time.Duration
	// Lingers is how much longer than that the pod is there: what its kubelet and the
	// API server add. The grace period does not bound it.
	Lingers time.Duration
}

// AddPod adds a pod. A pod without a node waits for the scheduler; a pod that
// is Running and Ready stays that way.
func (c *Cluster) AddPod(pod *corev1.Pod, b Behavior) {
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	if pod.Status.Phase == "" {
		pod.Status.Phase = corev1.PodPending
	}
	if pod.UID == "" {
		pod.UID = c.newUID()
	}
	if pod.Spec.NodeName != "" {
		setScheduled(pod, c.now)
	}
	c.behaviors[pod.UID] = b
	c.Put(Pods, pod)
}

// Pod returns a pod, or nil. It must not be changed.
func (c *Cluster) Pod(key Key) *corev1.Pod {
	o, found := c.Get(Pods, key)
	if !found {
		return nil
	}
	return o.(*corev1.Pod)
}

// UpdatePod stores a changed copy of a pod that exists. A terminating pod whose
// last finalizer is removed is deleted if its kubelet has finished it.
func (c *Cluster) UpdatePod(key Key, change func(*corev1.Pod)) {
	was := c.Pod(key)
	pod := was.DeepCopy()
	change(pod)
	c.Put(Pods, pod)
	if len(was.Finalizers) > 0 && len(pod.Finalizers) == 0 && stopped(pod) {
		c.Delete(Pods, key)
	}
}

// podReady is true for a pod with the condition Ready.
func podReady(pod *corev1.Pod) bool {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			return pod.Status.Conditions[i].Status == corev1.ConditionTrue
		}
	}
	return false
}

// SetReady makes a pod Running, and Ready or not.
func SetReady(pod *corev1.Pod, ready bool, now time.Time) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Phase = corev1.PodRunning
	setPodCondition(pod, corev1.PodCondition{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(now)})
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "main", Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}},
	}}
}

func setScheduled(pod *corev1.Pod, now time.Time) {
	setPodCondition(pod, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now)})
}

func setUnschedulable(pod *corev1.Pod, now time.Time) {
	setPodCondition(pod, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, LastTransitionTime: metav1.NewTime(now),
	})
}

// unschedulable is true for a pod that the scheduler has found no node for.
func unschedulable(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable
	})
}

func setPodCondition(pod *corev1.Pod, condition corev1.PodCondition) {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == condition.Type {
			pod.Status.Conditions[i] = condition
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, condition)
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func stopped(pod *corev1.Pod) bool {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].State.Terminated == nil {
			return false
		}
	}
	return pod.DeletionTimestamp != nil
}

// resumePods puts on the agenda what the kubelet of a node has to do.
func (c *Cluster) resumePods(node string) {
	for _, o := range c.PodsOn(node) {
		c.resumePod(o.(*corev1.Pod))
	}
}

// resumePod puts on the agenda what has to happen to a pod next.
func (c *Cluster) resumePod(pod *corev1.Pod) {
	next := step{key: keyOf(pod), uid: pod.UID}
	b := c.behaviors[pod.UID]
	switch {
	case pod.DeletionTimestamp != nil:
		next.deed = finishPod
		c.after(max(0, c.stopsAt(pod).Sub(c.now)), next)
	case pod.Spec.NodeName == "":
		next.deed = schedulePod
		c.after(c.options.ScheduleLag, next)
	case pod.Status.Phase == corev1.PodPending:
		next.deed = startPod
		c.after(b.StartsIn, next)
	}
}

// stopsAt is when the containers of a terminating pod have stopped, and its kubelet
// has reported it.
func (c *Cluster) stopsAt(pod *corev1.Pod) time.Time {
	grace := time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	b := c.behaviors[pod.UID]
	return pod.DeletionTimestamp.Add(-grace).Add(min(grace, b.StopsIn) + b.Lingers)
}

// at is the pod of a step, or nil if it has gone or its kubelet is away.
func (c *Cluster) at(key Key, uid types.UID) *corev1.Pod {
	pod := c.Pod(key)
	if pod == nil || pod.UID != uid {
		return nil
	}
	if name := pod.Spec.NodeName; name != "" {
		// A kubelet that comes back resumes its pods.
		if node := c.Node(name); node == nil || !ready(node) {
			return nil
		}
	}
	return pod
}

// start is the kubelet's report that a pod is Ready.
func (c *Cluster) start(key Key, uid types.UID) {
	if pod := c.at(key, uid); pod != nil && pod.Status.Phase == corev1.PodPending && pod.DeletionTimestamp == nil {
		c.UpdatePod(key, func(p *corev1.Pod) { SetReady(p, true, c.now) })
	}
}

// finish is the kubelet's end of a terminating pod. Finalizers keep the object.
func (c *Cluster) finish(key Key, uid types.UID) {
	pod := c.at(key, uid)
	switch {
	case pod == nil || pod.DeletionTimestamp == nil || c.now.Before(c.stopsAt(pod)):
	case len(pod.Finalizers) == 0:
		c.Delete(Pods, key)
	case !stopped(pod):
		c.UpdatePod(key, func(p *corev1.Pod) {
			SetReady(p, false, c.now)
			p.Status.Phase = corev1.PodSucceeded
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
		})
	}
}

// schedule is the scheduler's attempt to bind a pod.
func (c *Cluster) schedule(key Key, uid types.UID) {
	pod := c.at(key, uid)
	if pod == nil || pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil {
		return
	}
	node := c.fittest(pod)
	if node == "" {
		c.waiting[key] = true
		if !unschedulable(pod) {
			c.UpdatePod(key, func(p *corev1.Pod) { setUnschedulable(p, c.now) })
		}
		return
	}
	delete(c.waiting, key)
	c.UpdatePod(key, func(p *corev1.Pod) {
		p.Spec.NodeName = node
		setScheduled(p, c.now)
	})
	c.resumePod(c.Pod(key))
}

// enough is how many nodes that fit a pod the scheduler compares, as the real
// one does in a big cluster.
const enough = 100

// fittest is the node for the pod: of the next nodes that fit the pod, the one
// with the fewest pods. A PreferNoSchedule taint counts more than any number of
// pods.
func (c *Cluster) fittest(pod *corev1.Pod) string {
	best, fewest, seen := "", 0, 0
	for range c.names {
		c.nextNode = (c.nextNode + 1) % len(c.names)
		node := c.Node(c.names[c.nextNode])
		pods := len(c.placed[node.Name])
		if !schedulable(node) || pods >= maxPods || !selects(pod, node) {
			continue
		}
		pods += maxPods * len(node.Spec.Taints)
		if best == "" || pods < fewest {
			best, fewest = node.Name, pods
		}
		if seen++; seen == enough {
			break
		}
	}
	return best
}

// selects is true if the pod's nodeSelector selects the node.
func selects(pod *corev1.Pod, node *corev1.Node) bool {
	for key, value := range pod.Spec.NodeSelector {
		if has, is := node.Labels[key]; !is || has != value {
			return false
		}
	}
	return true
}

// retryWaiting lets the scheduler retry the pods that fit on no node.
func (c *Cluster) retryWaiting() {
	if len(c.waiting) == 0 {
		return
	}
	for _, key := range slices.SortedFunc(maps.Keys(c.waiting), compareKeys) {
		delete(c.waiting, key)
		if pod := c.Pod(key); pod != nil {
			c.resumePod(pod)
		}
	}
}
