package config_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/plan"
)

// decoded is a file with these fields over the defaults, and what is wrong with it.
func decoded(t *testing.T, fields string) (*config.DrainerConfiguration, []string) {
	t.Helper()
	c := config.Default("ns")
	if _, err := config.Decode("f.yaml", []byte(header+fields), c); err != nil {
		t.Fatal(err)
	}
	var problems []string
	for _, p := range c.Validate() {
		problems = append(problems, p.Error())
	}
	return c, problems
}

// TestValidateLimits: what is wrong with a limit is named by its path.
func TestValidateLimits(t *testing.T) {
	const gpu = "nodeSelector: {matchLabels: {pool: gpu}}"
	for name, test := range map[string]struct {
		fields string
		want   []string // Each is in a problem of its own; none for a valid file.
	}{
		"as many as are drained at once":     {"maxDraining: 3\nmaxUnavailable: 3\n", nil},
		"fewer than are drained at once":     {"maxDraining: 3\nmaxUnavailable: 2\n", []string{"maxUnavailable: Invalid value: \"2\": expected at least maxDraining (3): raise the one or lower the other"}},
		"a smaller share":                    {"maxUnavailable: 5%\n", []string{"expected at least maxDraining (10%)"}},
		"a number beside a share":            {"maxDraining: 50%\nmaxUnavailable: 1\n", nil},
		"no node":                            {"maxUnavailable: 0\n", []string{"maxUnavailable: Invalid value: \"0\": expected a number of at least 1"}},
		"ignored nodes":                      {"ignoreNodes: {matchLabels: {a: '?'}}\n", []string{"ignoreNodes: Invalid value: \"<error>\": expected a label selector"}},
		"never yield":                        {"yieldAfter: 0s\n", nil},
		"yield before":                       {"yieldAfter: -1s\n", []string{"yieldAfter: Invalid value"}},
		"no pending pod":                     {"pendingPods: 0\n", nil},
		"pending pods below 0":               {"pendingPods: -1\n", []string{"pendingPods: Invalid value: -1: expected a number of at least 0"}},
		"a pool":                             {"pools: [{name: gpu, " + gpu + ", maxDraining: 1, maxUnavailable: 2, drainTimeout: 12h, onTimeout: Stop}]\n", nil},
		"every node":                         {"pools: [{name: all, nodeSelector: {}}]\n", nil},
		"a pool without name":                {"pools: [{" + gpu + "}]\n", []string{"pools[0].name: Invalid value: \"\": expected a DNS label"}},
		"a pool without nodes":               {"pools: [{name: gpu}]\n", []string{"pools[0].nodeSelector: Invalid value: \"\": expected a label selector such as"}},
		"two pools of a name":                {"pools: [{name: gpu, " + gpu + "}, {name: gpu, " + gpu + "}]\n", []string{"pools[1].name: Invalid value: \"gpu\": expected a name other than that of pools[0]"}},
		"a pool's mistakes":                  {"pools: [{name: gpu, nodeSelector: {matchLabels: {a: '?'}}, maxDraining: 0, maxUnavailable: 101%, drainTimeout: -1s, onTimeout: Delete}]\n", []string{"pools[0].drainTimeout", "pools[0].maxDraining", "pools[0].maxUnavailable", "pools[0].nodeSelector", "pools[0].onTimeout"}},
		"a pool, fewer than drained at once": {"pools: [{name: gpu, " + gpu + ", maxDraining: 3, maxUnavailable: 2}]\n", []string{"pools[0].maxUnavailable: Invalid value: \"2\": expected at least the pool's limit of nodes that are drained at once (3)"}},
		"groups":                             {"groups: [{label: topology.kubernetes.io/zone, maxDraining: 30%, maxGroups: 1}, {label: rack, maxGroups: 2}]\n", nil},
		"a group without label":              {"groups: [{maxGroups: 1}]\n", []string{"groups[0].label: Invalid value: \"\": expected the key of a label such as topology.kubernetes.io/zone"}},
		"a label of pools":                   {"poolLabel: eks.amazonaws.com/nodegroup\n", nil},
		"a label of pools with a value":      {"poolLabel: group=a\n", []string{"poolLabel: Invalid value: \"group=a\": expected the key of a label such as eks.amazonaws.com/nodegroup"}},
		"a group without limit":              {"groups: [{label: zone}]\n", []string{"groups[0].maxGroups: Invalid value: 0: expected a number of at least 1"}},
		"groups below 0":                     {"groups: [{label: zone, maxDraining: 1, maxGroups: -1}]\n", []string{"groups[0].maxGroups: Invalid value: -1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := decoded(t, test.fields)
			if len(problems) != len(test.want) {
				t.Fatalf("problems %q, want %q", problems, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(problems[i], want) {
					t.Errorf("problem %q, want %q", problems[i], want)
				}
			}
		})
	}
}

// TestMaxUnavailable: without a value it is the larger of 20 % and what may be
// drained at once, for all nodes and for each pool.
func TestMaxUnavailable(t *testing.T) {
	const pool = "pools: [{name: gpu, nodeSelector: {}"
	for name, test := range map[string]struct {
		fields    string
		all, pool int // of 10 nodes
	}{
		"default":              {pool + "}]\n", 2, 2},
		"less":                 {"maxDraining: 1\n" + pool + "}]\n", 2, 2},
		"more":                 {"maxDraining: 3\n" + pool + "}]\n", 3, 3},
		"all":                  {"maxDraining: 100%\n" + pool + "}]\n", 10, 10},
		"set":                  {"maxDraining: 3\nmaxUnavailable: 4\n" + pool + "}]\n", 4, 4},
		"more in the pool":     {pool + ", maxDraining: 5}]\n", 2, 5},
		"less in the pool":     {"maxUnavailable: 4\n" + pool + ", maxDraining: 1}]\n", 4, 4},
		"set in the pool":      {"maxUnavailable: 4\n" + pool + ", maxUnavailable: 1}]\n", 4, 1},
		"both set in the pool": {pool + ", maxDraining: 1, maxUnavailable: 3}]\n", 2, 3},
	} {
		c, problems := decoded(t, test.fields)
		p := c.Plan()
		if all, pool := p.MaxUnavailable.Of(10), p.Pools[0].MaxUnavailable.Of(10); all != test.all || pool != test.pool || problems != nil {
			t.Errorf("%s: of all nodes %d, of the pool %d, want %d and %d; %v", name, all, pool, test.all, test.pool, problems)
		}
	}
}

// TestPlanLimits: what is not set for a pool or a group has no value of its own.
func TestPlanLimits(t *testing.T) {
	c, _ := decoded(t, "yieldAfter: 2h\n"+
		"pools: [{name: a, nodeSelector: {matchLabels: {pool: a}}}, {name: b, nodeSelector: {}, maxDraining: 3, drainTimeout: 0s, onTimeout: Stop}]\n"+
		"groups: [{label: zone, maxGroups: 1}, {label: rack, maxDraining: 50%}]\n"+
		"nodeSelector: {matchLabels: {served: \"1\"}}\nignoreNodes: {matchLabels: {ignored: \"1\"}}\n")
	p := c.Plan()
	if a, b := p.Pools[0], p.Pools[1]; !a.MaxDraining.IsZero() || a.Timeout != nil || a.OnTimeout != "" ||
		b.MaxDraining.Of(9) != 3 || b.Timeout == nil || *b.Timeout != 0 || b.OnTimeout != "Stop" || p.YieldAfter != 2*time.Hour {
		t.Errorf("pools %+v and %+v, yield after %v", a, b, p.YieldAfter)
	}
	if zone, rack := p.Groups[0], p.Groups[1]; !zone.MaxDraining.IsZero() || zone.MaxGroups != 1 || rack.MaxDraining.Of(4) != 2 || rack.MaxGroups != 0 {
		t.Errorf("groups %+v and %+v", zone, rack)
	}
	s := c.Selectors()
	served := s.NodeOf(nodeWith(labels.Set{"served": "1", "pool": "a", "rack": "r1"}))
	other := s.NodeOf(nodeWith(labels.Set{"ignored": "1", "zone": "z"}))
	if !served.Served || served.Ignored || served.Pool != "a" || strings.Join(served.Groups, ",") != ",r1" {
		t.Errorf("got %+v", served)
	}
	if other.Served || !other.Ignored || other.Pool != "b" || strings.Join(other.Groups, ",") != "z," {
		t.Errorf("got %+v", other)
	}
	if n := (&plan.Selectors{}).NodeOf(nodeWith(nil)); !n.Served || n.Ignored || n.Pool != "" || n.Groups != nil {
		t.Errorf("without selectors: %+v", n)
	}
	none := config.Default("ns").Selectors()
	if n := none.NodeOf(nodeWith(nil)); !n.Served || n.Ignored || n.Pool != "" {
		t.Errorf("by default: %+v", n)
	}
}

// TestPoolLabel: the label names the pool of a node that is in none of the pools, and
// limits nothing.
func TestPoolLabel(t *testing.T) {
	const pools = "pools: [{name: gpu, nodeSelector: {matchLabels: {accelerator: gpu}}}]\n"
	for name, test := range map[string]struct {
		fields string
		labels labels.Set
		pool   string
		want   string
	}{
		"in a pool":           {fields: "poolLabel: group\n" + pools, labels: labels.Set{"accelerator": "gpu", "group": "a"}, pool: "gpu", want: "gpu"},
		"in none":             {fields: "poolLabel: group\n" + pools, labels: labels.Set{"group": "a"}, want: "a"},
		"without the label":   {fields: "poolLabel: group\n" + pools},
		"without the setting": {fields: pools, labels: labels.Set{"group": "a"}},
	} {
		c, _ := decoded(t, test.fields)
		s := c.Selectors()
		if n := s.NodeOf(nodeWith(test.labels)); n.Pool != test.pool || n.PoolName() != test.want {
			t.Errorf("%s: the pool is %q, called %q; want %q, %q", name, n.Pool, n.PoolName(), test.pool, test.want)
		}
	}
}

func nodeWith(set labels.Set) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: set}}
}
