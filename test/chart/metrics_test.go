package chart

import (
	"reflect"
	"slices"
	"testing"
)

// TestMetricsTLS: a Secret is mounted where the configuration looks for it, its
// endpoint is read by HTTPS, and only with authorize does drainer ask who reads.
func TestMetricsTLS(t *testing.T) {
	t.Parallel()
	review := []any{
		map[string]any{"apiGroups": []any{"authentication.k8s.io"}, "resources": []any{"tokenreviews"}, "verbs": []any{"create"}},
		map[string]any{"apiGroups": []any{"authorization.k8s.io"}, "resources": []any{"subjectaccessreviews"}, "verbs": []any{"create"}},
	}
	for values, want := range map[string]struct {
		secret    bool
		authorize bool
	}{
		"{metrics: {serviceMonitor: {enabled: true}}}":                                                             {false, false},
		"{metrics: {serviceMonitor: {enabled: true}, tls: {secretName: web}}}":                                     {true, false},
		"{metrics: {podMonitor: {enabled: true}, tls: {secretName: web, authorize: true}}}":                        {true, true},
		"{metrics: {serviceMonitor: {enabled: true}, tls: {secretName: web, authorize: true}}, hostNetwork: true}": {true, true},
	} {
		all := render(t, values)
		rules, _ := at(all.find(t, "ClusterRole", "drainer"), "rules").([]any)
		var granted int
		for _, rule := range rules {
			if reflect.DeepEqual(rule, review[0]) || reflect.DeepEqual(rule, review[1]) {
				granted++
			}
		}
		if (granted == 2) != want.authorize || (granted == 0) == want.authorize {
			t.Errorf("with %s drainer has %d of the two permissions to review", values, granted)
		}
		config := effective(t, renderedArgs(t, values)...)
		if (config["metricsTLS.certFile"] == "/etc/drainer-metrics-tls/tls.crt") != want.secret || config["metricsTLS.authorize"] != want.authorize {
			t.Errorf("with %s the configuration says %v", values, config)
		}
		checkMetricsTLS(t, values, all, want.secret)
		if want.authorize {
			readers := all.find(t, "ClusterRole", "drainer-metrics-reader")
			if got := at(readers, "rules", 0, "nonResourceURLs", 0); got != "/metrics" {
				t.Errorf("with %s readers may get %v", values, got)
			}
		}
	}
}

// checkMetricsTLS: the Secret is a volume that the container mounts, and the only
// monitor reads by HTTPS.
func checkMetricsTLS(t *testing.T, values string, all objects, secret bool) {
	t.Helper()
	pod := all.find(t, "Deployment", "")
	volumes, _ := at(pod, "spec", "template", "spec", "volumes").([]any)
	mounts, _ := at(pod, "spec", "template", "spec", "containers", 0, "volumeMounts").([]any)
	volume := map[string]any{"name": "metrics-tls", "secret": map[string]any{"secretName": "web"}}
	mount := map[string]any{"name": "metrics-tls", "mountPath": "/etc/drainer-metrics-tls", "readOnly": true}
	has := func(list []any, want any) bool {
		return slices.ContainsFunc(list, func(got any) bool { return reflect.DeepEqual(got, want) })
	}
	if has(volumes, volume) != secret || has(mounts, mount) != secret {
		t.Errorf("with %s the volumes are %v, mounted are %v", values, volumes, mounts)
	}
	for _, o := range all {
		path := map[string]string{"ServiceMonitor": "endpoints", "PodMonitor": "podMetricsEndpoints"}[o.GetKind()]
		if path == "" {
			continue
		}
		if got := at(o, "spec", path, 0, "scheme"); (got == "https") != secret {
			t.Errorf("with %s the %s has the scheme %v", values, o.GetKind(), got)
		}
	}
}
