package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"

	"drainer.dev/drainer/pkg/sim"
)

// nodeFields tracks who owns which field of a Node, as the API server does, by
// subresource.
type nodeFields map[string]*managedfields.FieldManager

func newNodeFields() nodeFields {
	fields := nodeFields{}
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	kind := corev1.SchemeGroupVersion.WithKind("Node")
	for _, subresource := range []string{"", "status"} {
		manager, err := managedfields.NewDefaultFieldManager(converter, scheme.Scheme, noDefaults{}, scheme.Scheme, kind, kind.GroupVersion(), subresource, nil)
		if err != nil {
			panic(err) // It does not depend on a caller.
		}
		fields[subresource] = manager
	}
	return fields
}

// noDefaults is a runtime.ObjectDefaulter: the model's objects are complete.
type noDefaults struct{}

func (noDefaults) Default(runtime.Object) {}

// cutNodeSelector reads a field selector that chooses the pods of one node.
func cutNodeSelector(selector string) (before, node string, found bool) {
	before, node, found = strings.Cut(selector, "spec.nodeName=")
	return before, node, found && before == "" && !strings.ContainsAny(node, ",=!")
}

// patch changes a Node: server-side apply, or a merge patch.
func (s *Server) patch(r *Request) (sim.Object, error) {
	if r.Resource != sim.Nodes || r.Subresource != "" && r.Subresource != "status" {
		return nil, apierrors.NewMethodNotSupported(kinds[r.Resource].group(r.Resource), "patch")
	}
	var patch map[string]any
	if err := json.Unmarshal(r.Body, &patch); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	// The fields of the other subresource do not change.
	if r.Subresource == "status" {
		delete(patch, "spec")
	} else {
		delete(patch, "status")
	}
	live, err := s.patched(r, &unstructured.Unstructured{Object: patch})
	if err != nil {
		return nil, err
	}
	manager := r.Query.Get("fieldManager")
	switch {
	case strings.HasPrefix(r.ContentType, string(types.ApplyYAMLPatchType)):
		return s.apply(r, live, patch, manager)
	case strings.HasPrefix(r.ContentType, string(types.MergePatchType)):
		node, err := mergePatch(live, patch)
		if err != nil {
			return nil, err
		}
		return s.store(live, node, r.Subresource, manager)
	default:
		return nil, apierrors.NewBadRequest("unsupported patch type " + r.ContentType)
	}
}

// patched is the Node that a patch changes, if the patch's preconditions hold.
// An apply without a UID creates a Node that does not exist.
func (s *Server) patched(r *Request, patch *unstructured.Unstructured) (*corev1.Node, error) {
	group := kinds[sim.Nodes].group(sim.Nodes)
	live := s.cluster.Node(r.Name)
	uid, version := patch.GetUID(), patch.GetResourceVersion()
	switch {
	case live == nil && (r.Subresource != "" || !strings.HasPrefix(r.ContentType, string(types.ApplyYAMLPatchType))):
		return nil, apierrors.NewNotFound(group, r.Name)
	case live == nil && uid != "":
		return nil, apierrors.NewConflict(group, r.Name,
			fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", uid))
	case live == nil:
		return &corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: r.Name}}, nil
	case uid != "" && uid != live.UID:
		return nil, preconditionFailed(group, r.Name, uid, live.UID)
	case version != "" && version != live.ResourceVersion:
		return nil, conflict(group, r.Name)
	default:
		return live, nil
	}
}

// apply is server-side apply.
func (s *Server) apply(r *Request, live *corev1.Node, patch map[string]any, manager string) (sim.Object, error) {
	applied := &unstructured.Unstructured{Object: patch}
	applied.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Node"))
	merged, err := s.nodes[r.Subresource].Apply(live.DeepCopy(), applied, manager, r.Query.Get("force") == "true")
	if err != nil {
		return nil, err
	}
	node, err := nodeOf(merged)
	if err != nil {
		return nil, err
	}
	return s.keep(live, node), nil
}

func nodeOf(o runtime.Object) (*corev1.Node, error) {
	switch o := o.(type) {
	case *corev1.Node:
		return o, nil
	case *unstructured.Unstructured:
		node := &corev1.Node{}
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, node)
		return node, err
	default:
		return nil, fmt.Errorf("not a Node: %T", o)
	}
}

// store stores a Node that somebody has changed other than by apply.
func (s *Server) store(live, node *corev1.Node, subresource, manager string) (sim.Object, error) {
	managed, err := s.nodes[subresource].Update(live.DeepCopy(), node, manager)
	if err != nil {
		return nil, err
	}
	changed, err := nodeOf(managed)
	if err != nil {
		return nil, err
	}
	return s.keep(live, changed), nil
}

// keep stores a Node unless nothing but the times of its managed fields has
// changed.
func (s *Server) keep(live, node *corev1.Node) sim.Object {
	untimed := func(n *corev1.Node) *corev1.Node {
		n = n.DeepCopy()
		for i := range n.ManagedFields {
			n.ManagedFields[i].Time = nil
		}
		return n
	}
	node.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}
	if live.UID != "" && equality.Semantic.DeepEqual(untimed(live), untimed(node)) {
		return live
	}
	s.cluster.Put(sim.Nodes, node)
	return node
}

// mergePatch is a JSON merge patch (RFC 7386) of a Node.
func mergePatch(live *corev1.Node, patch map[string]any) (*corev1.Node, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return nil, err
	}
	node := &corev1.Node{}
	return node, runtime.DefaultUnstructuredConverter.FromUnstructured(merge(fields, patch), node)
}

func merge(into, patch map[string]any) map[string]any {
	for key, value := range patch {
		below, isMap := value.(map[string]any)
		was, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			into[key] = merge(was, below)
		case isMap:
			into[key] = merge(map[string]any{}, below)
		default:
			into[key] = value
		}
	}
	return into
}

// EditNode changes a Node that exists as a person does, or another program: by
// an update under the name of the manager.
func (s *Server) EditNode(name, manager string, change func(*corev1.Node)) error {
	return s.edit(name, "", manager, change)
}

// EditNodeStatus is EditNode for the subresource status.
func (s *Server) EditNodeStatus(name, manager string, change func(*corev1.Node)) error {
	return s.edit(name, "status", manager, change)
}

func (s *Server) edit(name, subresource, manager string, change func(*corev1.Node)) error {
	var failed error
	s.Do(func(c *sim.Cluster) {
		live := c.Node(name)
		if live == nil {
			failed = apierrors.NewNotFound(kinds[sim.Nodes].group(sim.Nodes), name)
			return
		}
		node := live.DeepCopy()
		change(node)
		_, failed = s.store(live, node, subresource, manager)
	})
	return failed
}
