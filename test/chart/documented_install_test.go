package chart

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/shells"
	"drainer.dev/drainer/test/suite"
)

// inNamespace is the namespace of the guide's commands.
var inNamespace = regexp.MustCompile(`(namespace|-n) drainer\b`)

// testDocumentedInstall pastes the commands of the guide into each shell, in
// their order: the chart is installed from the checkout, checked, upgraded, and
// taken away. The namespace has another name, since that one is in use.
func testDocumentedInstall(t *testing.T) {
	shells.Each(t, func(t *testing.T, shell string) {
		namespace := "docs-" + shell
		paste := func(commands string) {
			t.Helper()
			pasteCommands(t, shell, inNamespace.ReplaceAllString(commands, "$1 "+namespace))
		}
		paste(documented(t, "install"))
		paste(documented(t, "restricted"))
		process := startInstalled(t, namespace, "drainer", nil, "--node-selector="+pool+"!="+contractNamespace)
		awaitClaim(t, "drainer leads", func() bool { return leads(t, namespace) })
		playTest(t, namespace, process.Health(), func() { paste(documented(t, "check")) })
		process.Kill()
		paste(strings.Replace(documented(t, "upgrade"), "oci://ghcr.io/drainer-dev/charts/drainer --version 0.1.1", "charts/drainer", 1))
		uninstall, last, _ := strings.Cut(documented(t, "uninstall"), "\n")
		paste(uninstall)
		endPods(t, namespace)
		paste(last)
		paste(strings.TrimSpace(documented(t, "kustomize")) + " --dry-run=server")
	})
}

func documented(t *testing.T, name string) string {
	t.Helper()
	return shells.Documented(t, filepath.Join(shared.chart.Checkout, "docs", "install.md"), name)
}

// pasteCommands runs commands in the checkout, with a kubectl and a Helm that
// have the cluster.
func pasteCommands(t *testing.T, shell, commands string) {
	t.Helper()
	dir := t.TempDir()
	shells.Fake(t, dir, "helm", `exec "$HELM" "$@"`+"\n")
	_, err := suite.Run(t, func(ctx context.Context) *exec.Cmd {
		command := shells.Command(ctx, shell, "set -e\n"+commands+"\n")
		command.Dir = shared.chart.Checkout
		command.Env = append(append(os.Environ(), shared.chart.helmEnvironment()...),
			"KUBECONFIG="+shared.Cluster.Kubeconfig(), "HELM="+shared.chart.tools.Helm(Majors()[0]),
			"PATH="+strings.Join([]string{dir, filepath.Dir(shared.Cluster.Kubectl()), os.Getenv("PATH")}, string(os.PathListSeparator)))
		return command
	})
	if err != nil {
		t.Fatalf("%v\nby %s", err, commands)
	}
}

// leads is true once somebody holds the lease.
func leads(t *testing.T, namespace string) bool {
	t.Helper()
	lease, err := shared.Client.CoordinationV1().Leases(namespace).Get(suite.Context(t), "drainer", metav1.GetOptions{})
	return err == nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != ""
}
