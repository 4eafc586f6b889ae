package witness

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// watchLag is within what time a watch shows every change.
const watchLag = 10 * time.Second

// first is the first place among the changes where a request received then may
// have come in: behind the last change that was over.
func (t *trial) first(received time.Time) int {
	for i := len(t.Changes) - 1; i >= 0; i-- {
		over := t.Changes[i].Seen
		if q := t.writes[t.Changes[i].Version]; q != nil {
			over = q.Done
		}
		if over.Before(received) {
			return i + 1
		}
	}
	return 0
}

// last is the last such place: before the first change that had not begun.
func (t *trial) last(first int, received time.Time) int {
	for i := first; i < len(t.Changes); i++ {
		begun := t.Changes[i].Seen.Add(-watchLag)
		if q := t.writes[t.Changes[i].Version]; q != nil {
			begun = q.Received
		}
		if begun.After(received) {
			return i
		}
	}
	return len(t.Changes)
}

// effect is where the pod of the UID first terminates or is gone, from a place
// on.
func (t *trial) effect(from int, uid types.UID) (int, bool) {
	for i := from; i < len(t.Changes); i++ {
		if p, is := t.Changes[i].Object.(*corev1.Pod); is && p.UID == uid && (t.Changes[i].Deleted || p.DeletionTimestamp != nil) {
			return i, true
		}
	}
	return 0, false
}

// uidOf is the UID of the pod of a name before a change.
func (t *trial) uidOf(pod types.NamespacedName, before int) (uid types.UID) {
	for _, c := range t.Changes[:before] {
		if p, is := c.Object.(*corev1.Pod); is && p.Namespace == pod.Namespace && p.Name == pod.Name {
			uid = p.UID
		}
	}
	return uid
}
