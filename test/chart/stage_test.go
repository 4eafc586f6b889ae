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

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// namespaces are those that the values under ci install into.
// The others have tests of their own.
var namespaces = append([]string{"drainer", "drainer-moved", "drainer-leases", "drainer-monitoring"}, apart...)

// apart are the namespaces of tests that run beside TestInstall, and a part of
// the name of everything that they make.
var apart = []string{contractNamespace, requestsNamespace, upgradeNamespace}

// furnish gives the cluster what the chart expects to find: nodes, namespaces
// that admit only restricted pods, and the kinds of two operators.
func furnish(ctx context.Context) error {
	// Enough that no new pod waits for an old one to leave.
	for i := range 8 {
		node := workload.Node(fmt.Sprintf("node-%d", i), map[string]string{
			corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		})
		if err := workload.Create(ctx, shared.Client, node); err != nil {
			return err
		}
	}
	for _, name := range namespaces {
		err := workload.Create(ctx, shared.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}})
		if err != nil {
			return err
		}
	}
	for _, file := range shared.chart.CRDs() {
		if out, err := kubectlCommand(ctx, "create", "--filename="+file).CombinedOutput(); err != nil {
			return fmt.Errorf("creating the kinds of %s: %w\n%s", file, err, out)
		}
		// Left to wait, kubectl fails on a kind whose status is still empty.
		err := (await.Waiter{Progress: os.Stderr}).Until(ctx, "the kinds of "+file+" are established", func() error {
			out, err := kubectlCommand(ctx, "wait", "--for=condition=Established", "--timeout=0", "--filename="+file).CombinedOutput()
			if err != nil {
				return await.NotYet("%s", out)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func kubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, shared.Cluster.Kubectl(), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+shared.Cluster.Kubeconfig())
	return command
}

// kubectl runs kubectl with all permissions and returns what it wrote.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	onCluster(t)
	out, err := suite.Run(t, func(ctx context.Context) *exec.Cmd {
		command := kubectlCommand(ctx, args...)
		command.Stdin = strings.NewReader(stdin)
		return command
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// helm runs Helm against the cluster.
func helm(t *testing.T, major string, args ...string) (out string) {
	t.Helper()
	onCluster(t)
	err := suite.While(t, "helm "+strings.Join(args, " "), func(ctx context.Context) (err error) {
		out, err = shared.chart.Helm(ctx, major, append(args, "--kubeconfig="+shared.Cluster.Kubeconfig())...)
		return err
	})
	if err != nil {
		t.Fatalf("Helm %s: %v\n%s", major, err, out)
	}
	return out
}

// awaitClaim waits until the claim holds. What is waited for are several objects,
// logs and metrics at once, and nothing tells of all of them.
func awaitClaim(t *testing.T, claim string, holds func() bool) {
	t.Helper()
	suite.Await(t, nil, claim, await.True(holds))
}

// container is the installed Deployment's, as the API server has it.
func container(t *testing.T, namespace, deployment string) corev1.Container {
	t.Helper()
	d, err := shared.Client.AppsV1().Deployments(namespace).Get(t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0]
}

// startInstalled runs drainer as the installed Deployment would: with its flags
// and configuration file, and as its ServiceAccount. The pods themselves are only
// played. More flags come after those of the Deployment.
func startInstalled(t *testing.T, namespace, deployment string, environment []string, flags ...string) *daemon.Process {
	t.Helper()
	d, err := shared.Client.AppsV1().Deployments(namespace).Get(t.Context(), deployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := types.NamespacedName{Namespace: namespace, Name: d.Spec.Template.Spec.ServiceAccountName}
	p, err := shared.Run(suite.Context(t), account, strings.ReplaceAll(t.Name(), "/", "-"), append(environment, "POD_NAMESPACE="+namespace),
		slices.Concat(installedArgs(t, d.Spec.Template.Spec.Containers[0].Args, installedConfig(t, d)), flags, []string{
			"--metrics-bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0", "--logging-format=json",
		})...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// installedConfig is the configuration file that the Deployment mounts.
func installedConfig(t *testing.T, d *appsv1.Deployment) string {
	t.Helper()
	volume := d.Spec.Template.Spec.Volumes[0]
	c, err := shared.Client.CoreV1().ConfigMaps(d.Namespace).Get(t.Context(), volume.ConfigMap.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Data[filepath.Base(configFile)]
}

// missing is true for an object that is not there.
func missing(err error) bool { return apierrors.IsNotFound(err) }
