package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ownedBy is a pod with the spec, of a controller of a kind.
func ownedBy(kind string, spec corev1.PodSpec) *corev1.Pod {
	yes := true
	p := &corev1.Pod{Spec: spec}
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: "x", UID: "u", Controller: &yes}}
	return p
}

func requiring(terms ...corev1.NodeSelectorTerm) corev1.PodSpec {
	return corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
	}}}
}

func labelTerm(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
}

func nameTerm(operator corev1.NodeSelectorOperator, name string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: operator, Values: []string{name}}}}
}

func tolerating(t corev1.Toleration) corev1.PodSpec {
	return corev1.PodSpec{Tolerations: []corev1.Toleration{t}}
}

// TestPlacement: a node admits a pod by node selector, required affinity and taints,
// as the scheduler compares them.
func TestPlacement(t *testing.T) {
	tainted := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "team", Value: "a", Effect: corev1.TaintEffectNoSchedule}}
	}
	sick := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeDiskPressure, Effect: corev1.TaintEffectNoSchedule}}
	}
	for name, test := range map[string]struct {
		spec   corev1.PodSpec
		change func(*corev1.Node)
		want   standing
	}{
		"anything":               {corev1.PodSpec{}, nil, nodeTakes},
		"selected":               {corev1.PodSpec{NodeSelector: map[string]string{"pool": "x"}}, nil, nodeTakes},
		"not selected":           {corev1.PodSpec{NodeSelector: map[string]string{"pool": "y"}}, nil, nodeRefuses},
		"in":                     {requiring(labelTerm("pool", corev1.NodeSelectorOpIn, "w", "x")), nil, nodeTakes},
		"not in":                 {requiring(labelTerm("pool", corev1.NodeSelectorOpNotIn, "x")), nil, nodeRefuses},
		"exists":                 {requiring(labelTerm("pool", corev1.NodeSelectorOpExists)), nil, nodeTakes},
		"does not exist":         {requiring(labelTerm("pool", corev1.NodeSelectorOpDoesNotExist)), nil, nodeRefuses},
		"greater":                {requiring(labelTerm("size", corev1.NodeSelectorOpGt, "3")), nil, nodeTakes},
		"less":                   {requiring(labelTerm("size", corev1.NodeSelectorOpLt, "3")), nil, nodeRefuses},
		"one of two terms":       {requiring(labelTerm("pool", corev1.NodeSelectorOpIn, "y"), nameTerm(corev1.NodeSelectorOpIn, "n")), nil, nodeTakes},
		"by name":                {requiring(nameTerm(corev1.NodeSelectorOpIn, "other")), nil, nodeRefuses},
		"not by name":            {requiring(nameTerm(corev1.NodeSelectorOpNotIn, "n")), nil, nodeRefuses},
		"an empty term":          {requiring(corev1.NodeSelectorTerm{}), nil, nodeRefuses},
		"tainted":                {corev1.PodSpec{}, tainted, nodeRefuses},
		"tolerated":              {tolerating(corev1.Toleration{Key: "team", Value: "a"}), tainted, nodeTakes},
		"everything tolerated":   {tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}), tainted, nodeTakes},
		"other value tolerated":  {tolerating(corev1.Toleration{Key: "team", Value: "b"}), tainted, nodeRefuses},
		"other effect tolerated": {tolerating(corev1.Toleration{Key: "team", Value: "a", Effect: corev1.TaintEffectNoExecute}), tainted, nodeRefuses},
		"disk pressure":          {corev1.PodSpec{}, sick, nodeUnhealthy},
		"not Ready":              {corev1.PodSpec{}, func(n *corev1.Node) { n.Status.Conditions = nil }, nodeUnhealthy},
		"cordoned":               {corev1.PodSpec{}, func(n *corev1.Node) { n.Spec.Unschedulable = true }, nodeCordoned},
	} {
		t.Run(name, func(t *testing.T) {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"pool": "x", "size": "4"}}}
			node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			if test.change != nil {
				test.change(node)
			}
			p, ok := parsePlacement(PodOf(ownedBy("ReplicaSet", test.spec)).Placement)
			if !ok {
				t.Fatal("the placement cannot be read")
			}
			if got := p.standingOf(NodeOf(node)); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// TestPlacementUnknown: pods that are not placed again have no placement, and what
// cannot be read is not judged.
func TestPlacementUnknown(t *testing.T) {
	for name, pod := range map[string]*corev1.Pod{
		"no controller": {}, "DaemonSet": ownedBy("DaemonSet", corev1.PodSpec{}),
	} {
		if text := PodOf(pod).Placement; text != "" {
			t.Errorf("%s: the placement is %q", name, text)
		}
	}
	strange := PodOf(ownedBy("ReplicaSet", requiring(labelTerm("pool", "Near", "x")))).Placement
	for _, text := range []string{"", "not a spec", strange} {
		if _, ok := parsePlacement(text); ok {
			t.Errorf("%q is judged", text)
		}
	}
}

// TestNowhere: a drain whose pods no schedulable node admits cannot finish once their
// budget has been used up for long, and names the nodes that would admit them.
func TestNowhere(t *testing.T) {
	const alone = "release a, which has a drain request, or add a node that admits the pod"
	for name, test := range map[string]struct {
		prepare func(scene, *Pod)
		after   time.Duration
		want    string
	}{
		"no other node":        {func(s scene, _ *Pod) { s.node("z") }, 6 * time.Minute, alone},
		"not for long":         {func(scene, *Pod) {}, time.Minute, ""},
		"another node":         {func(s scene, _ *Pod) { inPool(s.node("b")) }, 6 * time.Minute, ""},
		"not known":            {func(_ scene, p *Pod) { p.Placement = "" }, 6 * time.Minute, ""},
		"each other":           {func(s scene, _ *Pod) { inPool(s.draining("b")) }, 6 * time.Minute, "a and b have drain requests: release one, or add"},
		"a cordoned node":      {func(s scene, _ *Pod) { inPool(s.node("b")).Unschedulable = true }, 6 * time.Minute, "release a, which has a drain request, or uncordon b, or add"},
		"a node not Ready":     {func(s scene, _ *Pod) { inPool(s.node("b")).Ready = false }, 6 * time.Minute, "release a, which has a drain request, or make b Ready, or add"},
		"a node to be removed": {func(s scene, _ *Pod) { inPool(s.node("b")).RemovalTaint = "x" }, 6 * time.Minute, alone},
		"many nodes": {func(s scene, _ *Pod) {
			for _, name := range []string{"d", "c", "b"} {
				inPool(s.draining(name))
			}
		}, 6 * time.Minute, "a, b and 2 more have drain requests: release one, or add"},
		"beside a pod that others admit": {func(s scene, _ *Pod) { s.pod("a", "web-0") }, 6 * time.Minute, alone},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := inPool(s.draining("a"))
			pod := s.pod("a", "web-1", func(p *Pod) { p.Placement = inPoolX })
			s.budget("web", "web", 0, 2, 2, 3)
			test.prepare(s, pod)
			s.planned(t, n)
			s.Now = s.Now.Add(test.after)
			judgeObstacle(t, s, n, map[bool]string{true: "budget_exhausted"}[test.want != ""])
			plan, _ := s.planned(t, n)
			if r := plan.Report(); test.want != "" && (!strings.HasPrefix(r.Status.CannotFinish[0].Fix, test.want) || !strings.Contains(r.Message, nowhereText)) {
				t.Errorf("to fix: %q, message %q", r.Status.CannotFinish[0].Fix, r.Message)
			}
		})
	}
}
