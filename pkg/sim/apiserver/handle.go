package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/sim"
)

// The resources that the server stores and the model does not act on.
const (
	Leases            sim.Resource = "leases"
	Events            sim.Resource = "events"
	VolumeAttachments sim.Resource = "volumeattachments"
	PersistentVolumes sim.Resource = "persistentvolumes"
)

// kind is what the server knows of a resource.
type kind struct {
	metav1.TypeMeta
	blank func() sim.Object
}

var kinds = map[sim.Resource]kind{
	sim.Nodes:         kindOf("v1", "Node", func() sim.Object { return &corev1.Node{} }),
	sim.Pods:          kindOf("v1", "Pod", func() sim.Object { return &corev1.Pod{} }),
	sim.Budgets:       kindOf("policy/v1", "PodDisruptionBudget", func() sim.Object { return &policyv1.PodDisruptionBudget{} }),
	sim.DaemonSets:    kindOf("apps/v1", "DaemonSet", func() sim.Object { return &appsv1.DaemonSet{} }),
	sim.ReplicaSets:   kindOf("apps/v1", "ReplicaSet", func() sim.Object { return &appsv1.ReplicaSet{} }),
	sim.StatefulSets:  kindOf("apps/v1", "StatefulSet", func() sim.Object { return &appsv1.StatefulSet{} }),
	sim.ConfigMaps:    kindOf("v1", "ConfigMap", func() sim.Object { return &corev1.ConfigMap{} }),
	sim.Namespaces:    kindOf("v1", "Namespace", func() sim.Object { return &corev1.Namespace{} }),
	Leases:            kindOf("coordination.k8s.io/v1", "Lease", func() sim.Object { return &coordinationv1.Lease{} }),
	Events:            kindOf("events.k8s.io/v1", "Event", func() sim.Object { return &eventsv1.Event{} }),
	VolumeAttachments: kindOf("storage.k8s.io/v1", "VolumeAttachment", func() sim.Object { return &storagev1.VolumeAttachment{} }),
	PersistentVolumes: kindOf("v1", "PersistentVolume", func() sim.Object { return &corev1.PersistentVolume{} }),
}

func kindOf(version, name string, blank func() sim.Object) kind {
	return kind{TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: name}, blank: blank}
}

// group is the resource as errors name it.
func (k kind) group(r sim.Resource) schema.GroupResource {
	return schema.GroupResource{Group: schema.FromAPIVersionAndKind(k.APIVersion, k.Kind).Group, Resource: string(r)}
}

// handle carries a request out, and says how much longer the answer takes.
func (s *Server) handle(ctx context.Context, t *Transport, r *Request) (*http.Response, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster.Advance(s.now())
	s.tell("")
	defer s.look()
	defer s.tell(t.name)
	response, takes, err := s.dispatch(ctx, t, r)
	if err != nil {
		response = failure(err)
	}
	if s.observer.Handled != nil {
		s.observer.Handled(*r, response.StatusCode)
	}
	return response, takes
}

func (s *Server) dispatch(ctx context.Context, t *Transport, r *Request) (response *http.Response, takes time.Duration, err error) {
	k, known := kinds[r.Resource]
	switch {
	case r.Resource == discovery:
		return respondJSON(http.StatusOK, resources()), 0, nil
	case !known:
		return nil, 0, apierrors.NewGenericServerResponse(http.StatusNotFound, r.Verb, schema.GroupResource{Resource: string(r.Resource)}, r.Name, "404 page not found", 0, true)
	case r.Subresource == "eviction" && r.Verb == "create":
		return s.evict(r)
	}
	var o sim.Object
	switch r.Verb {
	case "list":
		response, err = s.list(r, k)
		return response, 0, err
	case "watch":
		response, err = s.watch(ctx, t, r)
		return response, 0, err
	case "get":
		o, err = s.get(r, k)
	case "create":
		o, err = s.create(r, k)
		if err == nil {
			return respondJSON(http.StatusCreated, o), 0, nil
		}
	case "update":
		o, err = s.update(r, k)
	case "patch":
		o, err = s.patch(r)
	case "delete":
		return s.remove(r, k)
	}
	if err != nil {
		return nil, 0, err
	}
	return respondJSON(http.StatusOK, o), 0, nil
}

// resources is what discovery says of the core group.
func resources() *metav1.APIResourceList {
	return &metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"}, GroupVersion: "v1",
		APIResources: []metav1.APIResource{
			{Name: "nodes", Kind: "Node"},
			{Name: "pods", Kind: "Pod", Namespaced: true},
			{Name: "pods/eviction", Kind: "Eviction", Namespaced: true, Group: "policy", Version: "v1"},
		},
	}
}

func (s *Server) get(r *Request, k kind) (sim.Object, error) {
	if r.Resource == sim.ReplicaSets || r.Resource == sim.StatefulSets {
		if o := s.cluster.Controller(r.Resource, r.key()); o != nil {
			return o, nil
		}
	}
	o, found := s.cluster.Get(r.Resource, r.key())
	if !found {
		return nil, apierrors.NewNotFound(k.group(r.Resource), r.Name)
	}
	return o, nil
}

// objectList is a list of any kind.
type objectList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []sim.Object `json:"items"`
}

func (s *Server) list(r *Request, k kind) (*http.Response, error) {
	if version, err := strconv.ParseUint(r.Query.Get("resourceVersion"), 10, 64); err == nil && version > s.cluster.Version() {
		tooLarge := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", version, s.cluster.Version()), 1)
		tooLarge.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
		return nil, tooLarge
	}
	selects, err := selection(r)
	if err != nil {
		return nil, err
	}
	list := objectList{
		TypeMeta: metav1.TypeMeta{APIVersion: k.APIVersion, Kind: k.Kind + "List"},
		ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatUint(s.cluster.Version(), 10)}, Items: []sim.Object{},
	}
	for _, o := range s.candidates(r) {
		if selects(o) {
			list.Items = append(list.Items, o)
		}
	}
	return respondJSON(http.StatusOK, list), nil
}

// candidates are the objects that a list may select.
func (s *Server) candidates(r *Request) []sim.Object {
	if _, node, only := cutNodeSelector(r.Query.Get("fieldSelector")); only && r.Resource == sim.Pods {
		return s.cluster.PodsOn(node)
	}
	return s.cluster.List(r.Resource)
}

func (s *Server) create(r *Request, k kind) (sim.Object, error) {
	o := k.blank()
	if err := json.Unmarshal(r.Body, o); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	o.SetNamespace(r.Namespace)
	if budget, is := o.(*policyv1.PodDisruptionBudget); is {
		budget.Generation, budget.Status = 1, policyv1.PodDisruptionBudgetStatus{}
	}
	key := sim.Key{Namespace: r.Namespace, Name: o.GetName()}
	if _, exists := s.cluster.Get(r.Resource, key); exists {
		return nil, apierrors.NewAlreadyExists(k.group(r.Resource), key.Name)
	}
	o.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind())
	s.cluster.Put(r.Resource, o)
	return o, nil
}

// update replaces an object that has not changed since it was read.
func (s *Server) update(r *Request, k kind) (sim.Object, error) {
	was, err := s.get(r, k)
	if err != nil {
		return nil, err
	}
	o := k.blank()
	if err := json.Unmarshal(r.Body, o); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if version := o.GetResourceVersion(); version != "" && version != was.GetResourceVersion() {
		return nil, conflict(k.group(r.Resource), r.Name)
	}
	if budget, is := o.(*policyv1.PodDisruptionBudget); is {
		separate(was.(*policyv1.PodDisruptionBudget), budget, r.Subresource)
	}
	o.SetUID(was.GetUID())
	o.SetCreationTimestamp(was.GetCreationTimestamp())
	o.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind())
	s.cluster.Put(r.Resource, o)
	return o, nil
}

// separate keeps of a budget what an update of the other subresource does not
// change, and counts the generations of its spec.
func separate(was, budget *policyv1.PodDisruptionBudget, subresource string) {
	budget.Generation = was.Generation
	if subresource == "status" {
		budget.Spec = was.Spec
		return
	}
	budget.Status = was.Status
	if !equality.Semantic.DeepEqual(was.Spec, budget.Spec) {
		budget.Generation++
	}
}

func conflict(resource schema.GroupResource, name string) error {
	return apierrors.NewConflict(resource, name,
		fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
}

func (s *Server) remove(r *Request, k kind) (*http.Response, time.Duration, error) {
	var o metav1.DeleteOptions
	if len(r.Body) > 0 {
		if err := json.Unmarshal(r.Body, &o); err != nil {
			return nil, 0, apierrors.NewBadRequest(err.Error())
		}
	}
	switch was, err := s.get(r, k); {
	case err != nil:
		return nil, 0, err
	case r.Resource == sim.Pods:
		if err := s.cluster.DeletePod(r.key(), o); err != nil {
			return nil, 0, err
		}
	case o.Preconditions != nil && o.Preconditions.UID != nil && *o.Preconditions.UID != was.GetUID():
		return nil, 0, preconditionFailed(k.group(r.Resource), r.Name, *o.Preconditions.UID, was.GetUID())
	default:
		s.cluster.Delete(r.Resource, r.key())
	}
	return respondJSON(http.StatusOK, success(http.StatusOK)), 0, nil
}

func preconditionFailed(resource schema.GroupResource, name string, want, is types.UID) error {
	return apierrors.NewConflict(resource, name, errors.New("Precondition failed: UID in precondition: "+string(want)+", UID in object meta: "+string(is)))
}

func (s *Server) evict(r *Request) (*http.Response, time.Duration, error) {
	var e policyv1.Eviction
	if err := json.Unmarshal(r.Body, &e); err != nil {
		return nil, 0, apierrors.NewBadRequest(err.Error())
	}
	if e.Name != r.Name {
		return nil, 0, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	var o metav1.DeleteOptions
	if e.DeleteOptions != nil {
		o = *e.DeleteOptions
	}
	dryRun := len(o.DryRun) > 0 || r.Query.Get("dryRun") == metav1.DryRunAll
	answer := s.cluster.Evict(r.key(), o, dryRun)
	if answer.Error != nil {
		return nil, answer.Takes, answer.Error
	}
	return respondJSON(http.StatusCreated, success(http.StatusCreated)), answer.Takes, nil
}
