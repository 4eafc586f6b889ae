package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestTarget: only a context and nodes together lead to a cluster of the
// user's own.
func TestTarget(t *testing.T) {
	for _, test := range []struct {
		target target
		local  bool
		want   string
	}{
		{target: target{}, local: true},
		{target: target{context: "kind", nodes: []string{"a", "b"}}},
		{target: target{context: "kind"}, want: "DEMO_CONTEXT=kind without DEMO_NODES"},
		{target: target{nodes: []string{"a", "b"}}, want: `DEMO_NODES="a b" without DEMO_CONTEXT`},
		{target: target{context: "kind", nodes: []string{"a"}}, want: "DEMO_NODES=a: expected at least 2 nodes"},
	} {
		err := test.target.validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: got the error %v, want %q", test.target, err, test.want)
		}
		if local := test.target.local(); local != test.local {
			t.Errorf("%+v: local is %v", test.target, local)
		}
	}
}

// TestMakeDemo: what is exported leads nowhere; what is on make's command line
// does.
func TestMakeDemo(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		want      []string
		but       []string
	}{
		{want: []string{"go run ./test/demo"}, but: []string{"-context", "-nodes"}},
		{arguments: []string{"DEMO_CONTEXT=kind"}, want: []string{`-context="$DEMO_CONTEXT"`}, but: []string{"-nodes"}},
		{arguments: []string{"DEMO_NODES=a b"}, want: []string{`-nodes="$DEMO_NODES"`}, but: []string{"-context"}},
		{arguments: []string{"DEMO_CONTEXT=kind", "DEMO_NODES=a b"}, want: []string{`-context="$DEMO_CONTEXT"`, `-nodes="$DEMO_NODES"`}},
	} {
		command := exec.CommandContext(t.Context(), "make", append([]string{"-C", "../..", "-n", "demo"}, test.arguments...)...)
		command.Env = append(os.Environ(), "MAKEFLAGS=", "KUBECONFIG=/exported", "DEMO_CONTEXT=exported", "DEMO_NODES=exported")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("make demo %q: %v\n%s", test.arguments, err, out)
		}
		_, run, _ := strings.Cut(string(out), "go run")
		for _, want := range test.want {
			if !strings.Contains("go run"+run, want) {
				t.Errorf("make demo %q runs %q, which lacks %s", test.arguments, run, want)
			}
		}
		for _, but := range test.but {
			if strings.Contains(run, but) {
				t.Errorf("make demo %q runs %q, with %s", test.arguments, run, but)
			}
		}
		if len(test.arguments) == 0 && !strings.Contains(string(out), "DEMO_CONTEXT in the environment is ignored") {
			t.Errorf("make demo does not say that it ignores DEMO_CONTEXT:\n%s", out)
		}
	}
}

// TestInspect: nodes that are not the demonstration's to drain are refused, all
// at once.
func TestInspect(t *testing.T) {
	node := func(name string, change func(*corev1.Node)) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name + "-host"}}}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		if change != nil {
			change(n)
		}
		return n
	}
	pod := func(name, owner string) *corev1.Pod {
		yes := true
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "mine"}, Spec: corev1.PodSpec{NodeName: "a"}}
		if owner != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: owner, Controller: &yes}}
		}
		return p
	}
	client := fake.NewClientset(
		node("a", nil), node("b", nil),
		node("cordoned", func(n *corev1.Node) { n.Spec.Unschedulable = true }),
		node("drained", func(n *corev1.Node) { n.Annotations = map[string]string{"drainer.dev/drain": "x"} }),
		node("dead", func(n *corev1.Node) { n.Status.Conditions = nil }),
		node("nameless", func(n *corev1.Node) { n.Labels = nil }),
		pod("agent", "DaemonSet"), pod("web", "ReplicaSet"),
	)
	s := &stage{client: client, nodes: []string{"a", "b"}}
	if err := s.inspect(t.Context()); err != nil || strings.Join(s.hosts, " ") != "a-host b-host" {
		t.Errorf("the hosts are %v, %v", s.hosts, err)
	}
	s = &stage{client: client, nodes: []string{"a", "a", "gone", "cordoned", "drained", "dead", "nameless"}}
	err := s.inspect(t.Context())
	for _, want := range []string{
		"node a: expected one of the cluster, named once", "node gone: expected one of the cluster", "node cordoned: is cordoned",
		"node drained: has the annotation drainer.dev/drain", "node dead: is not Ready", "node nameless: expected a label",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if _, err := client.CoreV1().Pods("mine").Create(t.Context(), pod("bare", ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s = &stage{client: client, nodes: []string{"a", "b"}}
	if err := s.inspect(t.Context()); err == nil || !strings.Contains(err.Error(), "pod mine/bare has no controller") {
		t.Errorf("a pod that is not evicted is no obstacle: %v", err)
	}
}

// TestMayDelete: drainer may delete pods of the demonstration's namespace alone.
func TestMayDelete(t *testing.T) {
	namespace := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	s := &stage{client: fake.NewClientset(namespace("default"), namespace("kube-system"), namespace("drainer-demo-x"), namespace("mine")), namespace: "drainer-demo-x"}
	if err := s.mayDelete(t.Context()); err != nil || strings.Join(s.flags, " ") != "--allow-delete --never-delete-namespaces=kube-system,default,mine" {
		t.Errorf("the flags are %q, %v", s.flags, err)
	}
}
