package e2e

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// change is something that drainer's account may try.
type change struct {
	name string
	// says is a part of the denial.
	says string
	// sub is "status" for what goes by that subresource.
	sub string
	// kind is that of the patch, a merge patch if empty.
	kind  types.PatchType
	patch string
	// patchOf makes the patch of what is there.
	patchOf func(*corev1.Node) string
	// since is the Kubernetes that has the field, if not all have.
	since string
	// eviction is the grace period of what is an eviction and no patch, deletion what
	// is a deletion of a pod.
	eviction *int64
	deletion *deletion
}

// deletion says how a pod is deleted: as the one that it is, or whichever has its name.
type deletion struct {
	byUID bool
	grace *int64
}

var zero, thirty = int64(0), int64(30)

const (
	foreignTaint = "drainer may change no taint but drainer.dev/queued:PreferNoSchedule"
	foreignState = "drainer may change no condition but Drained and DrainInProgress"
)

func taint(key, effect string) string {
	return `[{"op":"add","path":"/spec/taints/-","value":{"key":"` + key + `","effect":"` + effect + `"}}]`
}

// queuedTaints replaces all taints, as drainer does.
func queuedTaints(wanted bool) func(*corev1.Node) string {
	return func(n *corev1.Node) string {
		own := corev1.Taint{Key: api.QueuedTaint, Effect: corev1.TaintEffectPreferNoSchedule}
		taints := slices.DeleteFunc(slices.Clone(n.Spec.Taints), func(t corev1.Taint) bool { return t == own })
		if wanted {
			taints = append(taints, own)
		}
		text, _ := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": n.ResourceVersion}, "spec": map[string]any{"taints": taints},
		})
		return string(text)
	}
}

// forbidden is what must be denied, on a node of richNode.
var forbidden = []change{
	{name: "a label", says: "metadata.labels", patch: `{"metadata":{"labels":{"example.com/new":"x"}}}`},
	{name: "a label by the status", says: "metadata.labels", sub: "status", patch: `{"metadata":{"labels":{"example.com/new":"x"}}}`},
	{
		name: "a label by apply", says: "metadata.labels", kind: types.ApplyPatchType,
		patch: `{"apiVersion":"v1","kind":"Node","metadata":{"labels":{"example.com/new":"x"}}}`,
	},
	{name: "a role", says: "metadata.labels", patch: `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`},
	{name: "another label", says: "metadata.labels", patch: `{"metadata":{"labels":{"example.com/keep":"no"}}}`},
	{name: "no labels", says: "metadata.labels", patch: `{"metadata":{"labels":null}}`},
	{
		name: "an owner", says: "metadata.ownerReferences",
		patch: `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n","uid":"u"}]}}`,
	},
	{name: "another finalizer", says: "metadata.finalizers", patch: `{"metadata":{"finalizers":["example.com/keep","example.com/new"]}}`},
	{name: "no finalizers", says: "metadata.finalizers", patch: `{"metadata":{"finalizers":null}}`},
	{name: "a foreign annotation", says: "annotation example.com/new", patch: `{"metadata":{"annotations":{"example.com/new":"x"}}}`},
	{
		name: "a foreign annotation by the status", says: "annotation example.com/new", sub: "status",
		patch: `{"metadata":{"annotations":{"example.com/new":"x"}}}`,
	},
	{
		name: "a foreign annotation beside an own", says: "annotation example.com/new",
		patch: `{"metadata":{"annotations":{"drainer.dev/new":"x","example.com/new":"x"}}}`,
	},
	{name: "another foreign annotation", says: "annotation example.com/keep", patch: `{"metadata":{"annotations":{"example.com/keep":"no"}}}`},
	{name: "no foreign annotation", says: "annotation example.com/keep", patch: `{"metadata":{"annotations":{"example.com/keep":null}}}`},
	{name: "no annotations", says: "drainer may not change the annotation ", patch: `{"metadata":{"annotations":null}}`},
	{
		name: "an annotation under a longer domain", says: "annotation drainer.dev.example.com/new",
		patch: `{"metadata":{"annotations":{"drainer.dev.example.com/new":"x"}}}`,
	},
	{
		name: "an annotation under a subdomain", says: "annotation x.drainer.dev/new",
		patch: `{"metadata":{"annotations":{"x.drainer.dev/new":"x"}}}`,
	},
	{name: "a hold", says: "annotation hold.drainer.dev/new", patch: `{"metadata":{"annotations":{"hold.drainer.dev/new":"x"}}}`},
	{name: "provider ID", says: "spec.providerID", patch: `{"spec":{"providerID":"x://y"}}`},
	{name: "pod CIDR", says: "spec.podCIDR", patch: `{"spec":{"podCIDR":"10.9.0.0/24","podCIDRs":["10.9.0.0/24"]}}`},
	{name: "provider ID beside a cordon", says: "spec.providerID", patch: `{"spec":{"unschedulable":false,"providerID":"x://y"}}`},
	{name: "a taint NoExecute", says: foreignTaint, kind: types.JSONPatchType, patch: taint("example.com/new", "NoExecute")},
	{name: "a taint NoSchedule", says: foreignTaint, kind: types.JSONPatchType, patch: taint("example.com/new", "NoSchedule")},
	{name: "a taint PreferNoSchedule", says: foreignTaint, kind: types.JSONPatchType, patch: taint("example.com/new", "PreferNoSchedule")},
	{name: "out of service", says: foreignTaint, kind: types.JSONPatchType, patch: taint("node.kubernetes.io/out-of-service", "NoExecute")},
	{name: "drainer's taint as NoExecute", says: foreignTaint, kind: types.JSONPatchType, patch: taint("drainer.dev/queued", "NoExecute")},
	{name: "drainer's taint as NoSchedule", says: foreignTaint, kind: types.JSONPatchType, patch: taint("drainer.dev/queued", "NoSchedule")},
	{name: "unschedulable as NoExecute", says: foreignTaint, kind: types.JSONPatchType, patch: taint("node.kubernetes.io/unschedulable", "NoExecute")},
	{
		name: "a taint by apply", says: foreignTaint, kind: types.ApplyPatchType,
		patch: `{"apiVersion":"v1","kind":"Node","spec":{"taints":[{"key":"example.com/new","effect":"NoExecute"}]}}`,
	},
	{name: "no foreign taint", says: foreignTaint, kind: types.JSONPatchType, patch: `[{"op":"remove","path":"/spec/taints/0"}]`},
	{name: "no taint of a cordon", says: foreignTaint, kind: types.JSONPatchType, patch: `[{"op":"remove","path":"/spec/taints/1"}]`},
	{name: "no taints", says: foreignTaint, patch: `{"spec":{"taints":null}}`},
	{
		name: "another effect of a taint", says: foreignTaint, kind: types.JSONPatchType,
		patch: `[{"op":"replace","path":"/spec/taints/0/effect","value":"NoExecute"}]`,
	},
	{
		name: "another value of a taint", says: foreignTaint, kind: types.JSONPatchType,
		patch: `[{"op":"replace","path":"/spec/taints/0/value","value":"no"}]`,
	},
	{name: "addresses", says: "status.addresses", sub: "status", patch: `{"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}}`},
	{
		name: "an address by apply", says: "status.addresses", sub: "status", kind: types.ApplyPatchType,
		patch: `{"apiVersion":"v1","kind":"Node","status":{"addresses":[{"type":"ExternalDNS","address":"example.com"}]}}`,
	},
	{name: "the kubelet's port", says: "status.daemonEndpoints", sub: "status", patch: `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":1}}}}`},
	{name: "capacity", says: "status.capacity", sub: "status", patch: `{"status":{"capacity":{"cpu":"64"}}}`},
	{name: "allocatable", says: "status.allocatable", sub: "status", patch: `{"status":{"allocatable":{"example.com/gpu":"1"}}}`},
	{name: "the kubelet's version", says: "status.nodeInfo", sub: "status", patch: `{"status":{"nodeInfo":{"kubeletVersion":"v0"}}}`},
	{name: "images", says: "status.images", sub: "status", patch: `{"status":{"images":[{"names":["x"]}]}}`},
	{name: "a volume in use", says: "status.volumesInUse", sub: "status", patch: `{"status":{"volumesInUse":["v","w"]}}`},
	{name: "no volume in use", says: "status.volumesInUse", sub: "status", patch: `{"status":{"volumesInUse":null}}`},
	{name: "no volume attached", says: "status.volumesAttached", sub: "status", patch: `{"status":{"volumesAttached":null}}`},
	{name: "features", says: "status.features", sub: "status", patch: `{"status":{"features":{"supplementalGroupsPolicy":true}}}`},
	{name: "declared features", since: "1.36", says: "status.declaredFeatures", sub: "status", patch: `{"status":{"declaredFeatures":["Example"]}}`},
	{name: "a phase", says: "status.phase", sub: "status", patch: `{"status":{"phase":"Terminated"}}`},
	{
		name: "not Ready", says: foreignState, sub: "status", kind: types.StrategicMergePatchType,
		patch: `{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`,
	},
	{
		name: "another heartbeat", says: foreignState, sub: "status", kind: types.StrategicMergePatchType,
		patch: `{"status":{"conditions":[{"type":"Ready","lastHeartbeatTime":"2001-01-01T00:00:00Z"}]}}`,
	},
	{
		name: "a foreign condition", says: foreignState, sub: "status", kind: types.StrategicMergePatchType,
		patch: `{"status":{"conditions":[{"type":"Example","status":"True"}]}}`,
	},
	{
		name: "no condition Ready", says: foreignState, sub: "status", kind: types.StrategicMergePatchType,
		patch: `{"status":{"conditions":[{"type":"Ready","$patch":"delete"}]}}`,
	},
	{name: "no conditions", says: foreignState, sub: "status", patch: `{"status":{"conditions":null}}`},
	{name: "no status", says: "status.", sub: "status", patch: `{"status":null}`},
	{name: "an eviction by force", says: "evict without a grace period", eviction: &zero},
	{name: "a deletion by force", says: "delete a pod without a grace period", deletion: &deletion{byUID: true, grace: &zero}},
	{name: "a deletion of any pod of a name", says: "without its UID", deletion: &deletion{grace: &thirty}},
}

// permitted are drainer's own writes, on any node, in this order.
var permitted = []change{
	{name: "a cordon", patch: `{"spec":{"unschedulable":true}}`},
	{name: "an own taint", patchOf: queuedTaints(true)},
	{name: "no own taint", patchOf: queuedTaints(false)},
	{name: "no cordon", patch: `{"spec":{"unschedulable":null}}`},
	{name: "own annotations", patch: `{"metadata":{"annotations":{"drainer.dev/status":"{}","drainer.dev/of-a-later-version":"x"}}}`},
	{name: "other own annotations", sub: "status", patch: `{"metadata":{"annotations":{"drainer.dev/status":"{ }"}}}`},
	{
		name: "own conditions", sub: "status", kind: types.StrategicMergePatchType,
		patch: `{"status":{"conditions":[{"type":"Drained","status":"False"},{"type":"DrainInProgress","status":"True"}]}}`,
	},
	{
		name: "another own condition", sub: "status", kind: types.StrategicMergePatchType,
		patch: `{"status":{"conditions":[{"type":"Drained","status":"True"}]}}`,
	},
	{
		name: "no own conditions", sub: "status", kind: types.StrategicMergePatchType,
		patch: `{"status":{"conditions":[{"type":"Drained","$patch":"delete"},{"type":"DrainInProgress","$patch":"delete"}]}}`,
	},
	{name: "no own annotations", patch: `{"metadata":{"annotations":{"drainer.dev/status":null,"drainer.dev/of-a-later-version":null}}}`},
	{
		name: "a request of a rule",
		patch: `{"metadata":{"annotations":{"drainer.dev/drain":"condition/Broken/2030-01-31T12:00:00Z","drainer.dev/marks":"{}",` +
			`"drainer.dev/reason":"x","drainer.dev/requested-by":"x","drainer.dev/paused":"true","drainer.dev/latched":"condition/Broken"}}}`,
	},
	{
		name: "no request of a rule",
		patch: `{"metadata":{"annotations":{"drainer.dev/drain":null,"drainer.dev/marks":null,` +
			`"drainer.dev/reason":null,"drainer.dev/requested-by":null,"drainer.dev/paused":null,"drainer.dev/latched":null}}}`,
	},
	{name: "nothing", patch: `{}`},
	{name: "an eviction", eviction: &thirty},
}
