package chart

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"drainer.dev/drainer/test/suite"
)

// TestToggles: every switch makes and takes away just the kinds that it is for.
func TestToggles(t *testing.T) {
	t.Parallel()
	// What there is without values.
	base := []string{
		"ClusterRole", "ClusterRoleBinding", "Deployment", "Pod", "PodDisruptionBudget",
		"Role", "RoleBinding", "Service", "ServiceAccount",
	}
	for name, test := range map[string]struct {
		values     string
		less, more []string
	}{
		"defaults":        {"{}", nil, nil},
		"no account":      {"serviceAccount: {create: false, name: default}", []string{"ServiceAccount"}, nil},
		"no roles":        {"rbac: {create: false}", []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}, nil},
		"no leader":       {"{replicaCount: 1, leaderElection: {enabled: false}}", []string{"PodDisruptionBudget", "Role", "RoleBinding"}, nil},
		"no budget":       {"podDisruptionBudget: {enabled: false}", []string{"PodDisruptionBudget"}, nil},
		"one replica":     {"{replicaCount: 1, podDisruptionBudget: {enabled: true}}", []string{"PodDisruptionBudget"}, nil},
		"no replica":      {"replicaCount: 0", []string{"PodDisruptionBudget"}, nil},
		"no Service":      {"service: {enabled: false}", []string{"Pod", "Service"}, nil},
		"network policy":  {"networkPolicy: {enabled: true}", nil, []string{"NetworkPolicy"}},
		"flow schemas":    {"flowSchema: {enabled: true}", nil, []string{"FlowSchema", "FlowSchema"}},
		"no lease's flow": {"{replicaCount: 1, leaderElection: {enabled: false}, flowSchema: {enabled: true}}", []string{"PodDisruptionBudget", "Role", "RoleBinding"}, []string{"FlowSchema"}},
		"service monitor": {"metrics: {serviceMonitor: {enabled: true}}", nil, []string{"ServiceMonitor"}},
		"pod monitor":     {"metrics: {podMonitor: {enabled: true}}", nil, []string{"PodMonitor"}},
		"rules":           {"metrics: {prometheusRule: {enabled: true}}", nil, []string{"PrometheusRule"}},
		"dashboards":      {"dashboards: {sidecar: {enabled: true}}", nil, []string{"ConfigMap", "ConfigMap", "ConfigMap"}},
		"for an operator": {"dashboards: {grafanaOperator: {enabled: true}}", nil, []string{"GrafanaDashboard", "GrafanaDashboard", "GrafanaDashboard"}},
		"extra objects":   {"extraObjects: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]", nil, []string{"Secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, o := range render(t, test.values) {
				got = append(got, o.GetKind())
			}
			want := slices.DeleteFunc(slices.Clone(base), func(kind string) bool { return slices.Contains(test.less, kind) })
			want = append(want, test.more...)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("rendered are %v, want %v", got, want)
			}
		})
	}
}

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
		"no limit is no limit": {"{eviction: {qps: 0}, metrics: {podMonitor: {enabled: true}}}", []place{
			{"Deployment", "drainer", container("args", 8), "--eviction-qps=0"},
			{"PodMonitor", "drainer", []any{"spec", "sampleLimit"}, nil},
		}},
		"large numbers are written out": {"eviction: {burst: 1000000}", []place{
			{"Deployment", "drainer", container("args", 9), "--eviction-burst=1000000"},
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
		"leases elsewhere": {"leaderElection: {resourceNamespace: leases, resourceName: x}", []place{
			{"Role", "drainer", []any{"metadata", "namespace"}, "leases"},
			{"RoleBinding", "drainer", []any{"metadata", "namespace"}, "leases"},
			{"RoleBinding", "drainer", []any{"subjects", 0, "namespace"}, "drainer"},
			{"Role", "drainer", []any{"rules", 1, "resourceNames"}, []any{"x"}},
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
		"profiles only from the pod itself": {"pprof: {enabled: true}", []place{
			{"Deployment", "drainer", container("args", 16), "--pprof-bind-address=127.0.0.1:6060"},
		}},
		"an object as text uses templates": {"extraObjects: ['{apiVersion: v1, kind: ConfigMap, metadata: {name: {{ include \"drainer.fullname\" . }}-x}}']", []place{
			{"ConfigMap", "drainer-x", []any{"metadata", "name"}, "drainer-x"},
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

// TestNames: a release of another name does not clash with one of this.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ release, values, want string }{
		{"drainer", "", "drainer"},
		{"my-drainer", "", "my-drainer"},
		{"infra", "", "infra-drainer"},
		{"infra", "nameOverride=evictor", "infra-evictor"},
		{"infra", "fullnameOverride=evictor", "evictor"},
		{strings.Repeat("a", 53), "nameOverride=" + strings.Repeat("b", 20), strings.Repeat("a", 53) + "-" + strings.Repeat("b", 9)},
	} {
		out, err := shared.chart.Helm(suite.Context(t), Majors()[0], "template", test.release, shared.chart.Dir(), "--set="+test.values)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range parse(t, out) {
			if !strings.HasPrefix(o.GetName(), test.want) || len(o.GetName()) > len(test.want+"-test") {
				t.Errorf("release %s with %q has %s, want the name %s", test.release, test.values, nameOf(o), test.want)
			}
		}
	}
}

// TestRules: alerts can be left out, labelled, and told where the runbooks are;
// a rule without alerts is not made.
func TestRules(t *testing.T) {
	t.Parallel()
	alerts := func(values string) map[string]map[string]any {
		found := map[string]map[string]any{}
		for _, o := range render(t, values) {
			if o.GetKind() != "PrometheusRule" {
				continue
			}
			groups, _ := at(o, "spec", "groups").([]any)
			for _, g := range groups {
				rules, _ := g.(map[string]any)["rules"].([]any)
				if len(rules) == 0 {
					t.Errorf("a group without rules with %s", values)
				}
				for _, r := range rules {
					if rule := r.(map[string]any); rule["alert"] != nil {
						found[rule["alert"].(string)] = rule
					}
				}
			}
		}
		return found
	}
	all := alerts("metrics: {prometheusRule: {enabled: true}}")
	if len(all) < 2 || all["DrainerDrainStuck"] == nil {
		t.Fatalf("the alerts are %v", all)
	}
	changed := alerts("metrics: {prometheusRule: {enabled: true, disabled: [DrainerAbsent], alertLabels: {team: a}, runbookURL: https://x}}")
	if len(changed) != len(all)-1 || changed["DrainerAbsent"] != nil {
		t.Errorf("of %d alerts without one there are %d", len(all), len(changed))
	}
	for name, rule := range changed {
		annotations, _ := rule["annotations"].(map[string]any)
		if annotations["runbook_url"] != "https://x/"+name+".md" {
			t.Errorf("%s has the annotations %v", name, annotations)
		}
		labels, _ := rule["labels"].(map[string]any)
		if labels["team"] != "a" || labels["severity"] == nil {
			t.Errorf("%s has the labels %v", name, labels)
		}
		if !reflect.DeepEqual(rule["expr"], all[name]["expr"]) {
			t.Errorf("%s has another expression", name)
		}
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	values := "metrics: {prometheusRule: {enabled: true, disabled: [" + strings.Join(names, ", ") + "]}}"
	if none := alerts(values); len(none) != 0 {
		t.Errorf("all are disabled, and there are %v", none)
	}
}

// TestNotes: the notes tell the commands, and warn of what is set and of
// nothing else.
func TestNotes(t *testing.T) {
	t.Parallel()
	warnings := map[string]string{
		"no pod":        "replicaCount is 0",
		"one pod":       "replicaCount is 1",
		"no leader":     "leaderElection.enabled is false",
		"together":      "podAntiAffinity is None",
		"no roles":      "rbac.create is false",
		"any address":   "networkPolicy.apiServer.cidrs is empty",
		"no operator":   "does not know monitoring.coreos.com/v1",
		"no label":      "metrics.serviceMonitor.labels is empty",
		"rule no label": "metrics.prometheusRule.labels is empty",
		"rule alone":    "no monitor of the chart is",
		"no metrics":    "Nobody finds the metrics",
	}
	for name, test := range map[string]struct {
		values string
		want   []string
	}{
		"defaults":            {"{}", nil},
		"no pod":              {"replicaCount: 0", []string{"no pod"}},
		"one pod":             {"replicaCount: 1", []string{"one pod"}},
		"one without leader":  {"{replicaCount: 1, leaderElection: {enabled: false}}", []string{"one pod", "no leader"}},
		"together":            {"podAntiAffinity: None", []string{"together"}},
		"together on purpose": {"{podAntiAffinity: None, affinity: {podAffinity: {}}}", nil},
		"alone in any case":   {"{podAntiAffinity: None, replicaCount: 1}", []string{"one pod"}},
		"no roles":            {"rbac: {create: false}", []string{"no roles"}},
		"any address":         {"networkPolicy: {enabled: true}", []string{"any address"}},
		"named address":       {"networkPolicy: {enabled: true, apiServer: {cidrs: [10.0.0.1/32]}}", nil},
		"monitor":             {"metrics: {serviceMonitor: {enabled: true}}", []string{"no operator", "no label"}},
		"monitor with label":  {"metrics: {serviceMonitor: {enabled: true, labels: {release: x}}}", []string{"no operator"}},
		"rules":               {"metrics: {prometheusRule: {enabled: true}}", []string{"no operator", "rule alone", "rule no label"}},
		"no Service":          {"service: {enabled: false}", []string{"no metrics"}},
		"pods are monitored":  {"{service: {enabled: false}, metrics: {podMonitor: {enabled: true, labels: {release: x}}}}", []string{"no operator"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, major := range shared.helms {
				notes := notesOf(t, major, test.values)
				for _, command := range []string{
					"kubectl annotate node NODE drainer.dev/drain=CHG-1234\n",
					`kubectl wait node/NODE --timeout=1h --for=jsonpath='{.metadata.annotations.drainer\.dev/drained}'=CHG-1234`,
					"kubectl annotate node NODE drainer.dev/drain-\n",
				} {
					if !strings.Contains(notes, command) {
						t.Errorf("Helm %s does not tell %q in\n%s", major, command, notes)
					}
				}
				expected := slices.DeleteFunc(slices.Clone(test.want), func(w string) bool { return major == "v3" && w == "no operator" })
				for warning, text := range warnings {
					if got, want := strings.Contains(notes, text), slices.Contains(expected, warning); got != want {
						t.Errorf("Helm %s warns of %q: %v, want %v", major, text, got, want)
					}
				}
				if got := strings.Count(notes, "WARNING"); got != len(expected) {
					t.Errorf("Helm %s warns %d times, want %d:\n%s", major, got, len(expected), notes)
				}
			}
		})
	}
}

// notesOf are the notes after an installation. Helm 3 asks the cluster, also if
// it is to install nothing, and the cluster knows the operator's kinds.
func notesOf(t *testing.T, major, values string) string {
	t.Helper()
	args := []string{
		"install", "notes", shared.chart.Dir(), "--namespace=drainer", "--dry-run=client", "--values=" + valuesFile(t, values),
	}
	if major == "v3" {
		onCluster(t)
		args = append(args, "--kubeconfig="+shared.Cluster.Kubeconfig())
	}
	out, err := shared.chart.Helm(suite.Context(t), major, args...)
	if err != nil {
		t.Fatal(err)
	}
	_, notes, _ := strings.Cut(out, "\nNOTES:\n")
	return notes + "\n"
}
