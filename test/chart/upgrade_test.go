package chart

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

const upgradeNamespace = "upgrade"

// TestUpgradeToConfinement: drains that began when there were no policies, as
// before the chart had any, continue under them, also after a hand-over; and the
// policies hold as soon as Helm has installed them.
func TestUpgradeToConfinement(t *testing.T) {
	t.Parallel()
	onCluster(t)
	const first, second, account = upgradeNamespace + "-0", upgradeNamespace + "-1", upgradeNamespace + "-drainer"
	const user = "system:serviceaccount:" + upgradeNamespace + ":" + account
	for _, name := range []string{first, second} {
		node := workload.Node(name, map[string]string{pool: upgradeNamespace})
		if err := workload.Create(t.Context(), shared.Client, node); err != nil {
			t.Fatal(err)
		}
	}
	blockUpgrade(t, first)
	args := []string{
		upgradeNamespace, shared.chart.Dir(), "--namespace=" + upgradeNamespace, "--wait", helmPatience,
		"--set=drain.nodeSelector=" + pool + "=" + upgradeNamespace, "--set=drain.maxDraining=1", "--set=drain.maxUnavailable=100%", "--set=drain.allowLastNode=true",
	}
	helm(t, Majors()[0], append([]string{"install", "--set=confinement.enabled=false"}, args...)...)
	old := startInstalled(t, upgradeNamespace, account, nil)
	request(t, first)
	awaitStatus(t, first, "being drained", func(s api.Status) bool { return s.Phase == api.Blocked || s.Phase == api.Draining })
	request(t, second)
	awaitStatus(t, second, "queued", func(s api.Status) bool { return s.Phase == api.Queued })

	helm(t, Majors()[0], append([]string{"upgrade"}, args...)...)
	drainer := clientAs(t, user, "system:masters")
	awaitClaim(t, "the account is confined", func() bool {
		err := tryWrite(t, drainer, first, "", `{"metadata":{"labels":{"a":"b"}}}`)
		return err != nil && strings.Contains(err.Error(), "drainer may not change metadata.labels")
	})
	checkTypes(t, account+"-nodes")
	checkTypes(t, account+"-evictions")
	checkTypes(t, account+"-deletions")
	pause(t, first, "true")
	awaitStatus(t, first, "paused", func(s api.Status) bool { return s.Phase == api.Paused })
	if _, _, err := old.Terminate(suite.Context(t)); err != nil {
		t.Fatal(err)
	}
	startInstalled(t, upgradeNamespace, account, nil)
	pause(t, first, "false")
	awaitClaim(t, "the node drains again", func() bool {
		return statusOf(t, first).Phase == api.Blocked || statusOf(t, first).Phase == api.Draining
	})
	if err := shared.Client.PolicyV1().PodDisruptionBudgets(upgradeNamespace).Delete(t.Context(), "db", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{first, second} {
		awaitStatus(t, node, "drained", func(s api.Status) bool { return s.Phase == api.Drained })
	}
	cancelRequest(t, first)
	suite.CheckAllowed(t, shared.Cluster, user)
}

// blockUpgrade makes a pod on the node that no budget lets leave.
func blockUpgrade(t *testing.T, node string) {
	t.Helper()
	err := workload.Create(t.Context(), shared.Client, workload.Deployment(workload.Spec{
		Namespace: upgradeNamespace, Name: "db", Replicas: 1, Start: 100 * time.Millisecond, Stop: time.Second,
		NodeSelector: map[string]string{corev1.LabelHostname: node}, Pod: restricted,
	}), workload.MaxUnavailable(upgradeNamespace, "db", "db", "0"))
	if err != nil {
		t.Fatal(err)
	}
	awaitClaim(t, "the pod runs", func() bool {
		d, err := shared.Client.AppsV1().Deployments(upgradeNamespace).Get(t.Context(), "db", metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 1
	})
}

func pause(t *testing.T, node, value string) {
	t.Helper()
	annotateNode(t, node, `{"drainer.dev/paused":"`+value+`"}`)
}

// cancelRequest takes the request back and waits until nothing is left of it.
func cancelRequest(t *testing.T, node string) {
	t.Helper()
	annotateNode(t, node, `{"drainer.dev/drain":null}`)
	awaitClaim(t, "nothing is left on "+node, func() bool {
		n, err := shared.Client.CoreV1().Nodes().Get(suite.Context(t), node, metav1.GetOptions{})
		return err == nil && n.Annotations[api.StatusAnnotation] == "" && !n.Spec.Unschedulable
	})
}

func annotateNode(t *testing.T, node, annotations string) {
	t.Helper()
	_, err := shared.Client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":`+annotations+`}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func statusOf(t *testing.T, node string) api.Status {
	t.Helper()
	n, err := shared.Client.CoreV1().Nodes().Get(suite.Context(t), node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	status, _ := api.ParseStatus(n.Annotations[api.StatusAnnotation])
	return status
}
