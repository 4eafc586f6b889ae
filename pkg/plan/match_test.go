package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestLike: * in a pattern stands for any characters, and nothing else does.
func TestLike(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"shop", "shop", true},
		{"shop", "shopping", false},
		{"shop", "", false},
		{"*", "", true},
		{"*", "shop", true},
		{"team-*", "team-", true},
		{"team-*", "team-a", true},
		{"team-*", "tea", false},
		{"*-prod", "a-prod", true},
		{"*-prod", "prod", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*bc*c", "abc", false},
		{"**", "x", true},
		{"apps/*/DaemonSet", "apps/v1/DaemonSet", true},
		{"a.b", "axb", false},
		{"a?", "ab", false},
	} {
		if got := like(test.pattern, test.text); got != test.want {
			t.Errorf("%q like %q: %v", test.text, test.pattern, got)
		}
	}
}

// TestMatches: each thing that a rule can say about a pod itself, matched and not.
func TestMatches(t *testing.T) {
	yes, no, five, six := true, false, int32(5), int32(6)
	backup := func(p *corev1.Pod) {
		p.Spec.EvictionResponders = []corev1.EvictionResponder{{Name: "example.com/other"}, {Name: "example.org/backup"}}
	}
	grouped := func(p *corev1.Pod) { p.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: new("train")} }
	gpu := corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
	plain := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team-a", Labels: map[string]string{"tier": "db"}, Annotations: map[string]string{"a/b": "c"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Controller: &yes}},
	}, Spec: corev1.PodSpec{Priority: &five}}
	with := func(change func(*corev1.Pod)) *corev1.Pod {
		p := plain.DeepCopy()
		change(p)
		return p
	}
	container := func(r corev1.ResourceRequirements) []corev1.Container { return []corev1.Container{{}, {Resources: r}} }
	for name, test := range map[string]struct {
		match PodMatch
		pod   *corev1.Pod
		want  bool
	}{
		"nothing":                   {PodMatch{}, plain, true},
		"namespace":                 {PodMatch{Namespaces: []string{"x", "team-a"}}, plain, true},
		"another namespace":         {PodMatch{Namespaces: []string{"x", "team"}}, plain, false},
		"namespaces by a pattern":   {PodMatch{Namespaces: []string{"team-*"}}, plain, true},
		"labels":                    {PodMatch{Pods: mustSelect("tier=db")}, plain, true},
		"other labels":              {PodMatch{Pods: mustSelect("tier!=db")}, plain, false},
		"annotation":                {PodMatch{Annotations: map[string]string{"a/b": "c"}}, plain, true},
		"another value":             {PodMatch{Annotations: map[string]string{"a/b": "d"}}, plain, false},
		"no such annotation":        {PodMatch{Annotations: map[string]string{"x": ""}}, plain, false},
		"controller":                {PodMatch{Controllers: []string{"batch/v1/Job"}}, plain, true},
		"controller of any version": {PodMatch{Controllers: []string{"batch/*/Job"}}, plain, true},
		"another controller":        {PodMatch{Controllers: []string{"apps/v1/ReplicaSet", NoController}}, plain, false},
		"no controller":             {PodMatch{Controllers: []string{NoController}}, with(func(p *corev1.Pod) { p.OwnerReferences = nil }), true},
		"any controller":            {PodMatch{Controllers: []string{"*/*"}}, plain, true},
		"any controller, and none":  {PodMatch{Controllers: []string{"*/*"}}, with(func(p *corev1.Pod) { p.OwnerReferences[0].Controller = &no }), false},
		"priority at least":         {PodMatch{MinPriority: &five}, plain, true},
		"priority too low":          {PodMatch{MinPriority: &six}, plain, false},
		"priority at most":          {PodMatch{MaxPriority: &five}, plain, true},
		"priority too high":         {PodMatch{MaxPriority: &five}, with(func(p *corev1.Pod) { p.Spec.Priority = &six }), false},
		"no priority is 0":          {PodMatch{MinPriority: &five}, with(func(p *corev1.Pod) { p.Spec.Priority = nil }), false},
		"requests":                  {PodMatch{Resources: []string{"nvidia.com/gpu"}}, with(func(p *corev1.Pod) { p.Spec.Containers = container(corev1.ResourceRequirements{Requests: gpu}) }), true},
		"limits":                    {PodMatch{Resources: []string{"x", "nvidia.com/gpu"}}, with(func(p *corev1.Pod) { p.Spec.InitContainers = container(corev1.ResourceRequirements{Limits: gpu}) }), true},
		"resources of the pod":      {PodMatch{Resources: []string{"nvidia.com/gpu"}}, with(func(p *corev1.Pod) { p.Spec.Resources = &corev1.ResourceRequirements{Limits: gpu} }), true},
		"none of the resource": {PodMatch{Resources: []string{"nvidia.com/gpu"}}, with(func(p *corev1.Pod) {
			p.Spec.Containers = container(corev1.ResourceRequirements{Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("0")}})
		}), false},
		"no resources": {PodMatch{Resources: []string{"nvidia.com/gpu"}}, plain, false},
		"emptyDir": {PodMatch{EmptyDir: &yes}, with(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}), true},
		"no emptyDir":                 {PodMatch{EmptyDir: &yes}, plain, false},
		"no emptyDir, as it has none": {PodMatch{EmptyDir: &no}, plain, true},
		"responder":                   {PodMatch{EvictionResponders: []string{"x/y", "example.org/backup"}}, with(backup), true},
		"responders by a pattern":     {PodMatch{EvictionResponders: []string{"*.org/*"}}, with(backup), true},
		"another responder":           {PodMatch{EvictionResponders: []string{NoResponder, "example.org/b"}}, with(backup), false},
		"no responder":                {PodMatch{EvictionResponders: []string{"*"}}, plain, false},
		"no responder, as it is told": {PodMatch{EvictionResponders: []string{"x/y", NoResponder}}, plain, true},
		"group":                       {PodMatch{SchedulingGroup: &yes}, with(grouped), true},
		"no group":                    {PodMatch{SchedulingGroup: &yes}, plain, false},
		"no group, as it is in none":  {PodMatch{SchedulingGroup: &no}, plain, true},
		"a group, but none is wanted": {PodMatch{SchedulingGroup: &no}, with(grouped), false},
		"one of two does not match":   {PodMatch{Namespaces: []string{"*"}, Controllers: []string{NoController}}, plain, false},
	} {
		rules := &Rules{List: []*Rule{{Name: "r", Match: test.match}}}
		if got := len(rules.PodOf(test.pod).Rules) == 1; got != test.want {
			t.Errorf("%s: matches: %v", name, got)
		}
	}
}

// TestRulesOfPod: a pod keeps the rules that may decide about it, and no more.
func TestRulesOfPod(t *testing.T) {
	rule := func(name string, m PodMatch) *Rule { return &Rule{Name: name, Match: m} }
	rules := &Rules{List: []*Rule{
		rule("elsewhere", PodMatch{Namespaces: []string{"x"}}), rule("pool", PodMatch{Pools: []string{"gpu"}}),
		rule("budget", PodMatch{Budget: NoBudget}), rule("here", PodMatch{Namespaces: []string{"ns"}}), rule("all", PodMatch{}),
	}}
	var names []string
	for _, r := range rules.PodOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}}).Rules {
		names = append(names, r.Name)
	}
	if len(names) != 3 || names[0] != "pool" || names[1] != "budget" || names[2] != "here" {
		t.Errorf("it keeps %v, want pool, budget, here", names)
	}
	static := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}}}
	if kept := rules.PodOf(static).Rules; kept != nil {
		t.Errorf("a static pod keeps %v", kept)
	}
	if kept := (*Rules)(nil).PodOf(static); kept.Namespace != "ns" || kept.Rules != nil {
		t.Errorf("without rules it is %+v", kept)
	}
}

// TestMatchAfterNewLabels: a pod whose labels change is under other budgets from then on.
func TestMatchAfterNewLabels(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.budget("api", "api", 1, 2, 1, 2)
	s.budget("web", "web", 1, 2, 1, 2)
	for _, app := range []string{"api", "web", "api"} {
		pod := Pod{Namespace: "ns", Name: "x", UID: "x", Node: "n", Labels: LabelsOf(labels.Set{"app": app})}
		entries, _ := s.Memory.Observe(Observed{Now: noon, Nodes: []*Node{n}, Pods: map[string][]*Pod{"n": {&pod}}})
		Match(entries, s.Budgets)
		if got := entries["n"][0].matched; len(got) != 1 || s.Budgets["ns"].List[got[0]].Name != app {
			t.Errorf("with app=%s it is under the budgets %v", app, got)
		}
	}
}
