package chart

import (
	"context"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"drainer.dev/drainer/test/suite"
)

// quickPods are annotations by which the fake kubelet starts a pod at once.
const quickPods = `podAnnotations.pod-create\.stage\.kwok\.x-k8s\.io/delay=50ms,` +
	`podAnnotations.pod-create\.stage\.kwok\.x-k8s\.io/jitter-delay=50ms,` +
	`podAnnotations.pod-ready\.stage\.kwok\.x-k8s\.io/delay=50ms,` +
	`podAnnotations.pod-ready\.stage\.kwok\.x-k8s\.io/jitter-delay=50ms`

// helmPatience lets Helm wait until the suite's time ends it.
const helmPatience = "--timeout=24h"

// TestInstall: real Helm installs the chart, tests it, changes every value and
// back, and takes it away without a trace.
func TestInstall(t *testing.T) {
	t.Parallel()
	onCluster(t)
	awaitClaim(t, "the namespaces are furnished", furnished)
	for _, major := range shared.helms {
		t.Run(major, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					// The next version of Helm is to begin again.
					_, _ = shared.chart.Helm(context.Background(), major, "uninstall", "drainer", "--namespace=drainer",
						"--kubeconfig="+shared.Cluster.Kubeconfig())
				}
			})
			before := inventory(t)
			args := []string{
				"drainer", shared.chart.Dir(), "--namespace=drainer", "--wait", helmPatience, "--set=" + quickPods,
			}
			notes := helm(t, major, append([]string{"install"}, args...)...)
			if !strings.Contains(notes, "kubectl annotate node NODE drainer.dev/drain=CHG-1234") {
				t.Errorf("Helm says after the installation\n%s", notes)
			}
			checkInstalled(t, major, "")
			// The nodes of other tests are drained by other drainers.
			process := startInstalled(t, "drainer", "drainer", nil, "--node-selector=!"+pool)
			playTest(t, "drainer", process.Health(), func() {
				helm(t, major, "test", "drainer", "--namespace=drainer", helmPatience)
			})
			process.Kill()
			// From any file of values to any other no field may be immutable.
			for _, file := range []string{"everything", "alternatives", "no-budget", "minimal", "default"} {
				t.Logf("upgrading to the values of %s", file)
				values := valuesFile(t, ciFiles(t)[file])
				helm(t, major, append([]string{"upgrade", "--reset-values", "--values=" + values}, args...)...)
				checkInstalled(t, major, values)
			}
			helm(t, major, "uninstall", "drainer", "--namespace=drainer", "--wait", helmPatience)
			endPods(t, namespaces...)
			left := []string{}
			awaitClaim(t, "only the lease is left", func() bool {
				left = slices.DeleteFunc(inventory(t), func(name string) bool { return slices.Contains(before, name) })
				return slices.Equal(left, []string{"leases/drainer/drainer"})
			})
			kubectl(t, "", "--namespace=drainer", "delete", "lease", "drainer")
		})
	}
	t.Run("documented", testDocumentedInstall)
}

// endPods ends the pods of the release, which take as long as they may.
func endPods(t *testing.T, namespaces ...string) {
	t.Helper()
	now := int64(0)
	for _, n := range namespaces {
		err := shared.Client.CoreV1().Pods(n).DeleteCollection(suite.Context(t), metav1.DeleteOptions{GracePeriodSeconds: &now},
			metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=drainer"})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// furnished is true once the controllers have put into every namespace what
// they put into any.
func furnished() bool {
	for _, n := range namespaces {
		ctx := context.Background()
		_, err := shared.Client.CoreV1().ServiceAccounts(n).Get(ctx, "default", metav1.GetOptions{})
		if err != nil {
			return false
		}
		if _, err := shared.Client.CoreV1().ConfigMaps(n).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
			return false
		}
	}
	return true
}

// checkInstalled compares what is in the cluster with what the chart renders:
// the objects, the flags, and that whoever applies them again, as GitOps does,
// finds nothing that has drifted.
func checkInstalled(t *testing.T, major, values string) {
	t.Helper()
	args := []string{"--no-hooks", "--set=" + quickPods}
	if values != "" {
		args = append(args, "--values="+values)
	}
	text, err := shared.chart.Template(suite.Context(t), major, args...)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, o := range parse(t, text) {
		// Extra objects have the labels that the user gives them.
		if o.GetLabels()["app.kubernetes.io/instance"] == "drainer" {
			want = append(want, nameOf(o))
		}
		if o.GetKind() == "Deployment" {
			args, _ := at(o, "spec", "template", "spec", "containers", 0, "args").([]any)
			live := container(t, o.GetNamespace(), o.GetName()).Args
			for i, arg := range args {
				if i >= len(live) || live[i] != arg {
					t.Errorf("the Deployment has the flags %v, want %v", live, args)
					break
				}
			}
		}
	}
	slices.Sort(want)
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("there are\n%s\nrendered are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}()
	awaitClaim(t, "the objects are those that are rendered", func() bool {
		got = ofRelease(t)
		return slices.Equal(got, want)
	})
	kubectl(t, text, "diff", "--server-side", "--force-conflicts", "--field-manager=gitops", "--filename=-")
}

// ofRelease are the objects in the cluster that Helm made for the release.
func ofRelease(t *testing.T) []string {
	t.Helper()
	var names []string
	list(t, "app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance=drainer", func(r metav1.APIResource, namespace, name string) {
		// The controller copies the labels of the Service.
		if r.Kind != "EndpointSlice" {
			names = append(names, strings.Join([]string{r.Kind, namespace, name}, "/"))
		}
	})
	slices.Sort(names)
	return names
}

// inventory is everything that the cluster has in the namespaces of this test
// and in none, but for events and what other tests make.
func inventory(t *testing.T) []string {
	t.Helper()
	var names []string
	list(t, "", func(r metav1.APIResource, namespace, name string) {
		ours := namespace == "" || slices.Contains(namespaces, namespace)
		theirs := slices.ContainsFunc(apart, func(n string) bool { return strings.Contains(namespace+name, n) })
		if ours && r.Name != "events" && !theirs {
			names = append(names, strings.Join([]string{r.Name, namespace, name}, "/"))
		}
	})
	slices.Sort(names)
	return names
}

// list tells of all objects of all kinds that have the labels.
func list(t *testing.T, labels string, tell func(r metav1.APIResource, namespace, name string)) {
	t.Helper()
	client, err := dynamic.NewForConfig(shared.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := shared.Client.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range kinds {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range group.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains([]string{"componentstatuses", "endpoints"}, r.Name) {
				continue
			}
			found, err := client.Resource(version.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{LabelSelector: labels})
			if err != nil {
				t.Fatalf("listing %s: %v", r.Name, err)
			}
			for _, o := range found.Items {
				tell(r, o.GetNamespace(), o.GetName())
			}
		}
	}
}
