package cli

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// assumedDaemon is a daemon that no flags change.
type assumedDaemon struct{ config *config.DrainerConfiguration }

func newDaemon(func() (*rest.Config, error)) Daemon {
	return &assumedDaemon{config.Default("drainer")}
}

func (*assumedDaemon) Add(*pflag.FlagSet)  {}
func (*assumedDaemon) Named() bool         { return false }
func (*assumedDaemon) Overrides() []string { return nil }
func (*assumedDaemon) Check() error        { return nil }
func (*assumedDaemon) Complete() error     { return nil }

func (d *assumedDaemon) Assume(r *Running) error {
	c := config.Default("drainer")
	if len(r.Args) == 2 {
		file := strings.TrimPrefix(r.Args[1], "--config=")
		text, err := r.Read(file)
		if err != nil {
			return err
		}
		if _, err := config.Decode(file, text, c); err != nil {
			return Misunderstood(err)
		}
	}
	d.config = c
	return nil
}

func (d *assumedDaemon) Simulation() simulate.Options {
	c := d.config
	return simulate.Options{
		Daemon:  forecast.Options{Config: c.Plan(), Selectors: c.Selectors(), QPS: 50, Burst: 100, Workers: 10, EvictionTimeout: time.Minute},
		Latency: 10 * time.Millisecond, ControllerDelay: 20 * time.Millisecond, Limit: 24 * time.Hour,
	}
}

// answers are those of an API server, by the beginning of the pod's name.
func answers(_ context.Context, pod *plan.Pod, _ *int64) (int, error) {
	switch name, _, _ := strings.Cut(pod.Name, "-"); name {
	case "full":
		err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget full needs 2 healthy pods and has 2 currently"}}
		return 429, err
	case "hook":
		return 400, &apierrors.StatusError{ErrStatus: metav1.Status{Code: 400, Message: `admission webhook "no.example.com" denied the request: no`}}
	case "vm":
		return 429, &apierrors.StatusError{ErrStatus: metav1.Status{Code: 429, Message: `admission webhook "vm.example.com" denied the request: migrating`}}
	case "secret":
		return 403, apierrors.NewForbidden(corev1.Resource("pods"), pod.Name, nil)
	default:
		return 201, nil
	}
}

// pod is a ready pod of a ReplicaSet of its name on node na.
func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	controller := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)), Labels: map[string]string{"app": name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name, UID: types.UID("rs-" + name), Controller: &controller}},
		},
		Spec:   corev1.PodSpec{NodeName: "na"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon.Add(-time.Hour + 5*time.Second))}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func bare(p *corev1.Pod) { p.OwnerReferences = nil }

func ofDaemonSet(p *corev1.Pod) {
	p.OwnerReferences[0].Kind, p.OwnerReferences[0].Name, p.OwnerReferences[0].UID = "DaemonSet", "agent", "ds"
}

func readyNode(name string, pairs ...string) *corev1.Node {
	n := named(name, nodeWith(pairs...))
	n.UID = types.UID("node-" + name)
	n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(noon)})
	return n
}

func small(pods ...*corev1.Pod) []runtime.Object {
	objects := []runtime.Object{readyNode("na"), readyNode("nb"), readyNode("nc"), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "agent", UID: "ds"}}}
	for _, p := range pods {
		objects = append(objects, p)
	}
	return objects
}

// TestPlan: it says of each pod what would happen to it and why, and its exit
// status whether the drain would finish.
func TestPlan(t *testing.T) {
	client := fake.NewClientset(small(pod("web"), pod("agent-1", ofDaemonSet), pod("other", func(p *corev1.Pod) { p.Spec.NodeName = "nb" }))...)
	got := run(t, client, "plan", "na")
	if got.status != 0 {
		t.Errorf("%+v", got)
	}
	golden(t, "plan", got.out)
	for _, a := range client.Actions() {
		if v := a.GetVerb(); v != "list" && v != "get" {
			t.Errorf("it sends %s %s", v, a.GetResource().Resource)
		}
	}
	bad := small(pod("bare", bare), pod("full-1"), pod("hook-1"), pod("secret-1"))
	got = run(t, fake.NewClientset(bad...), "plan", "na")
	if got.status != ExitCannotFinish {
		t.Errorf("%+v", got)
	}
	golden(t, "plan-blocked", got.out)
	got = run(t, fake.NewClientset(bad[:len(bad)-1]...), "plan", "na", "-o=json")
	var p planned
	if err := json.Unmarshal([]byte(got.out), &p); err != nil || len(p.Pods) != 3 || p.Forecast == nil || p.Forecast.Complete {
		t.Errorf("error %v in %s", err, got.out)
	}
}

// TestByRule: a pod that a rule waits for until it completes does not keep its node from
// being drained; one that drainer may not evict does.
func TestByRule(t *testing.T) {
	for reason, want := range map[plan.Reason]string{plan.Completion: waits, plan.BarePod: blocked, plan.Policy: blocked} {
		kept := plan.DryRun{Kept: []api.Blocker{{Pod: "shop/web", Reason: string(reason), Message: "held: it is so"}}}
		if v := (verdict{}).byRule(plan.PodOf(pod("web")), kept); v.Verdict != want || v.Message != "it is so" {
			t.Errorf("%s: %+v, want %s", reason, v, want)
		}
	}
}

func responding(p *corev1.Pod) {
	p.Spec.EvictionResponders = []corev1.EvictionResponder{{Name: "example.com/backup"}}
}

// TestPlanResponders: it says of a pod that leaves, and of one that does not, that its
// eviction responders are not asked.
func TestPlanResponders(t *testing.T) {
	got := run(t, fake.NewClientset(small(pod("bare", bare, responding), pod("web", responding), pod("agent-1", ofDaemonSet, responding))...), "plan", "na", "-o=json")
	var p planned
	if err := json.Unmarshal([]byte(got.out), &p); err != nil || len(p.Pods) != 3 {
		t.Fatalf("error %v in %s", err, got.out)
	}
	const responders = "its eviction responders are not asked: example.com/backup"
	for i, want := range []string{"DaemonSet agent would create it again", "no controller would create it again; " + responders, responders} {
		if p.Pods[i].Message != want {
			t.Errorf("of %s it says %q, want %q", p.Pods[i].Pod, p.Pods[i].Message, want)
		}
	}
}

// TestPlanStatus: what the API server refuses for another reason than a budget
// cannot finish; what a budget refuses now may. Without a verdict nobody knows.
func TestPlanStatus(t *testing.T) {
	for name, want := range map[string]int{"web": 0, "full-1": 0, "secret-1": ExitFailure, "vm-1": 0, "hook-1": ExitCannotFinish} {
		if got := run(t, fake.NewClientset(small(pod(name))...), "plan", "na"); got.status != want {
			t.Errorf("%s: exit status %d, want %d\n%s%s", name, got.status, want, got.out, got.err)
		}
		if got := run(t, fake.NewClientset(small(pod(name))...), "plan", "na", "--verdicts=false"); got.status != 0 || !strings.Contains(got.out, "was not asked") {
			t.Errorf("%s without verdicts: %+v", name, got)
		}
	}
}

// TestWhy: it says what drainer and the API server say about a pod, and how to let
// it leave.
func TestWhy(t *testing.T) {
	blockedNode := func() *corev1.Node {
		n := asks("na", "r", "0 of 1 pods gone", &api.Status{Phase: api.Blocked, Blockers: []api.Blocker{{
			Pod: "shop/full-1", State: api.BlockedState, Reason: "budget_exhausted", Budget: "shop/full", Message: "by PDB shop/full (needs 2 healthy, has 2)", Since: *before(6 * time.Minute),
		}}})
		return n
	}
	unready := asks("na", "r", "0 of 1 pods gone", &api.Status{
		Phase: api.Blocked, Blockers: []api.Blocker{{Pod: "shop/full-1", State: api.BlockedState, Reason: "budget_exhausted", Budget: "shop/full"}},
		CannotFinish: []api.Obstacle{{Pod: "shop/full-1", Pods: 1, Reason: "budget_exhausted", Budget: "shop/full", Fix: "set AlwaysAllow"}},
	})
	deleted := metav1.NewTime(noon.Add(-2 * time.Minute))
	for name, test := range map[string]struct {
		node *corev1.Node
		pod  *corev1.Pod
		says []string
	}{
		"no request":  {readyNode("na"), pod("web"), []string{"The node has no request", "the API server would admit it"}},
		"no answer":   {readyNode("na", "drain", "r"), pod("web"), []string{"drainer has not answered yet"}},
		"blocked":     {blockedNode(), pod("full-1"), []string{"Blocked for the request r", "drainer says: blocked for 6m, by PDB shop/full", "it waits: The disruption budget full needs 2", "Fix: make the pods under PDB shop/full Ready"}},
		"not Ready":   {unready, pod("full-1"), []string{"Fix: set AlwaysAllow"}},
		"bare":        {readyNode("na"), pod("bare", bare), []string{"it is blocked: no controller would create it again", "Fix: delete the pod yourself"}},
		"responders":  {readyNode("na"), pod("web", responding), []string{"From the pod's spec: its eviction responders are not asked: example.com/backup", "the API server would admit it"}},
		"stays":       {readyNode("na"), pod("x", ofDaemonSet), []string{"it stays: DaemonSet agent would create it again"}},
		"terminating": {readyNode("na"), pod("x", func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &deleted, []string{"example.com/wait"} }), []string{"its grace period ended 2m ago; its finalizers are example.com/wait"}},
		"on no node":  {readyNode("na"), pod("x", func(p *corev1.Pod) { p.Spec.NodeName = "" }), []string{"is on no node"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(test.node, test.pod, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "agent", UID: "ds"}})
			data := run(t, client, "why", "shop/"+test.pod.Name, "-o", "yaml")
			golden(t, "why-"+strings.ToLower(strings.ReplaceAll(name, " ", "-"))+"-yaml", data.out)
			if data.status != 0 || !strings.HasPrefix(data.out, "blocker:") && !strings.Contains(data.out, "pod: shop/"+test.pod.Name+"\n") {
				t.Errorf("as YAML: exit status %d\n%s%s", data.status, data.out, data.err)
			}
			for _, args := range [][]string{{"why", "shop/" + test.pod.Name}, {"why", "-n", "shop", "pod/" + test.pod.Name}} {
				got := run(t, client, args...)
				for _, want := range test.says {
					if got.status != 0 || !strings.Contains(got.out, want) {
						t.Errorf("%v: exit status %d, want %q:\n%s%s", args, got.status, want, got.out, got.err)
					}
				}
				golden(t, "why-"+strings.ToLower(strings.ReplaceAll(name, " ", "-")), got.out)
			}
		})
	}
	if got := run(t, fake.NewClientset(), "why", "shop/none"); got.status != ExitFailure || !strings.Contains(got.err, "reading pod shop/none") {
		t.Errorf("of no pod: %+v", got)
	}
}

// TestVersion: both versions are said.
func TestVersion(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ops", Name: "d", Labels: map[string]string{"app.kubernetes.io/name": "drainer"}}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "proxy", Image: "sidecar:v9"}, {Name: "drainer", Image: "ghcr.io/drainer-dev/drainer:v1.2.2"}}
	client := fake.NewClientset(d)
	for args, want := range map[string]string{
		"version --client":         "Client: v1.2.3 (abc)\n",
		"version -n ops":           "Client: v1.2.3 (abc)\nDaemon: ghcr.io/drainer-dev/drainer:v1.2.2 (deployment/d in ops)\n",
		"version -n ops -o yaml":   "client:\n  commit: abc\n  version: v1.2.3\ndaemons:\n- deployment: d\n  image: ghcr.io/drainer-dev/drainer:v1.2.2\n  namespace: ops\n",
		"version --client -o json": "{\n  \"client\": {\n    \"version\": \"v1.2.3\",\n    \"commit\": \"abc\"\n  }\n}\n",
		"version":                  "Client: v1.2.3 (abc)\nDaemon: none found in the namespace drainer; --namespace says where it runs\n",
	} {
		if got := run(t, client, strings.Fields(args)...); got.status != 0 || got.out != want {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

// TestOutputs: the commands take the formats of kubectl, and name one that they do not
// know. YAML has the fields of JSON.
func TestOutputs(t *testing.T) {
	client := fake.NewClientset(small(pod("web"))...)
	for _, args := range []string{"plan na", "why shop/web", "version --client", "status"} {
		if got := run(t, client, strings.Fields(args+" -o=text")...); got.status != ExitUsage || !strings.Contains(got.err, `--output="text": expected json`) {
			t.Errorf("%s -o text: %+v", args, got)
		}
		var fromJSON, fromYAML any
		got := run(t, client, strings.Fields(args+" -o=json")...)
		if err := json.Unmarshal([]byte(got.out), &fromJSON); err != nil || got.status != 0 {
			t.Errorf("%s -o json: %v in %+v", args, err, got)
		}
		got = run(t, client, strings.Fields(args+" -o=yaml")...)
		if err := yaml.Unmarshal([]byte(got.out), &fromYAML); err != nil || got.status != 0 || !reflect.DeepEqual(fromJSON, fromYAML) {
			t.Errorf("%s -o yaml: %v in %+v, want the fields of JSON", args, err, got)
		}
	}
}
