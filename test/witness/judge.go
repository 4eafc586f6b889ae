package witness

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/invariant"
)

// Process is one process of drainer.
type Process struct {
	Name string
	// Credential is the ID of the token that it, and no other, uses.
	Credential string
	Rules      invariant.Rules
	// Counted is what it counted by code until its end; nil if that is unknown.
	Counted map[string]int
}

// Record is what happened.
type Record struct {
	// Changes are in order of their versions.
	Changes []Change
	// Requests are what was asked of the API server: at least all evictions and
	// lists of pods by drainer and all writes to nodes.
	Requests []cluster.AuditEvent
}

// Verdict is the result of a judgement.
type Verdict struct {
	// Evictions and Changes count what was looked at.
	Evictions, Changes int
	Violations         []invariant.Violation
}

// Judge judges every process of drainer by the record.
func (r *Record) Judge(processes []Process) (Verdict, error) {
	v := Verdict{Changes: len(r.Changes)}
	said := map[string]bool{}
	for _, p := range processes {
		t := newTrial(r, p)
		if err := t.run(); err != nil {
			return v, err
		}
		v.Evictions += t.evictions
		for _, violation := range t.violations() {
			violation.Text = p.Name + ": " + violation.Text
			// What the nodes themselves show is found for each process again.
			if key := fmt.Sprint(violation.Invariant, violation.At, violation.Text[len(p.Name):]); !said[key] {
				said[key] = true
				v.Violations = append(v.Violations, violation)
			}
		}
	}
	return v, nil
}

// trial is the judgement on one process.
type trial struct {
	*Record
	Process
	checker   *invariant.Checker
	evictions int
	// writes are the audited requests that made the changes, by version.
	writes map[uint64]*cluster.AuditEvent
	// at lists what happens before each change, and after the last one.
	at [][]func()
	// acquitted are the violations that do not count, by their number.
	acquitted map[int]bool
}

func newTrial(r *Record, p Process) *trial {
	t := &trial{
		Record: r, Process: p, checker: invariant.New(p.Rules), writes: map[uint64]*cluster.AuditEvent{},
		at: make([][]func(), len(r.Changes)+1), acquitted: map[int]bool{},
	}
	for i := range r.Requests {
		q := &r.Requests[i]
		version, wrote := writtenVersion(q)
		if first := t.writes[version]; wrote && (first == nil || q.Received.Before(first.Received)) {
			t.writes[version] = q
		}
	}
	return t
}

// run lets everything happen before the checker, in order.
func (t *trial) run() error {
	t.checker.Started()
	answers := map[string]int{}
	for i := range t.Requests {
		q := &t.Requests[i]
		switch node, lists := listedNode(q); {
		case q.Credential() != t.Credential:
		case q.Eviction():
			answers[strconv.Itoa(int(q.ResponseStatus.Code))]++
			if err := t.summon(q); err != nil {
				return err
			}
		case q.Deletion() && !q.Forbidden():
			if err := t.summon(q); err != nil {
				return err
			}
		case lists:
			at := t.first(q.Received)
			t.at[at] = append(t.at[at], func() { t.checker.Listed(q.Received, node) })
		}
	}
	for i := range t.Changes {
		t.happen(i)
		t.show(&t.Changes[i])
	}
	t.happen(len(t.Changes))
	t.compare(answers)
	return nil
}

func (t *trial) happen(i int) {
	for _, do := range t.at[i] {
		do()
	}
}

// summon places an eviction, or a deletion, wherever it may have come in. One place without a
// violation acquits; otherwise the first place speaks.
func (t *trial) summon(q *cluster.AuditEvent) error {
	t.evictions++
	e, err := evictionOf(q)
	if err != nil {
		return err
	}
	first := t.first(q.Received)
	if e.UID == "" {
		e.UID = t.uidOf(e.Pod, first)
	}
	last := t.last(first, q.Received)
	admitted := q.ResponseStatus.Code/100 == 2
	effect, known := t.effect(first, e.UID)
	if known = known && admitted; known {
		last = min(last, effect)
	} else {
		effect = first
	}
	var found []int
	innocent, spoken := false, 0
	for i := first; i <= max(first, last); i++ {
		t.at[i] = append(t.at[i], func() {
			before := len(t.checker.Violations())
			t.checker.Received(q.Received, e)
			after := len(t.checker.Violations())
			innocent = innocent || before == after
			if i == first {
				spoken = after
			}
			for v := before; v < after; v++ {
				found = append(found, v)
			}
			for _, v := range found {
				t.acquitted[v] = innocent || v >= spoken
			}
		})
	}
	t.at[effect] = append(t.at[effect], func() { t.checker.Handled(q.Done, e, int(q.ResponseStatus.Code)) })
	return nil
}

// show shows a change to the checker.
func (t *trial) show(c *Change) {
	at, by := c.Seen, invariant.Others
	if q := t.writes[c.Version]; q != nil {
		at = q.Done
		switch {
		case q.Credential() == t.Credential:
			by = invariant.Daemon
		case t.isDrainer(q):
			by = invariant.Late
		}
	}
	switch o := c.Object.(type) {
	case *corev1.Node:
		t.checker.Node(at, o, c.Deleted, by)
	case *corev1.Pod:
		t.checker.Pod(at, o, c.Deleted)
	case *policyv1.PodDisruptionBudget:
		t.checker.Budget(o, c.Deleted)
	case *appsv1.DaemonSet:
		t.checker.DaemonSet(at, o.UID, !c.Deleted)
	}
}

// isDrainer is true for what another process of drainer asked for.
func (t *trial) isDrainer(q *cluster.AuditEvent) bool {
	return strings.HasSuffix(q.User.Username, ":drainer") && strings.HasPrefix(q.User.Username, "system:serviceaccount:")
}

// compare compares what the process counted with the answers in the audit log.
// The API server may have answered a request for whose answer drainer did not
// wait, or whose answer did not arrive: that counts as an error. So does a
// request that the API server never received. Only the
// process knows how many requests were rejected because of their token.
func (t *trial) compare(answers map[string]int) {
	if t.Counted == nil {
		return
	}
	unanswered := t.Counted["error"]
	for code, n := range answers {
		surplus := min(max(0, n-t.Counted[code]), unanswered)
		unanswered -= surplus
		answers[code] -= surplus
	}
	answers["error"], answers[unauthorized] = t.Counted["error"], t.Counted[unauthorized]
	for _, code := range slices.Sorted(maps.Keys(answers)) {
		for range answers[code] {
			t.checker.Answered(code)
		}
	}
	t.checker.Counted(time.Now(), t.Counted)
}

// violations are those that count.
func (t *trial) violations() []invariant.Violation {
	var list []invariant.Violation
	for i, v := range t.checker.Violations() {
		if !t.acquitted[i] {
			list = append(list, v)
		}
	}
	return list
}
