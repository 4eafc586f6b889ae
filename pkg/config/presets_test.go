package config_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/plan"
)

// TestValidatePresets: what is wrong with a preset is named by its path.
func TestValidatePresets(t *testing.T) {
	for fields, want := range map[string]string{
		"presets: [{name: cluster-autoscaler, action: Block}, {name: karpenter, atMost: 1h}, {name: cluster-api}, {name: critical-last}]": "",
		"presets: [{name: velero}]":                                          `presets[0].name: Invalid value: "velero": expected cluster-autoscaler, karpenter, cluster-api or critical-last`,
		"presets: [{name: karpenter}, {name: karpenter}]":                    `presets[1].name: Invalid value: "karpenter": expected each preset once`,
		"presets: [{name: karpenter, action: Delete}]":                       `presets[0].action: Invalid value: "Delete": expected Evict, Ignore, WaitCompleted or Block`,
		"presets: [{name: karpenter, atMost: 0s}]":                           "presets[0].atMost: Invalid value: 0: expected a duration above 0",
		"presets: [{name: karpenter, action: Block, atMost: 1h}]":            "presets[0].atMost: Invalid value: 3600000000000: expected only with the action WaitCompleted",
		"presets: [{name: critical-last, action: Ignore}]":                   `presets[0]: Invalid value: "critical-last": expected neither action nor atMost`,
		"rules: [{name: karpenter, match: {emptyDir: true}, action: Evict}]": "expected a name other than that of a built-in rule or a preset: bare-pods, empty-dir, default, cluster-autoscaler,",
	} {
		_, problems := decoded(t, fields+"\n")
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || !strings.Contains(problems[0], want)) {
			t.Errorf("%s: problems %q, want %q", fields, problems, want)
		}
	}
}

// TestPresets: what the marks of other programs do, in trusted namespaces and
// elsewhere, beside rules and the built-in ones.
func TestPresets(t *testing.T) {
	const trust = "trustPodAnnotations: {namespaces: [ops]}\n"
	annotated := func(key, value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{key: value} }
	}
	unsafe := annotated("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")
	skip := func(p *corev1.Pod) { p.Labels = map[string]string{"cluster.x-k8s.io/drain": "skip"} }
	critical := func(p *corev1.Pod) { p.Spec.Priority = new(int32(2_000_000_000)) }
	bare := func(p *corev1.Pod) { p.OwnerReferences = nil }
	trusted := func(p *corev1.Pod) { p.Namespace = "ops" }
	scratch := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	for name, test := range map[string]struct {
		fields string
		pod    []func(*corev1.Pod)
		action plan.Action // empty if no rule of the file matches
		atMost time.Duration
		order  int
	}{
		"cluster-autoscaler":                {"presets: [{name: cluster-autoscaler}]", []func(*corev1.Pod){unsafe}, plan.AwaitPod, 4 * time.Hour, 0},
		"safe to evict":                     {"presets: [{name: cluster-autoscaler}]", []func(*corev1.Pod){annotated("cluster-autoscaler.kubernetes.io/safe-to-evict", "true")}, "", 0, 0},
		"not asked for":                     {"presets: [{name: karpenter}]", []func(*corev1.Pod){unsafe}, "", 0, 0},
		"karpenter, longer":                 {"presets: [{name: karpenter, atMost: 9h}]", []func(*corev1.Pod){annotated("karpenter.sh/do-not-disrupt", "true")}, plan.AwaitPod, 9 * time.Hour, 0},
		"Block, not trusted":                {trust + "presets: [{name: cluster-autoscaler, action: Block}]", []func(*corev1.Pod){unsafe}, plan.AwaitPod, 4 * time.Hour, 0},
		"Block, trusted":                    {trust + "presets: [{name: cluster-autoscaler, action: Block}]", []func(*corev1.Pod){unsafe, trusted}, plan.BlockPod, 0, 0},
		"cluster-api, nothing trusted":      {"presets: [{name: cluster-api}]", []func(*corev1.Pod){skip, trusted}, plan.AwaitPod, 4 * time.Hour, 0},
		"cluster-api, trusted":              {trust + "presets: [{name: cluster-api}]", []func(*corev1.Pod){skip, trusted}, plan.IgnorePod, 0, 0},
		"cluster-api, trusted by labels":    {"trustPodAnnotations: {namespaceSelector: {matchLabels: {a: b}}}\npresets: [{name: cluster-api}]", []func(*corev1.Pod){skip}, plan.IgnorePod, 0, 0},
		"Evict":                             {"presets: [{name: cluster-autoscaler, action: Evict}]", []func(*corev1.Pod){unsafe}, plan.EvictPod, 0, 0},
		"critical-last":                     {"presets: [{name: critical-last}]", []func(*corev1.Pod){critical}, plan.EvictPod, 0, 1000},
		"critical, bare":                    {"presets: [{name: critical-last}]", []func(*corev1.Pod){critical, bare}, "", 0, 0},
		"critical, bare, which are evicted": {"barePods: Evict\npresets: [{name: critical-last}]", []func(*corev1.Pod){critical, bare}, plan.EvictPod, 0, 1000},
		"unsafe, with a blocked emptyDir":   {"emptyDir: Block\npresets: [{name: cluster-autoscaler}]", []func(*corev1.Pod){unsafe, scratch}, "", 0, 0},
		"unsafe, with an emptyDir":          {"presets: [{name: cluster-autoscaler}]", []func(*corev1.Pod){unsafe, scratch}, plan.AwaitPod, 4 * time.Hour, 0},
		"skip, bare, trusted":               {trust + "presets: [{name: cluster-api}]", []func(*corev1.Pod){skip, bare, trusted}, plan.IgnorePod, 0, 0},
		"after a rule":                      {"rules: [{name: a, match: {namespaces: [shop]}, action: Block}]\npresets: [{name: cluster-autoscaler}]", []func(*corev1.Pod){unsafe}, plan.BlockPod, 0, 0},
	} {
		c, problems := decoded(t, test.fields+"\n")
		if problems != nil {
			t.Fatal(name, problems)
		}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Controller: new(true)}},
		}}
		for _, change := range test.pod {
			change(pod)
		}
		var got plan.Rule
		if rules := c.Plan().Rules.PodOf(pod).Rules; len(rules) > 0 {
			got = *rules[0]
		}
		if by := got.Match.NamespaceLabels; strings.Contains(test.fields, "namespaceSelector") && got.Action == plan.IgnorePod && (by == nil || by.String() != "a=b") {
			t.Errorf("%s: trusted are namespaces with the labels %v", name, by)
		}
		if got.Action != test.action || got.AtMost != test.atMost || got.Order != test.order {
			t.Errorf("%s: %s for at most %v with order %d, want %s, %v, %d", name, got.Action, got.AtMost, got.Order, test.action, test.atMost, test.order)
		}
	}
}
