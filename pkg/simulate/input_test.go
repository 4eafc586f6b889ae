package simulate_test

import (
	"os/exec"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// TestSelection: what is drained is named or selected, and exists.
func TestSelection(t *testing.T) {
	objects, err := simulate.ReadDump(strings.NewReader(shop().dump(t)))
	if err != nil {
		t.Fatal(err)
	}
	selector := func(text string) labels.Selector {
		s, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for want, change := range map[string]func(*simulate.Options){
		"no node is selected: name nodes with --drain":              func(o *simulate.Options) { o.Nodes = nil },
		"use either --drain or --selector":                          func(o *simulate.Options) { o.Selector = selector("name=a") },
		`there is no node "x" among the 3 nodes: a, b, c`:           func(o *simulate.Options) { o.Nodes = []string{"a", "x"} },
		"--selector=name=x matches none of the 3 nodes":             func(o *simulate.Options) { o.Nodes, o.Selector = nil, selector("name=x") },
		`node "a" is not served by --node-selector=name=b: drainer`: func(o *simulate.Options) { o.Daemon.Selectors.Served = selector("name=b") },
	} {
		o := options("a")
		change(&o)
		if _, err := simulate.Run(objects, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
	o := options()
	o.Selector = selector("name in (a,b)")
	if r, err := simulate.Run(objects, o); err != nil || len(r.Nodes) != 2 {
		t.Errorf("selected %+v, error %v", r, err)
	}
}

// TestDumpErrors: the error for input that is not a dump says what is wrong and
// how to make a dump.
func TestDumpErrors(t *testing.T) {
	pod := `{"kind":"Pod","metadata":{"namespace":"shop","name":"web-1","ownerReferences":[{"kind":"ReplicaSet","name":"web","controller":true}]}}`
	for dump, want := range map[string]string{
		"":                "the dump is empty",
		"kind: List":      "the dump is not JSON",
		`{"kind":"Node"}`: `an object of kind "Node", expected a List`,
		`{"kind":"List"}`: "the dump has no Node",
		`{"kind":"List","items":[{"kind":"Node"}]}`:                   "the dump has no Pod",
		`{"kind":"List","items":[{"kind":"Node"},` + pod + `]}`:       "the dump has no ReplicaSet, but pod shop/web-1 is controlled by one",
		`{"kind":"List","items":[{"kind":"Node","metadata":"none"}]}`: "reading item 0 of the dump",
	} {
		_, err := simulate.ReadDump(strings.NewReader(dump))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", dump, err, want)
		} else if !strings.HasPrefix(want, "reading") && !strings.Contains(err.Error(), simulate.Command) {
			t.Errorf("%s: the error %q does not say how to make a dump", dump, err)
		}
	}
}

// TestTypedLists: a dump can be a sequence of lists whose items have no kind.
func TestTypedLists(t *testing.T) {
	dump := `{"kind":"NodeList","items":[{"metadata":{"name":"a"}}]} {"kind":"PodList","items":[{"metadata":{"namespace":"shop","name":"bare"}}]}`
	objects, err := simulate.ReadDump(strings.NewReader(dump))
	if err != nil || len(objects.Nodes) != 1 || len(objects.Pods) != 1 {
		t.Errorf("read %+v, error %v", objects, err)
	}
}

// TestDependencies: a forecast has no client.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("listing the dependencies: %v", err)
	}
	if !strings.Contains(string(out), "drainer.dev/drainer/pkg/forecast\n") {
		t.Error("the list of dependencies is not that of the package")
	}
	for _, dependency := range strings.Fields(string(out)) {
		if strings.HasPrefix(dependency, "k8s.io/client-go") {
			t.Errorf("the package depends on %s", dependency)
		}
	}
}

// TestNamespaceLabels: where rules look at the labels of namespaces, a dump has to
// have them, and they decide.
func TestNamespaceLabels(t *testing.T) {
	o := options("a")
	rules := &plan.Rules{List: []*plan.Rule{
		{Name: "team-a", Match: plan.PodMatch{NamespaceLabels: labels.SelectorFromSet(labels.Set{"team": "a"})}, Action: plan.BlockPod},
	}}
	o.Daemon.Config.Rules, o.Daemon.Selectors.Rules = rules, rules
	forecast := func(namespaces string) (*simulate.Result, error) {
		objects, err := simulate.ReadDump(strings.NewReader(shop().dump(t) + namespaces))
		if err != nil {
			t.Fatal(err)
		}
		return simulate.Run(objects, o)
	}
	if _, err := forecast(""); err == nil || !strings.Contains(err.Error(), "the dump has no Namespace") || !strings.Contains(err.Error(), "add ns to the kinds") {
		t.Errorf("without namespaces the error is %v", err)
	}
	for team, complete := range map[string]bool{"a": false, "b": true} {
		r, err := forecast(` {"kind":"NamespaceList","items":[{"metadata":{"name":"shop","labels":{"team":"` + team + `"}}}]}`)
		if err != nil || r.Complete != complete {
			t.Errorf("with the team %s: %+v, error %v", team, r, err)
		}
	}
}
