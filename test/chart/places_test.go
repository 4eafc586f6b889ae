package chart

import (
	"reflect"
	"strings"
	"testing"
)

// place is where a value shows.
type place struct {
	kind, name string
	path       []any
	want       any
}

// TestValues: values show where they should.
func TestValues(t *testing.T) {
	t.Parallel()
	pod := func(path ...any) []any { return append([]any{"spec", "template", "spec"}, path...) }
	container := func(path ...any) []any { return pod(append([]any{"containers", 0}, path...)...) }
	for name, test := range map[string]struct {
		values string
		places []place
	}{
		"image": {"{}", []place{
			{"Deployment", "drainer", container("image"), "ghcr.io/drainer-dev/drainer:v0.1.0"},
			{"Pod", "drainer-test", []any{"spec", "containers", 0, "image"}, "ghcr.io/drainer-dev/drainer:v0.1.0"},
		}},
		"a digest wins over a tag": {"image: {tag: v9, digest: \"sha256:" + strings.Repeat("a", 64) + "\"}", []place{
			{"Deployment", "drainer", container("image"), "ghcr.io/drainer-dev/drainer@sha256:" + strings.Repeat("a", 64)},
		}},
		// A switch that is off must not be taken for one that is not set.
		"false stays false": {"metrics: {serviceMonitor: {enabled: true, honorLabels: false}}", []place{
			{"ServiceMonitor", "drainer", []any{"spec", "endpoints", 0, "honorLabels"}, false},
		}},
		"true is true": {"metrics: {serviceMonitor: {enabled: true, honorLabels: true}}", []place{
			{"ServiceMonitor", "drainer", []any{"spec", "endpoints", 0, "honorLabels"}, true},
		}},
		"no limit is no limit": {"{metrics: {podMonitor: {enabled: true}}}", []place{
			{"PodMonitor", "drainer", []any{"spec", "sampleLimit"}, nil},
		}},
		"two replicas keep apart": {"{}", []place{
			{"Deployment", "drainer", pod("affinity", "podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution", 0, "podAffinityTerm", "topologyKey"), "kubernetes.io/hostname"},
			{"Deployment", "drainer", pod("affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"), nil},
		}},
		"must keep apart": {"podAntiAffinity: Required", []place{
			{"Deployment", "drainer", pod("affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution", 0, "topologyKey"), "kubernetes.io/hostname"},
			{"Deployment", "drainer", pod("affinity", "podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution"), nil},
		}},
		"one replica keeps apart from nobody": {"replicaCount: 1", []place{{"Deployment", "drainer", pod("affinity"), nil}}},
		"own anti-affinity wins": {"affinity: {podAntiAffinity: {a: b}}", []place{
			{"Deployment", "drainer", pod("affinity", "podAntiAffinity"), map[string]any{"a": "b"}},
		}},
		"no toleration of a cordon": {"{}", []place{
			{"Deployment", "drainer", pod("tolerations"), []any{map[string]any{"key": "CriticalAddonsOnly", "operator": "Exists"}}},
		}},
		"a token only for drainer": {"{}", []place{
			{"ServiceAccount", "drainer", []any{"automountServiceAccountToken"}, false},
			{"Deployment", "drainer", pod("automountServiceAccountToken"), true},
			{"Pod", "drainer-test", []any{"spec", "automountServiceAccountToken"}, false},
		}},
		"labels cannot break selectors": {"{commonLabels: {app.kubernetes.io/name: x, a: b}, podLabels: {app.kubernetes.io/instance: x}}", []place{
			{"Deployment", "drainer", []any{"spec", "selector", "matchLabels"}, map[string]any{"app.kubernetes.io/name": "drainer", "app.kubernetes.io/instance": "drainer"}},
			{"Deployment", "drainer", []any{"spec", "template", "metadata", "labels"}, map[string]any{"app.kubernetes.io/name": "drainer", "app.kubernetes.io/instance": "drainer", "a": "b"}},
		}},
		"the budget and the Service leave the test's pod alone": {"{}", []place{
			{"Pod", "drainer-test", []any{"metadata", "labels", "app.kubernetes.io/name"}, "drainer-test"},
			{"Service", "drainer", []any{"spec", "selector", "app.kubernetes.io/name"}, "drainer"},
			{"PodDisruptionBudget", "drainer", []any{"spec", "selector", "matchLabels", "app.kubernetes.io/name"}, "drainer"},
		}},
		"budget": {"{}", []place{
			{"PodDisruptionBudget", "drainer", []any{"spec", "maxUnavailable"}, 1.},
			{"PodDisruptionBudget", "drainer", []any{"spec", "minAvailable"}, nil},
		}},
		"budget of a share": {"podDisruptionBudget: {minAvailable: 50%}", []place{
			{"PodDisruptionBudget", "drainer", []any{"spec", "maxUnavailable"}, nil},
			{"PodDisruptionBudget", "drainer", []any{"spec", "minAvailable"}, "50%"},
		}},
		"whose requests are confined": {"{serviceAccount: {name: x}, namespaceOverride: ours}", []place{
			{"ValidatingAdmissionPolicy", "drainer-nodes", []any{"spec", "matchConditions", 0, "expression"}, "request.userInfo.username == 'system:serviceaccount:ours:x'"},
			{"ValidatingAdmissionPolicy", "drainer-evictions", []any{"spec", "matchConditions", 0, "expression"}, "request.userInfo.username == 'system:serviceaccount:ours:x'"},
			{"ValidatingAdmissionPolicy", "drainer-deletions", []any{"spec", "matchConditions", 0, "expression"}, "request.userInfo.username == 'system:serviceaccount:ours:x'"},
			{"ValidatingAdmissionPolicyBinding", "drainer-nodes", []any{"spec", "policyName"}, "drainer-nodes"},
			{"ValidatingAdmissionPolicyBinding", "drainer-evictions", []any{"spec", "policyName"}, "drainer-evictions"},
			{"ValidatingAdmissionPolicyBinding", "drainer-deletions", []any{"spec", "policyName"}, "drainer-deletions"},
		}},
		"leases elsewhere": {"leaderElection: {resourceNamespace: leases, resourceName: x}", []place{
			{"Role", "drainer", []any{"metadata", "namespace"}, "leases"},
			{"RoleBinding", "drainer", []any{"metadata", "namespace"}, "leases"},
			{"RoleBinding", "drainer", []any{"subjects", 0, "namespace"}, "drainer"},
			{"Role", "drainer", []any{"rules", 1, "resourceNames"}, []any{"x"}},
			{"Role", "drainer-control", []any{"metadata", "namespace"}, "drainer"},
			{"RoleBinding", "drainer-control", []any{"metadata", "namespace"}, "drainer"},
		}},
		// A policy that lists Egress and allows none would cut drainer off.
		"the API server stays in reach": {"networkPolicy: {enabled: true, dns: false}", []place{
			{"NetworkPolicy", "drainer", []any{"spec", "policyTypes"}, []any{"Ingress", "Egress"}},
			{"NetworkPolicy", "drainer", []any{"spec", "egress"}, []any{map[string]any{"ports": []any{
				map[string]any{"port": 443., "protocol": "TCP"}, map[string]any{"port": 6443., "protocol": "TCP"},
			}}}},
		}},
		"the kubelet's probes pass": {"networkPolicy: {enabled: true, metricsFrom: [{podSelector: {}}]}", []place{
			{"NetworkPolicy", "drainer", []any{"spec", "ingress", 0, "from"}, []any{map[string]any{"podSelector": map[string]any{}}}},
			{"NetworkPolicy", "drainer", []any{"spec", "ingress", 1}, map[string]any{"ports": []any{map[string]any{"port": "health", "protocol": "TCP"}}}},
		}},
		"the configuration beside other volumes": {"{extraVolumes: [{name: a}], extraVolumeMounts: [{name: a, mountPath: /a}], podAnnotations: {a: b}}", []place{
			{"Deployment", "drainer", pod("volumes", 0, "configMap", "name"), "drainer-config"},
			{"Deployment", "drainer", pod("volumes", 1, "name"), "a"},
			{"Deployment", "drainer", container("volumeMounts", 0, "readOnly"), true},
			{"Deployment", "drainer", container("volumeMounts", 1, "mountPath"), "/a"},
			{"Deployment", "drainer", []any{"spec", "template", "metadata", "annotations", "a"}, "b"},
		}},
		"an object as text uses templates": {"extraObjects: ['{apiVersion: v1, kind: ConfigMap, metadata: {name: {{ include \"drainer.fullname\" . }}-x}}']", []place{
			{"ConfigMap", "drainer-x", []any{"metadata", "name"}, "drainer-x"},
		}},
		"no network or resolver of its own": {"{}", []place{
			{"Deployment", "drainer", pod("hostNetwork"), nil},
			{"Deployment", "drainer", pod("dnsPolicy"), nil},
			{"Deployment", "drainer", pod("dnsConfig"), nil},
			{"Deployment", "drainer", pod("runtimeClassName"), nil},
			{"Deployment", "drainer", pod("initContainers"), nil},
		}},
		"the network of the node": {"{hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet, dnsConfig: {searches: [a]}, runtimeClassName: r}", []place{
			{"Deployment", "drainer", pod("hostNetwork"), true},
			{"Deployment", "drainer", pod("dnsPolicy"), "ClusterFirstWithHostNet"},
			{"Deployment", "drainer", pod("dnsConfig", "searches", 0), "a"},
			{"Deployment", "drainer", pod("runtimeClassName"), "r"},
		}},
		"containers before drainer": {"initContainers: [{name: a}, {name: b}]", []place{
			{"Deployment", "drainer", pod("initContainers", 1, "name"), "b"},
			{"Deployment", "drainer", container("name"), "drainer"},
		}},
		"the Go runtime knows the limit": {"{}", []place{
			{"Deployment", "drainer", container("env", 2), map[string]any{"name": "GOMEMLIMIT", "valueFrom": map[string]any{
				"resourceFieldRef": map[string]any{"resource": "limits.memory"},
			}}},
		}},
		"no limit for the Go runtime either": {"resources: {limits: {memory: null}}", []place{
			{"Deployment", "drainer", container("env", 2), nil},
		}},
		"another limit for the Go runtime": {"extraEnv: [{name: GOMEMLIMIT, value: 100MiB}]", []place{
			{"Deployment", "drainer", container("env", 2, "value"), "100MiB"},
			{"Deployment", "drainer", container("env", 3), nil},
		}},
		"labels of the Service and the account": {"{service: {labels: {a: b, app.kubernetes.io/name: x}}, serviceAccount: {labels: {c: d}}}", []place{
			{"Service", "drainer", []any{"metadata", "labels", "a"}, "b"},
			{"Service", "drainer", []any{"metadata", "labels", "app.kubernetes.io/name"}, "drainer"},
			{"ServiceAccount", "drainer", []any{"metadata", "labels", "c"}, "d"},
		}},
		"no labels from a Service": {"metrics: {serviceMonitor: {enabled: true}}", []place{
			{"ServiceMonitor", "drainer", []any{"spec", "jobLabel"}, nil},
			{"ServiceMonitor", "drainer", []any{"spec", "targetLabels"}, nil},
			{"ServiceMonitor", "drainer", []any{"spec", "podTargetLabels"}, nil},
		}},
		"labels from a Service": {"metrics: {serviceMonitor: {enabled: true, jobLabel: a, targetLabels: [b], podTargetLabels: [c]}}", []place{
			{"ServiceMonitor", "drainer", []any{"spec", "jobLabel"}, "a"},
			{"ServiceMonitor", "drainer", []any{"spec", "targetLabels"}, []any{"b"}},
			{"ServiceMonitor", "drainer", []any{"spec", "podTargetLabels"}, []any{"c"}},
		}},
		"labels from pods": {"metrics: {podMonitor: {enabled: true, jobLabel: a, podTargetLabels: [c]}}", []place{
			{"PodMonitor", "drainer", []any{"spec", "jobLabel"}, "a"},
			{"PodMonitor", "drainer", []any{"spec", "podTargetLabels"}, []any{"c"}},
		}},
		// OpenShift gives each namespace user IDs of its own.
		"no user ID": {"podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}", []place{
			{"Deployment", "drainer", pod("securityContext"), map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}}},
			{"Pod", "drainer-test", []any{"spec", "securityContext", "runAsUser"}, nil},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := render(t, test.values)
			for _, p := range test.places {
				if got := at(all.find(t, p.kind, p.name), p.path...); !same(got, p.want) {
					t.Errorf("%s %s has %v at %v, want %v", p.kind, p.name, got, p.path, p.want)
				}
			}
		})
	}
}

// same compares without regard for how a number is kept.
func same(a, b any) bool {
	if n, ok := a.(int64); ok {
		a = float64(n)
	}
	return reflect.DeepEqual(a, b)
}
