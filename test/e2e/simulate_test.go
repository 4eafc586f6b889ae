package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/simulate"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// TestSimulate: a person who may only list objects gets a forecast of the live
// cluster, which asks for nothing but lists, and the same of kubectl's dump.
func TestSimulate(t *testing.T) {
	e := setup(t, 3)
	e.rebind(&rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: e.namespace},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"nodes", "pods"}, Verbs: []string{"list"}},
			{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: []string{"list"}},
			{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets", "statefulsets", "daemonsets"}, Verbs: []string{"list"}},
		},
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := shared.Cluster.ServiceAccountKubeconfig(e.Context(), e.namespace, "drainer", kubeconfig); err != nil {
		t.Fatal(err)
	}
	e.create(
		workload.Deployment(e.spec("web", 6)),
		workload.MaxUnavailable(e.namespace, "web", "web", "1"),
		workload.StatefulSet(e.spec("db", 3)),
	)
	e.awaitReady("web", 6)
	e.awaitReady("db", 3)
	flags := []string{
		"simulate", "-o=json", "-l=" + poolLabel + "=" + e.pool + "," + "kubernetes.io/hostname in (" + e.nodes[0] + "," + e.nodes[1] + ")",
		"--node-selector=" + poolLabel + "=" + e.pool, "--max-draining=100%", "--start-time-of=" + e.namespace + "=2s",
	}

	live := e.simulate(append(flags, "--kubeconfig="+kubeconfig)...)
	web := len(e.podsOn(e.nodes[0], "web")) + len(e.podsOn(e.nodes[1], "web"))
	if !live.Complete || len(live.Nodes) != 2 || live.Refused > 0 {
		t.Errorf("the forecast is %+v", live)
	}
	if under := slices.IndexFunc(live.Budgets, func(b simulate.BudgetResult) bool { return b.Namespace == e.namespace }); under < 0 || live.Budgets[under].Evictions != web {
		t.Errorf("the budgets are %+v, want one with %d evictions", live.Budgets, web)
	}
	var asked []cluster.AuditEvent
	poll(t, "seven lists are in the audit log", func() bool {
		asked = e.audit(func(*cluster.AuditEvent) bool { return true })
		return len(asked) >= 7
	})
	for _, a := range asked {
		if a.Verb != "list" || a.ResponseStatus.Code != 200 {
			t.Errorf("simulate asked for %s %s: %d", a.Verb, a.ObjectRef.Resource, a.ResponseStatus.Code)
		}
	}

	dump := filepath.Join(t.TempDir(), "dump.json")
	e.dump(kubeconfig, dump)
	dumped := e.simulate(append(flags, "-f="+dump)...)
	if !dumped.Complete || order(dumped) != order(live) || dumped.Evictions != live.Evictions {
		t.Errorf("the forecast of the dump is %+v, that of the cluster %+v", dumped, live)
	}
}

// order names the nodes in the order in which they are drained.
func order(r *simulate.Result) string {
	var names []string
	for _, n := range r.Nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, " ")
}

func (e *env) simulate(args ...string) *simulate.Result {
	e.Helper()
	out, err := suite.Run(e, func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, shared.Drainer, args...) })
	if err != nil {
		e.Fatal(err)
	}
	r := &simulate.Result{}
	if err := json.Unmarshal([]byte(out), r); err != nil {
		e.Fatalf("%v in %s", err, out)
	}
	return r
}

// dump writes what the documented command prints.
func (e *env) dump(kubeconfig, path string) {
	e.Helper()
	out, err := suite.Run(e, func(ctx context.Context) *exec.Cmd {
		words := strings.Fields(simulate.Command)
		return exec.CommandContext(ctx, shared.Cluster.Kubectl(), append([]string{"--kubeconfig=" + kubeconfig}, words[1:]...)...)
	})
	if err != nil {
		e.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
		e.Fatal(err)
	}
}
