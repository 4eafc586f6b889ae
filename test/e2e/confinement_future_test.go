package e2e

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"drainer.dev/drainer/test/cluster/daemon"
)

// futures is a kind like Node, with fields that no Node has yet.
var futures = schema.GroupVersionResource{Group: "future.example.com", Version: "v1", Resource: "nodes"}

const futureCRD = `{
	"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
	"metadata": {"name": "nodes.future.example.com"},
	"spec": {
		"group": "future.example.com", "scope": "Cluster", "names": {"plural": "nodes", "kind": "Node"},
		"versions": [{
			"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
			"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
		}]
	}
}`

// forbiddenInFuture is what must be denied of fields that are newer than the
// policy.
var forbiddenInFuture = []change{
	{name: "a new field of the spec", says: "spec.brandNew", patch: `{"spec":{"brandNew":1}}`},
	{name: "another value of a new field of the spec", says: "spec.new", patch: `{"spec":{"new":{"a":2}}}`},
	{name: "no new field of the spec", says: "spec.new", patch: `{"spec":{"new":null}}`},
	{name: "no spec", says: "spec.new", patch: `{"spec":null}`},
	{name: "a new field of the status", says: "status.brandNew", sub: "status", patch: `{"status":{"brandNew":1}}`},
	{name: "another value of a new field of the status", says: "status.new", sub: "status", patch: `{"status":{"new":{"a":2}}}`},
	{name: "no new field of the status", says: "status.new", sub: "status", patch: `{"status":{"new":null}}`},
	{
		name: "another value of a new field of a taint", says: foreignTaint,
		patch: `{"spec":{"taints":[{"key":"k","effect":"NoSchedule","new":2}]}}`,
	},
}

// permittedInFuture needs no field that is not there.
var permittedInFuture = []change{
	{name: "a cordon in future", patch: `{"spec":{"unschedulable":true}}`},
	{name: "own annotations in future", sub: "status", patch: `{"metadata":{"annotations":{"drainer.dev/status":"{}"}}}`},
}

// makeFutures makes such a kind, one object with fields that are new, and one
// with none at all. Their names are returned.
func (e *env) makeFutures() (full, empty string) {
	e.Helper()
	client, err := dynamic.NewForConfig(shared.Cluster.Config())
	if err != nil {
		e.Fatal(err)
	}
	e.createDynamic(client, "apiextensions.k8s.io/v1/customresourcedefinitions", futureCRD)
	full, empty = e.namespace+"-full", e.namespace+"-empty"
	const object = `{"apiVersion": "future.example.com/v1", "kind": "Node", "metadata": {"name": %q}%s}`
	e.createDynamic(client, "future.example.com/v1/nodes",
		fmt.Sprintf(object, full, `, "spec": {"new": {"a": 1}, "taints": [{"key": "k", "effect": "NoSchedule", "new": 1}]}`))
	e.createDynamic(client, "future.example.com/v1/nodes", fmt.Sprintf(object, empty, ""))
	_, err = client.Resource(futures).Patch(e.Context(), full, "application/merge-patch+json",
		[]byte(`{"status":{"new":{"a":1}}}`), metav1.PatchOptions{}, "status")
	if err != nil {
		e.Fatal(err)
	}
	return full, empty
}

// createDynamic waits until there is such a kind. The object may be there.
func (e *env) createDynamic(client dynamic.Interface, kind, text string) {
	e.Helper()
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		e.Fatal(err)
	}
	parts := strings.Split(kind, "/")
	resource := schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}
	poll(e.T, "the "+parts[2]+" are served", func() bool {
		_, err := client.Resource(resource).Create(e.Context(), o, metav1.CreateOptions{})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
			e.Fatal(err)
		}
		return !apierrors.IsNotFound(err)
	})
}

// alsoInFuture lets the policy be about the kind of the future, too.
func alsoInFuture(all map[string]*daemon.Confinement) {
	rules := &all["drainer-nodes"].Policy.Spec.MatchConstraints.ResourceRules
	future := *(*rules)[0].DeepCopy()
	future.APIGroups = []string{futures.Group}
	*rules = append(*rules, future)
}

// TestConfinementInFuture: the policies hold for fields that no Node has yet,
// and do not fail where a field is missing.
func TestConfinementInFuture(t *testing.T) {
	e := setup(t, 1)
	full, empty := e.makeFutures()
	e.confine("future", "future", alsoInFuture)
	e.awaitInForce("future")
	me := personOf(t, as("future"), metav1.DryRunAll)
	for _, c := range forbiddenInFuture {
		if got := me.refused(e, where{futures, full, c.sub}, c); got == "" || !strings.Contains(got, c.says) {
			t.Errorf("%s: answered with %q, want %q", c.name, got, c.says)
		}
	}
	for _, object := range []string{full, empty} {
		for _, c := range permittedInFuture {
			if got := me.refused(e, where{futures, object, c.sub}, c); got != "" {
				t.Errorf("%s of %s: %s", c.name, object, got)
			}
		}
	}
}
