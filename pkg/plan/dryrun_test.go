package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// TestJudgement: every pod gets one verdict.
func TestJudgement(t *testing.T) {
	rs := Owner{Kind: "ReplicaSet", Name: "web", UID: "rs"}
	pods := []*Pod{
		{Name: "static", Static: true},
		{Name: "daemon", Controller: Owner{APIVersion: "apps/v1", Kind: "DaemonSet", UID: "ds"}},
		{Name: "bare"},
		{Name: "done", Phase: corev1.PodSucceeded},
		{Name: "scratch", Controller: rs, EmptyDir: true},
		{Name: "web-1", Controller: rs},
		{Name: "web-2", Controller: rs},
		{Name: "web-3", Controller: rs},
		{Name: "web-4", Controller: rs},
	}
	config := Config{BarePods: BlockBarePods, EmptyDir: BlockEmptyDir}
	j := NewJudgement(pods, Surroundings{DaemonSets: map[types.UID]bool{"ds": true}}, &config, noon)
	var asked []string
	for _, pod := range j.Ask {
		asked = append(asked, pod.Name)
	}
	if got := strings.Join(asked, " "); got != "done web-1 web-2 web-3 web-4" {
		t.Fatalf("asked about %s", got)
	}
	for _, o := range []Outcome{{Reason: Admitted}, {Reason: Gone}, {Reason: BudgetExhausted, Message: "no room"}, {Reason: Unknown, Message: "EOF"}} {
		j.Answer(o)
	}
	run := j.Done(noon.Add(time.Second))
	want := api.Verdicts{Admitted: 2, Refused: 1, Held: 2, Unanswered: 2, Ignored: 2}
	if got := run.Verdicts; got.At == nil || !got.At.Equal(noon.Add(time.Second)) {
		t.Errorf("the verdicts are of %v", got.At)
	} else if got.At = nil; got != want {
		t.Errorf("the verdicts are %+v, want %+v", got, want)
	}
	for _, part := range []string{"2 of 7 pods", "1 refused", "2 held", "2 not answered", "2 ignored", "/bare held: no controller", "/web-2 refused: no room", "/web-3 not answered: EOF", "and 1 more pods"} {
		if !strings.Contains(run.message(), part) {
			t.Errorf("the message %q has no %q", run.message(), part)
		}
	}
}

// TestJudgementOfMany: more pods than the status can list are counted by reason.
func TestJudgementOfMany(t *testing.T) {
	pods := make([]*Pod, 50)
	for i := range pods {
		pods[i] = &Pod{Name: "bare"}
	}
	run := NewJudgement(pods, Surroundings{}, &Config{BarePods: BlockBarePods}, noon).Done(noon)
	if len(run.Kept) != api.MaxBlockers || len(run.More) != 1 || run.More[0].Count != 50-api.MaxBlockers || run.More[0].Reason != string(BarePod) {
		t.Errorf("listed are %d, counted %+v", len(run.Kept), run.More)
	}
}

// TestDryRun: a dry run is judged once it is announced, holds no slot, and is
// restored from what the Node says.
func TestDryRun(t *testing.T) {
	s := newScene()
	share, _ := ParseShare("1")
	s.Config.MaxDraining = share
	dry := s.node("a", api.DrainAnnotation, "look", api.DryRunAnnotation, "true", api.PausedAnnotation, "true")
	s.node("b", api.DrainAnnotation, "real")
	s.node("c")
	p := planOf(t, Make(s.Snapshot), "a")
	if p.Phase != api.DryRun || !p.Write || p.Judge || p.Acts() || p.Watch {
		t.Errorf("the first plan is %+v", p)
	}
	s.Memory.Nodes[dry.UID] = p.Memory
	s.report(dry)
	if p = planOf(t, Make(s.Snapshot), "a"); !p.Judge || p.Write {
		t.Error("an announced dry run is not judged")
	}
	if b := planOf(t, Make(s.Snapshot), "b"); b.Phase != api.Draining {
		t.Errorf("the other node is %s: a dry run holds a slot", b.Phase)
	}
	run := NewJudgement([]*Pod{{Name: "bare"}}, Surroundings{}, &s.Config, noon).Done(noon)
	s.Memory.Apply(NodeJudged{Node: dry.UID, Request: "another", DryRun: run})
	if p = planOf(t, Make(s.Snapshot), "a"); !p.Judge {
		t.Error("the verdicts of another request count")
	}
	s.Memory.Apply(NodeJudged{Node: dry.UID, Request: "look", DryRun: run})
	if p = planOf(t, Make(s.Snapshot), "a"); p.Judge || !p.Write || p.Report().Status.Pods.Blocked != 1 {
		t.Errorf("after the verdicts judge is %v, write %v, the pods are %+v", p.Judge, p.Write, p.Report().Status.Pods)
	}
	s.report(dry)
	said := p.Report().Message

	delete(dry.Annotations, api.DryRunAnnotation)
	s.Memory = NewMemory()
	if p = planOf(t, Make(s.Snapshot), "a"); p.Phase != api.DryRun || p.Judge || p.Report().Message != said {
		t.Errorf("another process says %s, %q; judge is %v; want %q", p.Phase, p.Report().Message, p.Judge, said)
	}
	s.Now = noon.Add(time.Hour)
	dry.Annotations[api.DrainAnnotation] = "now"
	delete(dry.Annotations, api.PausedAnnotation)
	if p = planOf(t, Make(s.Snapshot), "a"); p.Phase == api.DryRun || !p.Memory.RequestedAt.Equal(s.Now) {
		t.Errorf("another request is %s, asked at %v", p.Phase, p.Memory.RequestedAt)
	}
}

// TestDryRunCounts: what the API server refuses, drainer holds or nobody answers counts as
// blocked, and only what there is appears in the message.
func TestDryRunCounts(t *testing.T) {
	at := noon
	run := DryRun{Verdicts: api.Verdicts{At: &at, Admitted: 1, Refused: 2, Held: 3, Unanswered: 4}}
	if got, want := run.counts(), (api.PodCounts{Eligible: 1, Blocked: 9}); got != want {
		t.Errorf("the pods are %+v, want %+v", got, want)
	}
	const want = "dry run: 1 of 10 pods could be evicted now, each by itself, 2 refused by the API server, 3 held by drainer's own rules, 4 not answered; to drain"
	if got := run.message(); !strings.HasPrefix(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}
