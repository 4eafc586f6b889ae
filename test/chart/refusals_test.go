package chart

import (
	"strings"
	"testing"

	"drainer.dev/drainer/test/suite"
)

// TestRefusals: a value that is wrong is refused with its name, what was
// expected, and how to fix it; by the schema where that says it well enough.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values string
		want   []string
	}{
		"no such value":      {"replicas: 3", []string{"additional properties 'replicas' not allowed"}},
		"no such flag":       {"drain: {forceDelete: true}", []string{"/drain", "'forceDelete' not allowed"}},
		"a deletion":         {"drain: {onTimeout: Delete}", []string{`drain.onTimeout is "Delete" and drain.allowDelete is false`, "set drain.allowDelete to true"}},
		"type":               {"replicaCount: two", []string{"/replicaCount", "want integer"}},
		"text for a switch":  {"service: {enabled: \"yes\"}", []string{"/service/enabled", "want boolean"}},
		"label is a number":  {"commonLabels: {a: 1}", []string{"/commonLabels/a", "want string"}},
		"no choice":          {"drain: {barePods: Delete}", []string{"/drain/barePods", "'Block', 'Evict', 'Ignore'"}},
		"too low":            {"eviction: {burst: 0}", []string{"/eviction/burst", "want 1"}},
		"verbosity":          {"logging: {verbosity: 11}", []string{"/logging/verbosity", "want 10"}},
		"privileged port":    {"metrics: {port: 80}", []string{"/metrics/port", "want 1,024"}},
		"grace period":       {"terminationGracePeriodSeconds: 5", []string{"/terminationGracePeriodSeconds", "want 11"}},
		"digest":             {"image: {digest: abc}", []string{`image.digest is "abc"`, "sha256:", "leave it empty"}},
		"tag in the name":    {"image: {repository: drainer:v1}", []string{`image.repository is "drainer:v1"`, "move those to image.tag"}},
		"share":              {"drain: {maxDraining: 0%}", []string{`drain.maxDraining is "0%"`, "from 1% to 100%", "write for example 3 or 10%"}},
		"large share":        {"drain: {maxDraining: 101%}", []string{`drain.maxDraining is "101%"`}},
		"no node":            {"drain: {maxDraining: 0}", []string{`drain.maxDraining is "0"`}},
		"nothing available":  {"drain: {maxUnavailable: 0}", []string{`drain.maxUnavailable is "0"`, "write for example 5 or 20%"}},
		"duration":           {"drain: {timeout: 5 minutes}", []string{`drain.timeout is "5 minutes"`, "Go duration", "write for example 90s"}},
		"negative duration":  {"drain: {settle: -5s}", []string{`drain.settle is "-5s"`, "Go duration"}},
		"no duration":        {"eviction: {timeout: 0s}", []string{`eviction.timeout is "0s"`, "above 0"}},
		"stuck at once":      {"drain: {stuckAfter: 0h0m}", []string{`drain.stuckAfter is "0h0m"`, "above 0"}},
		"rate":               {"kubeAPI: {qps: -1}", []string{"/kubeAPI/qps", "0"}},
		"lease":              {"leaderElection: {leaseDuration: 10000ms}", []string{`leaderElection.leaseDuration is "10000ms"`, "more than leaderElection.renewDeadline (10s)"}},
		"renewal":            {"leaderElection: {retryPeriod: 9s}", []string{`leaderElection.renewDeadline is "10s"`, "1.2 times leaderElection.retryPeriod (9s)"}},
		"retry":              {"leaderElection: {retryPeriod: 0s}", []string{`leaderElection.retryPeriod is "0s"`, "above 0"}},
		"two without leader": {"leaderElection: {enabled: false}", []string{"replicaCount is 2 and leaderElection.enabled is false", "set replicaCount to 1"}},
		"same port":          {"health: {port: 8080}", []string{"metrics.port and health.port are both 8080", "change one"}},
		"port of profiles":   {"pprof: {enabled: true, port: 8081}", []string{"pprof.port is 8081", "change it"}},
		"flag twice":         {"extraArgs: [--max-draining=5]", []string{`extraArgs has "--max-draining=5"`, "value of their own"}},
		"field twice":        {"config: {maxDraining: 5}", []string{`config has the field "maxDraining"`, "set the value under drain or eviction instead"}},
		"part of a field":    {"config: {eviction: {qps: 5}}", []string{`config has the field "eviction"`}},
		"field of a flag":    {"config: {logging: {format: json}}", []string{`config has the field "logging"`, "set logging instead"}},
		"two selectors":      {"{config: {nodeSelector: {}}, drain: {nodeSelector: a=b}}", []string{`config has the field "nodeSelector"`, "set drain.nodeSelector instead"}},
		"config a text":      {"config: 'settle: 5s'", []string{"/config", "want object"}},
		"lease by flag":      {"extraArgs: [--leader-elect-resource-namespace=x]", []string{"set leaderElection.resourceNamespace instead"}},
		"depth by flag":      {"extraArgs: [-v=4]", []string{"set logging.verbosity instead"}},
		"blanket toleration": {"tolerations: [{operator: Exists}]", []string{"tolerations has", "node.kubernetes.io/unschedulable", "name the keys"}},
		"cordon tolerated":   {"tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists}]", []string{"come back to the node"}},
		"switched off":       {"enabled: false", []string{"enabled is false", "condition: drainer.enabled"}},
		"no resolver":        {"dnsPolicy: None", []string{`dnsPolicy is "None" and dnsConfig.nameservers is empty`, "set dnsConfig.nameservers"}},
		"no such policy":     {"dnsPolicy: Cluster", []string{"/dnsPolicy", "'ClusterFirst'"}},
		"label no text":      {"service: {labels: {a: 1}}", []string{"/service/labels/a", "want string"}},
		"account's label":    {"serviceAccount: {labels: {a: true}}", []string{"/serviceAccount/labels/a", "want string"}},
		"job no label":       {"metrics: {serviceMonitor: {jobLabel: [a]}}", []string{"/metrics/serviceMonitor/jobLabel", "want string"}},
		"one target label":   {"metrics: {serviceMonitor: {targetLabels: a}}", []string{"/metrics/serviceMonitor/targetLabels", "want array"}},
		"container a text":   {"initContainers: [busybox]", []string{"/initContainers/0", "want object"}},
		"no account":         {"serviceAccount: {create: false}", []string{"serviceAccount.name is empty", "set serviceAccount.name"}},
		"two budgets":        {"podDisruptionBudget: {minAvailable: 1, maxUnavailable: 1}", []string{"expected one of them", "leave the other empty"}},
		"no number":          {"podDisruptionBudget: {maxUnavailable: one}", []string{`podDisruptionBudget.maxUnavailable is "one"`, "write for example 1 or 50%"}},
		"none may be gone":   {"podDisruptionBudget: {maxUnavailable: 0}", []string{`podDisruptionBudget.maxUnavailable is "0"`, "could ever be drained"}},
		"all must stay":      {"podDisruptionBudget: {minAvailable: 2}", []string{`podDisruptionBudget.minAvailable is "2"`, "less than replicaCount (2)"}},
		"all of them":        {"podDisruptionBudget: {minAvailable: 100%}", []string{`podDisruptionBudget.minAvailable is "100%"`}},
		"a share of all":     {"podDisruptionBudget: {minAvailable: 51%}", []string{`podDisruptionBudget.minAvailable is "51%"`}},
		"both monitors":      {"metrics: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}", []string{"metrics.serviceMonitor.enabled and metrics.podMonitor.enabled", "set one to false"}},
		"nothing to monitor": {"{service: {enabled: false}, metrics: {serviceMonitor: {enabled: true}}}", []string{"service.enabled is false", "use metrics.podMonitor"}},
		"no such alert":      {"metrics: {prometheusRule: {enabled: true, disabled: [DrainerIsSad]}}", []string{`has "DrainerIsSad"`, "take one of", "DrainerDrainStuck"}},
		"change of no alert": {"metrics: {prometheusRule: {enabled: true, alerts: {DrainerIsSad: {for: 1m}}}}", []string{`metrics.prometheusRule.alerts has "DrainerIsSad"`, "take one of", "DrainerAbsent, Drainer"}},
		"no such change":     {"metrics: {prometheusRule: {enabled: true, alerts: {DrainerAbsent: {expr: up}}}}", []string{"/metrics/prometheusRule/alerts/DrainerAbsent", "'expr' not allowed"}},
		"no time":            {"metrics: {prometheusRule: {enabled: true, alerts: {DrainerAbsent: {for: 5 minutes}}}}", []string{`metrics.prometheusRule.alerts.DrainerAbsent.for is "5 minutes"`, "write for example 15m"}},
		"empty time":         {"metrics: {prometheusRule: {enabled: true, alerts: {DrainerAbsent: {for: \"\"}}}}", []string{`DrainerAbsent.for is ""`}},
		"empty severity":     {"metrics: {prometheusRule: {enabled: true, alerts: {DrainerAbsent: {severity: \"\"}}}}", []string{"/metrics/prometheusRule/alerts/DrainerAbsent/severity", "minLength"}},
		"annotation's value": {"metrics: {prometheusRule: {enabled: true, alerts: {DrainerAbsent: {annotations: {a: 1}}}}}", []string{"/alerts/DrainerAbsent/annotations/a", "want string"}},
		"no Grafana":         {"dashboards: {grafanaOperator: {enabled: true, matchLabels: {dashboards: null}}}", []string{"dashboards.grafanaOperator.matchLabels is empty", "set for example"}},
		"no sidecar's label": {"dashboards: {sidecar: {enabled: true, labels: {grafana_dashboard: null}}}", []string{"/dashboards/sidecar/labels", "minProperties"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, major := range shared.helms {
				_, err := shared.chart.Template(suite.Context(t), major, "--values="+valuesFile(t, test.values))
				if err == nil {
					t.Fatalf("Helm %s renders it", major)
				}
				for _, want := range test.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("Helm %s says %v; want %q in it", major, err, want)
					}
				}
			}
		})
	}
}

// TestAccepted: what looks wrong and is not.
func TestAccepted(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"a share":                   "drain: {maxDraining: 100%}",
		"a number as text":          "drain: {maxDraining: \"12\"}",
		"a long duration":           "drain: {timeout: 1h30m0.5s}",
		"no limit":                  "drain: {timeout: \"0\"}",
		"no limit of evictions":     "eviction: {qps: 0}",
		"no pod":                    "replicaCount: 0",
		"one without leader":        "{replicaCount: 1, leaderElection: {enabled: false, retryPeriod: 0s}}",
		"a registry with a port":    "image: {repository: registry.example.com:5000/drainer}",
		"half of the pods":          "podDisruptionBudget: {minAvailable: 50%}",
		"two of three thirds":       "{replicaCount: 3, podDisruptionBudget: {minAvailable: 66%}}",
		"one replica and no budget": "{replicaCount: 1, podDisruptionBudget: {minAvailable: 1}}",
		"a taint that evicts":       "tolerations: [{operator: Exists, effect: NoExecute}]",
		"a resolver":                "{dnsPolicy: None, dnsConfig: {nameservers: [10.0.0.1]}}",
		"a parent chart's values":   "global: {imageRegistry: registry.example.com}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, major := range shared.helms {
				rendered(t, major, values)
			}
		})
	}
}
