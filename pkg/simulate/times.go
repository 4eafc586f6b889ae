package simulate

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The sources of a start time.
const (
	FromFlag    = "flag"
	FromHistory = "history"
	FromDefault = "default"
)

// unknownStart is the start time of pods without a flag or a history.
const unknownStart = 10 * time.Second

// StartTime is how long the pods of a controller take from their creation until
// they are Ready.
type StartTime struct {
	Namespace  string `json:"namespace"`
	Controller string `json:"controller"`
	// Seconds is the time, Source whether it is from a flag, from the history
	// of the controller's Pods, or the default.
	Seconds float64 `json:"seconds"`
	Source  string  `json:"source"`
	Pods    int     `json:"pods"`
}

// History is how long pods took from their creation until they were Ready, by
// their controller: the mean of the middle half, which is finer than a median
// because the API's timestamps are whole seconds. Pods that have restarted or
// are not Ready do not count.
func History(pods []corev1.Pod) map[types.UID]time.Duration {
	took, middles := map[types.UID][]time.Duration{}, map[types.UID]time.Duration{}
	for i := range pods {
		if owner := metav1.GetControllerOfNoCopy(&pods[i]); owner != nil {
			if d, known := tookToStart(&pods[i]); known {
				took[owner.UID] = append(took[owner.UID], d)
			}
		}
	}
	for uid, times := range took {
		middles[uid] = middle(times)
	}
	return middles
}

// tookToStart is how long a pod took from its creation until it was Ready. It is
// not known of a pod that has restarted or is not Ready.
func tookToStart(pod *corev1.Pod) (time.Duration, bool) {
	for _, s := range pod.Status.ContainerStatuses {
		if s.RestartCount > 0 {
			return 0, false
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return max(0, c.LastTransitionTime.Sub(pod.CreationTimestamp.Time)), !c.LastTransitionTime.IsZero()
		}
	}
	return 0, false
}

// middle is the mean of the middle half of the times.
func middle(times []time.Duration) time.Duration {
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	cut := len(sorted) / 4
	sum, kept := time.Duration(0), sorted[cut:len(sorted)-cut]
	for _, d := range kept {
		sum += d
	}
	return sum / time.Duration(len(kept))
}

// startOf is the start time of a controller's pods, and where it is from.
func (o *Options) startOf(namespace, name string, took time.Duration, known bool) (time.Duration, string) {
	for _, key := range []string{namespace + "/" + name, namespace} {
		if d, given := o.StartTimes[key]; given {
			return d, FromFlag
		}
	}
	switch {
	case o.StartTime > 0:
		return o.StartTime, FromFlag
	case known:
		return took, FromHistory
	default:
		return unknownStart, FromDefault
	}
}

// stopOf is how long a pod takes to stop.
func (o *Options) stopOf(grace time.Duration) time.Duration {
	if o.StopTime > 0 {
		return min(o.StopTime, grace)
	}
	return grace
}

// latest is the newest time that the objects name: about when they were read.
func (o *Objects) latest() time.Time {
	newest := time.Time{}
	see := func(t metav1.Time) {
		if t.After(newest) {
			newest = t.Time
		}
	}
	for i := range o.Nodes {
		see(o.Nodes[i].CreationTimestamp)
		for _, c := range o.Nodes[i].Status.Conditions {
			see(c.LastHeartbeatTime)
			see(c.LastTransitionTime)
		}
	}
	for i := range o.Pods {
		see(o.Pods[i].CreationTimestamp)
		for _, c := range o.Pods[i].Status.Conditions {
			see(c.LastTransitionTime)
		}
	}
	return cmp.Or(newest, time.Unix(0, 0)).UTC()
}
