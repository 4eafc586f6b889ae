package plan

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestDeparture: what a spec says about how its pod leaves is kept, and told.
func TestDeparture(t *testing.T) {
	responders := []corev1.EvictionResponder{{Name: "a.org/b"}, {Name: "c.org/d"}}
	group := &corev1.PodSchedulingGroup{PodGroupName: new("train")}
	for name, test := range map[string]struct {
		spec corev1.PodSpec
		want *Departure
		text string
	}{
		"nothing":         {},
		"responders":      {corev1.PodSpec{EvictionResponders: responders}, &Departure{Responders: []string{"a.org/b", "c.org/d"}}, "its eviction responders are not asked: a.org/b, c.org/d"},
		"a group":         {corev1.PodSpec{SchedulingGroup: group}, &Departure{Group: "train"}, "it is in the PodGroup train"},
		"of another kind": {spec: corev1.PodSpec{SchedulingGroup: &corev1.PodSchedulingGroup{}}},
		"both": {
			corev1.PodSpec{EvictionResponders: responders[:1], SchedulingGroup: group},
			&Departure{Responders: []string{"a.org/b"}, Group: "train"},
			"its eviction responders are not asked: a.org/b; it is in the PodGroup train",
		},
	} {
		got := PodOf(&corev1.Pod{Spec: test.spec}).Departure
		if !reflect.DeepEqual(got, test.want) || got.String() != test.text {
			t.Errorf("%s: %+v, %q; want %+v, %q", name, got, got, test.want, test.text)
		}
	}
}

// TestUnasked: the node names the pods whose responders are not asked, but for those
// that stay, and a blocker has what its spec says.
func TestUnasked(t *testing.T) {
	responding := func(p *Pod) { p.Departure = &Departure{Responders: []string{"a.org/b"}, Group: "train"} }
	block := under(&Rule{Name: "b", Action: BlockPod})
	for name, test := range map[string]struct {
		build func(scene)
		want  string // of the warning; empty for none
	}{
		"none":       {func(s scene) { s.pod("n", "web-1", block) }, ""},
		"group only": {func(s scene) { s.pod("n", "web-1", block, func(p *Pod) { p.Departure = &Departure{Group: "train"} }) }, ""},
		"stays":      {func(s scene) { s.pod("n", "web-1", responding, under(&Rule{Name: "i", Action: IgnorePod})) }, ""},
		"one":        {func(s scene) { s.pod("n", "web-1", responding, block) }, "the eviction responders of pod ns/web-1 are not asked, because drainer sends no EvictionRequests: a.org/b"},
		"two":        {func(s scene) { s.pod("n", "web-1", responding, block); s.pod("n", "web-2", responding) }, "the eviction responders of pod ns/web-1 (and of 1 more) are not asked"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n")
			test.build(s)
			r := planOf(t, Make(s.Snapshot), "n").Report()
			warnings := strings.Join(r.Status.Warnings, "; ")
			if !strings.HasPrefix(warnings, test.want) || test.want == "" && warnings != "" || !strings.Contains(r.Message, test.want) {
				t.Errorf("warned is %q, the message is %q, want %q", warnings, r.Message, test.want)
			}
			if test.want != "" {
				if b := r.Status.Blockers[0]; !reflect.DeepEqual(b.EvictionResponders, []string{"a.org/b"}) || b.SchedulingGroup != "train" {
					t.Errorf("the blocker is %+v", b)
				}
			}
		})
	}
}
