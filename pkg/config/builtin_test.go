package config_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/plan"
)

// TestBuiltInRules: what drainer does without rules is what it would do with the
// built-in ones as rules.
func TestBuiltInRules(t *testing.T) {
	controlled := func(p *corev1.Pod) {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Controller: &yes}}
	}
	scratch := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	pods := map[string][]func(*corev1.Pod){"plain": {controlled}, "bare": nil, "with emptyDir": {controlled, scratch}, "bare, with emptyDir": {scratch}}
	judged := func(c *config.DrainerConfiguration, pod *corev1.Pod) string {
		p := c.Plan()
		v := plan.NewJudgement([]*plan.Pod{p.Rules.PodOf(pod)}, plan.Surroundings{}, &p, time.Time{})
		run := v.Done(time.Time{})
		return fmt.Sprintf("%d asked, %d held, %d ignored", len(v.Ask), run.Verdicts.Held, run.Verdicts.Ignored)
	}
	for _, bare := range []plan.BarePods{plan.BlockBarePods, plan.EvictBarePods, plan.IgnoreBarePods} {
		for _, dirs := range []plan.EmptyDir{plan.EvictEmptyDir, plan.BlockEmptyDir} {
			built, ruled := config.Default("ns"), config.Default("ns")
			built.BarePods, built.EmptyDir = bare, dirs
			ruled.BarePods, ruled.EmptyDir, ruled.Rules = plan.EvictBarePods, plan.EvictEmptyDir, built.BuiltInRules()
			for name, shape := range pods {
				pod := &corev1.Pod{}
				for _, change := range shape {
					change(pod)
				}
				if got, want := judged(ruled, pod), judged(built, pod); got != want {
					t.Errorf("barePods %s, emptyDir %s, a pod %s: by the rules %s, without %s", bare, dirs, name, got, want)
				}
			}
		}
	}
}
