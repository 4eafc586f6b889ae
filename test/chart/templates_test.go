package chart

import (
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
		"ClusterRole", "ClusterRoleBinding", "ConfigMap", "Deployment", "Pod", "PodDisruptionBudget",
		"Role", "Role", "RoleBinding", "RoleBinding", "Service", "ServiceAccount",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicy",
		"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicyBinding",
	}
	for name, test := range map[string]struct {
		values     string
		less, more []string
	}{
		"defaults":        {"{}", nil, nil},
		"no account":      {"serviceAccount: {create: false, name: default}", []string{"ServiceAccount"}, nil},
		"no roles":        {"rbac: {create: false}", []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}, nil},
		"no leader":       {"{replicaCount: 1, leaderElection: {enabled: false}}", []string{"PodDisruptionBudget", "Role", "RoleBinding"}, []string{"Role", "RoleBinding"}},
		"no confinement":  {"confinement: {enabled: false}", []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}, nil},
		"no budget":       {"podDisruptionBudget: {enabled: false}", []string{"PodDisruptionBudget"}, nil},
		"one replica":     {"{replicaCount: 1, podDisruptionBudget: {enabled: true}}", []string{"PodDisruptionBudget"}, nil},
		"no replica":      {"replicaCount: 0", []string{"PodDisruptionBudget"}, nil},
		"no Service":      {"service: {enabled: false}", []string{"Pod", "Service"}, nil},
		"network policy":  {"networkPolicy: {enabled: true}", nil, []string{"NetworkPolicy"}},
		"flow schemas":    {"flowSchema: {enabled: true}", nil, []string{"FlowSchema", "FlowSchema"}},
		"no lease's flow": {"{replicaCount: 1, leaderElection: {enabled: false}, flowSchema: {enabled: true}}", []string{"PodDisruptionBudget", "Role", "RoleBinding"}, []string{"FlowSchema", "Role", "RoleBinding"}},
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
			if !strings.HasPrefix(o.GetName(), test.want) || len(o.GetName()) > len(test.want+"-evictions") {
				t.Errorf("release %s with %q has %s, want the name %s", test.release, test.values, nameOf(o), test.want)
			}
		}
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
		"node's ports":  "hostNetwork is true. Ports 8080 and 8081",
		"no policy":     "A NetworkPolicy does not apply",
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
		"node's network":      {"hostNetwork: true", []string{"node's ports"}},
		"no policy for it":    {"{hostNetwork: true, networkPolicy: {enabled: true, apiServer: {cidrs: [10.0.0.1/32]}}}", []string{"node's ports", "no policy"}},
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
