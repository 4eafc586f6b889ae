package witness

import (
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// Object is an object of the API.
type Object interface {
	runtime.Object
	metav1.Object
}

// Change is a change of an object as a watch showed it.
type Change struct {
	// Version is the resourceVersion that the change gave the object.
	Version uint64
	// Seen is when the watch showed it.
	Seen    time.Time
	Object  Object
	Deleted bool
}

// Recorder keeps what watches show. It is a handler for informers of nodes,
// pods, budgets and DaemonSets.
type Recorder struct {
	mu      sync.Mutex
	changes []Change
}

var _ cache.ResourceEventHandler = (*Recorder)(nil)

// OnAdd implements cache.ResourceEventHandler.
func (r *Recorder) OnAdd(o any, _ bool) { r.add(o, false) }

// OnUpdate implements cache.ResourceEventHandler.
func (r *Recorder) OnUpdate(_, o any) { r.add(o, false) }

// OnDelete implements cache.ResourceEventHandler.
func (r *Recorder) OnDelete(o any) {
	if last, unknown := o.(cache.DeletedFinalStateUnknown); unknown {
		o = last.Obj
	}
	r.add(o, true)
}

func (r *Recorder) add(o any, deleted bool) {
	object, is := o.(Object)
	if !is {
		return
	}
	version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, Change{Version: version, Seen: time.Now(), Object: object, Deleted: deleted})
}

// Changes are those so far of the objects that keep wants, in the order in
// which they were made.
func (r *Recorder) Changes(keep func(Object) bool) []Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kept []Change
	for _, c := range r.changes {
		if keep(c.Object) {
			kept = append(kept, c)
		}
	}
	slices.SortStableFunc(kept, func(a, b Change) int { return compareVersions(a.Version, b.Version) })
	return kept
}

func compareVersions(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
