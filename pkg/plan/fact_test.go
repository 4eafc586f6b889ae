package plan

import (
	"testing"
	"time"
)

// TestLookups: how often a pod is looked up before it may be sent again,
// depending on the answer to its eviction: the API server may continue with a
// request that it did not answer.
func TestLookups(t *testing.T) {
	for reason, want := range map[Reason]int{
		Unknown: 3, ServerError: 1, Gone: 1,
		Webhook: 0, Evacuating: 0, BudgetExhausted: 0, Throttled: 0, Forbidden: 0, Contention: 0, Invalid: 0,
	} {
		pod := &Pod{}
		p, _ := PodMemory{}.answered(Answered{Grant: Grant{Pod: pod}, Outcome: Outcome{Reason: reason}, At: noon})
		lookups, at := 0, noon
		for lookups < 10 && !p.Tries().LookupAt.IsZero() {
			at = latest(at, p.Tries().LookupAt)
			p, _ = p.lookedUp(pod, LookedUp{At: at})
			lookups++
		}
		if lookups != want || at.Sub(noon) != time.Duration(max(0, want-1))*lookupInterval {
			t.Errorf("%s: looked up %d times in %v, want %d times, every %v", reason, lookups, at.Sub(noon), want, lookupInterval)
		}
		if tries := p.Tries(); tries.Uncertain || want > 0 && !tries.RetryAt.After(at) {
			t.Errorf("%s: after that it is uncertain: %v, sent again at %v", reason, tries.Uncertain, tries.RetryAt)
		}
	}
}

// TestRefusals: each refusal in a row doubles the wait for the next try;
// throttling, which is not the pod's fault, does not.
func TestRefusals(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		answers []Reason
		waits   []time.Duration
	}{
		"by a webhook": {[]Reason{Webhook, Webhook, Webhook}, []time.Duration{1000 * ms, 2000 * ms, 4000 * ms}},
		"while it moves": {
			[]Reason{Evacuating, Evacuating, Evacuating, Evacuating, Evacuating, Evacuating},
			[]time.Duration{5000 * ms, 10000 * ms, 20000 * ms, 40000 * ms, time.Minute, time.Minute},
		},
		"by a budget":          {[]Reason{BudgetExhausted, BudgetExhausted, BudgetExhausted}, []time.Duration{200 * ms, 400 * ms, 800 * ms}},
		"throttled in between": {[]Reason{Webhook, Throttled, Webhook}, []time.Duration{1000 * ms, 0, 2000 * ms}},
	} {
		var p PodMemory
		for i, reason := range test.answers {
			p, _ = p.answered(Answered{Grant: Grant{Pod: &Pod{}}, Outcome: Outcome{Reason: reason}, At: noon})
			if got := p.Tries().RetryAt.Sub(noon); got != test.waits[i] {
				t.Errorf("%s: refusal %d makes it wait %v, want %v", name, i+1, got, test.waits[i])
			}
		}
	}
}

// TestDeletionRefused: a webhook that refuses a deletion does not move the pod, which
// waits as for any other refusal.
func TestDeletionRefused(t *testing.T) {
	f := Answered{Grant: Grant{Pod: &Pod{}, Deletion: &PodDeleted{}}, Outcome: Outcome{Reason: Evacuating, RetryAfter: 2 * time.Second}, At: noon}
	p, _ := PodMemory{}.answered(f)
	if tries := p.Tries(); tries.Outcome.Reason != Webhook || !tries.RetryAt.Equal(noon.Add(2*time.Second)) {
		t.Errorf("it waits for %s until %v, want %s and as long as the webhook asks", tries.Outcome.Reason, tries.RetryAt, Webhook)
	}
}

// TestRefusedSays: what says that the API server refused a deletion does not say so of an
// eviction.
func TestRefusedSays(t *testing.T) {
	for _, deletion := range []*PodDeleted{nil, {}} {
		_, events := PodMemory{}.answered(Answered{Grant: Grant{Pod: &Pod{}, Deletion: deletion}, Outcome: Outcome{Reason: Webhook}, At: noon})
		if len(events) != 1 || events[0].(EvictionNotAdmitted).Deletion != (deletion != nil) {
			t.Errorf("the refusal of a deletion (%v) leads to %+v", deletion != nil, events)
		}
	}
}

// TestRefusedBudgets: only the answer that they are too many counts for a set of
// budgets.
func TestRefusedBudgets(t *testing.T) {
	for reason, want := range map[Reason]string{MultipleBudgets: "a b ", Webhook: "", BudgetExhausted: ""} {
		p, _ := PodMemory{}.answered(Answered{Grant: Grant{Pod: &Pod{}, Budgets: "a b "}, Outcome: Outcome{Reason: reason}, At: noon})
		if got := p.Tries().RefusedBudgets; got != want {
			t.Errorf("%s: refused for the budgets %q, want %q", reason, got, want)
		}
	}
}

// TestNotEvicted: a pod that is still there at the last lookup was refused for
// the reason that is known, or by the server that promised otherwise.
func TestNotEvicted(t *testing.T) {
	for before, want := range map[Reason]Reason{"": ServerError, Gone: ServerError, Unknown: Unknown} {
		p := PodMemory{}.with(Tries{AdmittedAt: noon, Outcome: Outcome{Reason: before}, LookupsLeft: 1})
		p, events := p.lookedUp(&Pod{}, LookedUp{At: noon})
		tries := p.Tries()
		if tries.Outcome.Reason != want || tries.Refusals != 1 || !tries.RetryAt.Equal(noon.Add(errorBackoff)) || len(events) != 1 {
			t.Errorf("after %q: refused %d times, by %q, until %v, with %d events; want once, by %q, for %v", before, tries.Refusals, tries.Outcome.Reason, tries.RetryAt, len(events), want, errorBackoff)
		}
	}
}

// TestReturnsBeforeTheAnswer: a pod that takes the place of an evicted one comes
// back, also if it is seen before the answer to that one's eviction is.
func TestReturnsBeforeTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		seen time.Time
		want bool
	}{
		"before the eviction was sent": {noon, false},
		"while it was under way":       {noon.Add(time.Second), true},
		"after it":                     {noon.Add(3 * time.Second), true},
	} {
		node := &Node{Name: "n", UID: "n"}
		first := &Pod{UID: "a", Node: "n", Controller: Owner{UID: "rs"}}
		m := NewMemory()
		m.Nodes["n"] = NodeMemory{Node: node}
		m.Pods["a"] = &Entry{Pod: first, Memory: PodMemory{FirstSeen: noon, Late: true}}
		m.Apply(Answered{
			Grant: Grant{Pod: first}, Outcome: Outcome{Reason: Admitted}, At: noon.Add(2500 * time.Millisecond), Took: 2 * time.Second,
		})
		p := newPlanner(&Snapshot{Now: noon.Add(4 * time.Second)})
		second := &Pod{UID: "b", Node: "n", Controller: first.Controller}
		until, back := p.returning(&nodeWork{node: node, memory: m.Nodes["n"]}, second, &PodMemory{FirstSeen: test.seen, Late: true})
		if back != test.want || back && until.Before(noon.Add(12500*time.Millisecond)) {
			t.Errorf("seen %s: comes back: %v until %v, want %v", name, back, until, test.want)
		}
	}
}
