package plan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPodAnnotations: in a trusted namespace a pod's annotations come before the
// rules, and one that cannot be read blocks the pod. Elsewhere they do not count.
func TestPodAnnotations(t *testing.T) {
	const action, order = "drainer.dev/pod-action", "drainer.dev/pod-order"
	for name, test := range map[string]struct {
		namespace   string
		annotations map[string]string
		rule        string // the rule that decides
		action      Action
		order       int // 0 if the pod gives none
		message     string
	}{
		"no annotation":     {"ops-a", nil, "all", BlockPod, 0, ""},
		"Ignore":            {"ops-a", map[string]string{action: "Ignore", "other": "x"}, action, IgnorePod, 0, ""},
		"Evict":             {"ops-a", map[string]string{action: "Evict"}, action, EvictPod, 0, ""},
		"WaitCompleted":     {"ops-a", map[string]string{action: "WaitCompleted", order: "-3"}, action, AwaitPod, -3, ""},
		"order alone":       {"ops-a", map[string]string{order: "7"}, "all", BlockPod, 7, ""},
		"not trusted":       {"shop", map[string]string{action: "Ignore", order: "7"}, "all", BlockPod, 0, ""},
		"another word":      {"ops-a", map[string]string{action: "ignore"}, action, BlockPod, 0, `its annotation drainer.dev/pod-action="ignore" cannot be read: expected Evict, Ignore or WaitCompleted`},
		"Block":             {"ops-a", map[string]string{action: "Block"}, action, BlockPod, 0, "cannot be read"},
		"no number":         {"ops-a", map[string]string{order: "1.5", action: "Evict"}, order, BlockPod, 0, `drainer.dev/pod-order="1.5" cannot be read: expected an integer from -1000000 to 1000000`},
		"the least":         {"ops-a", map[string]string{order: "-1000000"}, "all", BlockPod, -1000000, ""},
		"the most":          {"ops-a", map[string]string{order: "1000000"}, "all", BlockPod, 1000000, ""},
		"too large":         {"ops-a", map[string]string{order: "1000001"}, order, BlockPod, 0, "expected an integer"},
		"too small":         {"ops-a", map[string]string{order: "-1000001"}, order, BlockPod, 0, "expected an integer"},
		"a typo":            {"ops-a", map[string]string{"drainer.dev/pod-acton": "Ignore"}, "drainer.dev/pod-acton", BlockPod, 0, "expected one of drainer.dev/pod-action, drainer.dev/pod-order"},
		"a typo beside one": {"ops-a", map[string]string{action: "Evict", "drainer.dev/x": ""}, "drainer.dev/x", BlockPod, 0, "cannot be read"},
	} {
		rules := &Rules{List: []*Rule{{Name: "all", Action: BlockPod}}, Trusted: []string{"sys", "ops-*"}}
		pod := rules.PodOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: test.namespace, Annotations: test.annotations}})
		trusted := test.namespace != "shop"
		if trusted == (len(pod.Instructions) > 0) && len(test.annotations) > 0 {
			t.Errorf("%s: the annotations %v do not count", name, pod.Instructions)
		}
		r, got := pod.Rules[0], 0
		if pod.OwnOrder != nil {
			got = *pod.OwnOrder
		}
		if r.Name != test.rule || r.Action != test.action || got != test.order || !strings.Contains(r.message, test.message) {
			t.Errorf("%s: rule %q, action %s, order %d, message %q", name, r.Name, r.Action, got, r.message)
		}
	}
}

// TestOwnOrder: an order that a pod gives itself counts, and the message says where
// it comes from.
func TestOwnOrder(t *testing.T) {
	s := newScene()
	s.draining("n")
	last := 9
	s.pod("n", "a-1", func(p *Pod) { p.OwnOrder = &last })
	s.pod("n", "b-1", under(&Rule{Name: "drainer.dev/pod-action", Action: AwaitPod, own: true}))
	plan := Make(s.Snapshot)
	if got := granted(plan); len(got) > 0 {
		t.Errorf("sent are %v", got)
	}
	for i, want := range []string{"pod-order", "pod-action"} {
		if fix := planOf(t, plan, "n").Pods[i].Fix(); fix != "correct or remove the annotation drainer.dev/"+want+" of the pod, or what it waits for" {
			t.Errorf("the fix is %q", fix)
		}
	}
	message := planOf(t, plan, "n").Report().Message
	for _, want := range []string{
		"ns/a-1 because its annotation drainer.dev/pod-order gives it order 9, and ns/b-1 with order 0 must leave first",
		"ns/b-1 because its annotation drainer.dev/pod-action waits until it completes",
	} {
		if !strings.Contains(message, want) {
			t.Errorf("the message is %q, want %q", message, want)
		}
	}
}
