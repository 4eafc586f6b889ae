package sim

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Resource is the plural name of a kind of object.
type Resource string

// The resources that the model acts on. Others are only stored.
const (
	Nodes      Resource = "nodes"
	Pods       Resource = "pods"
	Budgets    Resource = "poddisruptionbudgets"
	DaemonSets Resource = "daemonsets"
)

// ReplicaSets and StatefulSets can only be read one by one, with Controller.
const (
	ReplicaSets  Resource = "replicasets"
	StatefulSets Resource = "statefulsets"
)

// These are only stored. A namespace that has no object, such as one that exists
// since a pod was created in it, has no labels that anybody could see.
const (
	ConfigMaps Resource = "configmaps"
	Namespaces Resource = "namespaces"
)

// Object is an object of the API.
type Object interface {
	runtime.Object
	metav1.Object
}

// Change is one change of the store, as a watch reports it.
type Change struct {
	// Version is the resourceVersion that the change gave the object.
	Version  uint64
	Resource Resource
	Type     watch.EventType
	// Object is the object after the change, or as it was deleted.
	Object Object
	// Was is the object before the change; nil for one that is new.
	Was Object
}

// store holds the objects and the log of their changes.
type store struct {
	version uint64
	objects map[Resource]map[Key]Object
	// placed are the pods by node, owned those by the UID of their controller.
	placed, owned map[string]map[Key]bool
	// labelled are the pods by each of their labels.
	labelled map[label]map[Key]bool
	// guards are the budgets with their selectors, demanding the same by a label
	// that they demand.
	guards    map[Key]*guard
	demanding map[label][]*guard
	// names are the nodes in order.
	names []string
	log   []Change
}

func newStore() store {
	return store{
		objects: map[Resource]map[Key]Object{},
		placed:  map[string]map[Key]bool{}, owned: map[string]map[Key]bool{},
		labelled: map[label]map[Key]bool{}, guards: map[Key]*guard{}, demanding: map[label][]*guard{},
	}
}

// Version is the newest resourceVersion.
func (s *store) Version() uint64 { return s.version }

// Get returns an object. It must not be changed.
func (s *store) Get(r Resource, key Key) (Object, bool) {
	o, found := s.objects[r][key]
	return o, found
}

// List returns all objects of a resource, in order. They must not be changed.
func (s *store) List(r Resource) []Object {
	return s.sorted(r, maps.Keys(s.objects[r]))
}

// PodsOn returns the pods that are bound to a node, in order.
func (s *store) PodsOn(node string) []Object { return s.sorted(Pods, maps.Keys(s.placed[node])) }

// podsUnder returns the pods that a budget selects, in order.
func (s *store) podsUnder(budget Key) []*corev1.Pod {
	g := s.guards[budget]
	if g == nil {
		return nil
	}
	objects := s.sorted(Pods, maps.Keys(g.pods))
	pods := make([]*corev1.Pod, len(objects))
	for i, o := range objects {
		pods[i] = o.(*corev1.Pod)
	}
	return pods
}

// podsOf returns the pods of a controller, in order.
func (s *store) podsOf(controller types.UID) []Object {
	return s.sorted(Pods, maps.Keys(s.owned[string(controller)]))
}

func (s *store) sorted(r Resource, keys func(func(Key) bool)) []Object {
	ordered := slices.SortedFunc(keys, compareKeys)
	list := make([]Object, len(ordered))
	for i, key := range ordered {
		list[i] = s.objects[r][key]
	}
	return list
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Since returns the changes after a version, oldest first.
func (s *store) Since(version uint64) []Change {
	first, _ := slices.BinarySearchFunc(s.log, version+1, func(c Change, v uint64) int { return cmp.Compare(c.Version, v) })
	return s.log[first:]
}

// put stores the object under a new version and returns the change.
func (s *store) put(r Resource, o Object) Change {
	key := keyOf(o)
	if s.objects[r] == nil {
		s.objects[r] = map[Key]Object{}
	}
	was, existed := s.objects[r][key]
	s.version++
	o.SetResourceVersion(strconv.FormatUint(s.version, 10))
	change := Change{Version: s.version, Resource: r, Type: watch.Modified, Object: o, Was: was}
	if !existed {
		change.Type, change.Was = watch.Added, nil
	}
	s.objects[r][key] = o
	s.reindex(change)
	s.log = append(s.log, change)
	return change
}

// remove deletes the object and returns the change.
func (s *store) remove(r Resource, key Key) (Change, bool) {
	was, found := s.objects[r][key]
	if !found {
		return Change{}, false
	}
	delete(s.objects[r], key)
	s.version++
	last := was.DeepCopyObject().(Object)
	last.SetResourceVersion(strconv.FormatUint(s.version, 10))
	change := Change{Version: s.version, Resource: r, Type: watch.Deleted, Object: last, Was: was}
	s.reindex(change)
	s.log = append(s.log, change)
	return change, true
}

func keyOf(o metav1.Object) Key { return Key{Namespace: o.GetNamespace(), Name: o.GetName()} }

// Put stores an object that is new or replaces one of the same name. It gives a
// new object a UID and a creation time if it has none, and notifies the
// controllers. The object must not be changed afterwards.
func (c *Cluster) Put(r Resource, o Object) {
	if o.GetUID() == "" {
		o.SetUID(c.newUID())
	}
	if created := o.GetCreationTimestamp(); created.IsZero() {
		o.SetCreationTimestamp(metav1.NewTime(c.now))
	}
	c.changed(c.put(r, o))
}

// Delete removes an object at once and notifies the controllers. It returns
// false if there is no object of that name.
func (c *Cluster) Delete(r Resource, key Key) bool {
	change, found := c.remove(r, key)
	if found {
		c.changed(change)
	}
	return found
}

func (c *Cluster) newUID() types.UID {
	c.uids++
	return types.UID("uid-" + strconv.FormatUint(c.uids, 10))
}

// Backup is the content of the store at one time.
type Backup struct{ store }

// Backup copies the content of the store.
func (c *Cluster) Backup() Backup {
	b := Backup{newStore()}
	b.version = c.version
	for r, objects := range c.objects {
		b.objects[r] = maps.Clone(objects)
	}
	return b
}

// Restore replaces the content of the store by that of a backup, as when etcd
// is restored: resourceVersions go back, too, and count on from there.
// Workloads and namespaces stay as they are.
func (c *Cluster) Restore(b Backup) {
	content := newStore()
	content.version = b.version
	for r, objects := range b.objects {
		content.objects[r] = maps.Clone(objects)
	}
	c.store = content
	c.reindexAll()
	c.resume()
}
