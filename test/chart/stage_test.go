package chart

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// namespaces are those that the values under ci install into.
var namespaces = []string{"drainer", "drainer-moved", "drainer-leases", "drainer-monitoring", contractNamespace}

// furnish gives the cluster what the chart expects to find: nodes, namespaces
// that admit only restricted pods, and the kinds of two operators.
func furnish(ctx context.Context) error {
	for i := range 4 {
		node := workload.Node(fmt.Sprintf("node-%d", i), map[string]string{
			corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		})
		if err := workload.Create(ctx, suite.client, node); err != nil {
			return err
		}
	}
	for _, name := range namespaces {
		err := workload.Create(ctx, suite.client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}})
		if err != nil {
			return err
		}
	}
	for _, file := range suite.chart.CRDs() {
		for _, args := range [][]string{
			{"create", "--filename=" + file}, {"wait", "--for=condition=Established", "--timeout=60s", "--filename=" + file},
		} {
			if out, err := kubectlCommand(ctx, args...).CombinedOutput(); err != nil {
				return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
			}
		}
	}
	return nil
}

func kubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, suite.cluster.Kubectl(), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+suite.cluster.Kubeconfig())
	return command
}

// kubectl runs kubectl with all permissions and returns what it wrote.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	onCluster(t)
	command := kubectlCommand(t.Context(), args...)
	command.Stdin = strings.NewReader(stdin)
	var trouble strings.Builder
	command.Stderr = &trouble
	out, err := command.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, trouble.String())
	}
	return string(out)
}

// helm runs Helm against the cluster.
func helm(t *testing.T, major string, args ...string) string {
	t.Helper()
	onCluster(t)
	out, err := suite.chart.Helm(t.Context(), major, append(args, "--kubeconfig="+suite.cluster.Kubeconfig())...)
	if err != nil {
		t.Fatalf("Helm %s: %v\n%s", major, err, out)
	}
	return out
}

// await waits until the claim holds.
func await(t *testing.T, claim string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", claim)
		}
		// What is waited for are several objects, logs and metrics at once,
		// and nothing tells of all of them.
		time.Sleep(100 * time.Millisecond)
	}
}

// container is the installed Deployment's, as the API server has it.
func container(t *testing.T, namespace, deployment string) corev1.Container {
	t.Helper()
	d, err := suite.client.AppsV1().Deployments(namespace).Get(t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0]
}

// startInstalled runs drainer as the installed Deployment would: with its flags
// and as its ServiceAccount. The pods themselves are only played. More flags
// come after those of the Deployment.
func startInstalled(t *testing.T, namespace, deployment string, environment []string, flags ...string) *daemon.Process {
	t.Helper()
	d, err := suite.client.AppsV1().Deployments(namespace).Get(t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(suite.cluster.Dir, "logs", strings.ReplaceAll(t.Name(), "/", "-"))
	account := d.Spec.Template.Spec.ServiceAccountName
	if err := suite.cluster.ServiceAccountKubeconfig(t.Context(), namespace, account, base+".kubeconfig"); err != nil {
		t.Fatal(err)
	}
	flags = slices.Concat(d.Spec.Template.Spec.Containers[0].Args, flags, []string{
		"--kubeconfig=" + base + ".kubeconfig",
		"--metrics-bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0", "--logging-format=json",
	})
	p, err := daemon.Start(suite.drainer, base+".log", append(environment, "POD_NAMESPACE="+namespace), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// missing is true for an object that is not there.
func missing(err error) bool { return apierrors.IsNotFound(err) }
