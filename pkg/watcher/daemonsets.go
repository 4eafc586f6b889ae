package watcher

import (
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func (w *Watcher) watchDaemonSets() <-chan struct{} {
	client := w.client.AppsV1().DaemonSets(metav1.NamespaceAll)
	listed, first := once()
	return start(w, w.ctx, "daemonsets", "", listed, lists(client.List, client.Watch, everything), &appsv1.DaemonSet{}, sink[*appsv1.DaemonSet, types.UID]{
		convert: func(ds *appsv1.DaemonSet) types.UID { return ds.UID },
		put:     func(uid types.UID) { w.changeDaemonSets(func(all map[types.UID]bool) { all[uid] = true }) },
		remove:  func(uid types.UID) { w.changeDaemonSets(func(all map[types.UID]bool) { delete(all, uid) }) },
		replace: func(uids []types.UID) {
			w.changeDaemonSets(func(all map[types.UID]bool) {
				clear(all)
				for _, uid := range uids {
					all[uid] = true
				}
			})
			first()
		},
	})
}

// changeDaemonSets changes the set in one step. Plans read the set without a
// lock, so it is copied.
func (w *Watcher) changeDaemonSets(change func(map[types.UID]bool)) {
	w.mu.Lock()
	sets := make(map[types.UID]bool, len(w.daemonSets)+1)
	for uid := range w.daemonSets {
		sets[uid] = true
	}
	change(sets)
	same := reflect.DeepEqual(sets, w.daemonSets)
	w.daemonSets = sets
	w.mu.Unlock()
	if !same {
		w.planner.Wake()
	}
}

// DaemonSets implements drain.View.
func (w *Watcher) DaemonSets() map[types.UID]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.daemonSets
}
