package chart

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/test/suite"
)

// forEachFile runs a test for every file of values that comes with the chart.
func forEachFile(t *testing.T, test func(t *testing.T, values string)) {
	t.Helper()
	t.Parallel()
	for name, values := range ciFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, values)
		})
	}
}

// TestLint: Helm's own lint finds nothing, not even to warn of.
func TestLint(t *testing.T) {
	forEachFile(t, func(t *testing.T, values string) {
		for _, major := range shared.helms {
			out, err := shared.chart.Helm(suite.Context(t), major, "lint", "--strict", shared.chart.Dir(), "--values="+valuesFile(t, values))
			if err != nil || strings.Contains(out, "[WARNING]") {
				t.Errorf("Helm %s: %v\n%s", major, err, out)
			}
		}
	})
}

// TestSameOutput: to render twice gives the same bytes, and both versions of
// Helm the same objects.
func TestSameOutput(t *testing.T) {
	forEachFile(t, func(t *testing.T, values string) {
		first := map[string]any{}
		for _, major := range shared.helms {
			out := rendered(t, major, values)
			if again := rendered(t, major, values); again != out {
				t.Errorf("Helm %s renders\n%s\nand then\n%s", major, out, again)
			}
			all := map[string]any{}
			for _, o := range parse(t, out) {
				if all[nameOf(o)] != nil {
					t.Errorf("%s is rendered twice", nameOf(o))
				}
				all[nameOf(o)] = o.Object
			}
			if len(first) == 0 {
				first = all
			} else if !reflect.DeepEqual(first, all) {
				t.Errorf("Helm %s renders other objects than Helm %s", major, Majors()[0])
			}
		}
	})
}

// TestStrict: every object decodes into its Go type without a field too much.
func TestStrict(t *testing.T) {
	forEachFile(t, func(t *testing.T, values string) {
		for _, o := range render(t, values) {
			if o.GetKind() == "GrafanaDashboard" {
				checkGrafanaDashboard(t, o.Object)
				continue
			}
			decode(t, o.Object)
		}
	})
}

func decode(t *testing.T, content map[string]any) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := clientscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := monitoringv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	o, _, err := codecs.UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return o
}

// grafanaDashboard is what the chart uses of the Grafana operator's kind, whose
// Go type cannot be built from what is public. TestDryRun knows all of it.
type grafanaDashboard struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		InstanceSelector          metav1.LabelSelector `json:"instanceSelector"`
		Folder                    string               `json:"folder"`
		AllowCrossNamespaceImport bool                 `json:"allowCrossNamespaceImport"`
		JSON                      string               `json:"json"`
	} `json:"spec"`
}

func checkGrafanaDashboard(t *testing.T, content map[string]any) {
	t.Helper()
	text, err := yaml.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	var d grafanaDashboard
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.APIVersion != "grafana.integreatly.org/v1beta1" || len(d.Spec.InstanceSelector.MatchLabels) == 0 || d.Spec.JSON == "" {
		t.Errorf("no usable GrafanaDashboard: %+v", d)
	}
}

// TestDryRun: the API server accepts every object, and finds no field that it
// does not know.
func TestDryRun(t *testing.T) {
	forEachFile(t, func(t *testing.T, values string) {
		for _, major := range shared.helms {
			dryRun(t, major, values)
		}
	})
}

func dryRun(t *testing.T, major, values string) {
	t.Helper()
	// Other names than those that TestInstall has in the cluster.
	out, err := shared.chart.Helm(suite.Context(t), major, "template", "dry", shared.chart.Dir(), "--namespace=drainer",
		"--values="+valuesFile(t, values), "--set=fullnameOverride=dry")
	if err != nil {
		t.Fatal(err)
	}
	var documents []string
	for _, o := range parse(t, out) {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	answers := kubectl(t, strings.Join(documents, "---\n"), "apply", "--server-side", "--force-conflicts",
		"--field-manager=dry-"+major, "--dry-run=server", "--validate=strict", "--filename=-")
	if got := strings.Count(answers, "serverside-applied"); got != len(documents) {
		t.Errorf("the API server accepts %d of %d objects:\n%s", got, len(documents), answers)
	}
}

// TestRestricted: every pod passes the strictest Pod Security Standard, by the
// same code as in the API server, but for one in the node's network.
func TestRestricted(t *testing.T) {
	forEachFile(t, func(t *testing.T, values string) {
		evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
		if err != nil {
			t.Fatal(err)
		}
		pods := 0
		for _, o := range render(t, values) {
			if o.GetKind() != "Deployment" && o.GetKind() != "Pod" {
				continue
			}
			var meta metav1.ObjectMeta
			var spec corev1.PodSpec
			switch x := decode(t, o.Object).(type) {
			case *appsv1.Deployment:
				meta, spec = x.Spec.Template.ObjectMeta, x.Spec.Template.Spec
			case *corev1.Pod:
				meta, spec = x.ObjectMeta, x.Spec
			}
			pods++
			level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &meta, &spec))
			want := ""
			if spec.HostNetwork {
				want = "host namespaces (hostNetwork=true)"
			}
			if result.ForbiddenDetail() != want {
				t.Errorf("%s is not restricted: %q, want %q", nameOf(o), result.ForbiddenDetail(), want)
			}
		}
		if pods == 0 {
			t.Error("no pod is rendered")
		}
	})
}

// TestUnrestricted: the evaluator does find what is not restricted.
func TestUnrestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	all := render(t, "securityContext: {allowPrivilegeEscalation: true}")
	d := decode(t, all.find(t, "Deployment", "drainer").Object).(*appsv1.Deployment)
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec))
	if result.Allowed || !strings.Contains(result.ForbiddenDetail(), "allowPrivilegeEscalation") {
		t.Errorf("a container that may escalate is allowed: %+v", result)
	}
}

// TestFiles: dashboards and rules reach the cluster as they are in their files,
// with nothing of them taken for a template.
func TestFiles(t *testing.T) {
	t.Parallel()
	all := render(t, "{dashboards: {sidecar: {enabled: true}, grafanaOperator: {enabled: true}}}")
	paths, err := filepath.Glob(filepath.Join(shared.chart.Dir(), "dashboards", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("the chart has no dashboards: %v", err)
	}
	// One more has the configuration.
	if all.count("ConfigMap") != len(paths)+1 || all.count("GrafanaDashboard") != len(paths) {
		t.Errorf("of %d dashboards there are %s", len(paths), all.names())
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, file := strings.TrimSpace(string(text)), filepath.Base(path)
		name := "-dashboard-" + strings.TrimSuffix(file, ".json")
		for where, got := range map[string]any{
			"ConfigMap":        at(all.find(t, "ConfigMap", name), "data", "drainer-"+file),
			"GrafanaDashboard": at(all.find(t, "GrafanaDashboard", name), "spec", "json"),
		} {
			if text, _ := got.(string); strings.TrimSpace(text) != want {
				t.Errorf("%s is another one in its %s", file, where)
			}
		}
	}
}

// TestChartFile: what is said of the image to those who search for charts is
// what is installed.
func TestChartFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(shared.chart.Dir(), "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Annotations map[string]string }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var images []struct{ Image string }
	if err := yaml.Unmarshal([]byte(file.Annotations["artifacthub.io/images"]), &images); err != nil {
		t.Fatal(err)
	}
	d := render(t, "{}").find(t, "Deployment", "drainer")
	got := at(d, "spec", "template", "spec", "containers", 0, "image")
	if len(images) != 1 || images[0].Image != got {
		t.Errorf("Chart.yaml names the images %v, installed is %v", images, got)
	}
}
