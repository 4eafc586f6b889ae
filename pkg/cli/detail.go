package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// detail is all that a node says about its request. A width of 0 is no limit.
func detail(r *row, node *corev1.Node, now time.Time, width int) []string {
	var lines []string
	field := func(name, value string) {
		if value != "" {
			lines = append(lines, fit(fmt.Sprintf("%-10s %s", name+":", value), width))
		}
	}
	field("Node", r.Node)
	field("Pool", r.pool())
	field("Request", r.Request)
	field("Phase", r.phase())
	field("Settings", strings.Join(shortSettings(node), " "))
	if s := r.Status; s != nil {
		field("Asked by", s.RequestedBy)
		field("Because", s.RequestReason)
		field("Asked", ago(s.RequestedAt, now))
		field("Started", ago(s.StartedAt, now))
		field("Finished", ago(s.FinishedAt, now))
		field("Idle", span(s.IdleSince, now))
		field("Deadline", deadlineText(s.Deadline, now))
		field("Pods", r.pods())
		field("Volumes", r.volumes(now))
		field("ETA", r.longETA(now))
	}
	lines = append(lines, wrap(cmp.Or(r.message(), "-"), "  ", width)...)
	if r.Status != nil {
		lines = append(lines, blockers(r.Status, now, width)...)
	}
	return lines
}

func shortSettings(node *corev1.Node) []string {
	var list []string
	for _, one := range settingsOf(node) {
		list = append(list, strings.TrimPrefix(one, api.Prefix))
	}
	return list
}

func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return age(t, now) + " ago"
}

func span(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return strings.TrimSpace(lasting(*t, now))
}

// lasting says how long something has lasted, to be added to what it is; empty if it has
// just begun.
func lasting(since, now time.Time) string {
	if now.Sub(since) < time.Second {
		return ""
	}
	return " for " + age(&since, now)
}

// deadlineText says when the node disappears, and what that means for its pods; empty
// if it does not.
func deadlineText(d *api.Deadline, now time.Time) string {
	if d == nil {
		return ""
	}
	text := d.At.UTC().Format(time.RFC3339)
	if left := d.At.Sub(now); left > 0 {
		text += ", in " + duration.HumanDuration(left)
	} else {
		text += ", " + ago(&d.At, now)
	}
	if d.ToDelete > 0 {
		text += fmt.Sprintf("; to be deleted by then: %d", d.ToDelete)
	}
	if d.AtRisk > 0 {
		text += fmt.Sprintf("; lost unless gone by then: %d", d.AtRisk)
	}
	return text
}

// pods counts the pods by state.
func (r *row) pods() string {
	if _, _, known := r.counts(); !known {
		return ""
	}
	p := r.Status.Pods
	text := fmt.Sprintf("%s %s gone, %d terminating, %d eligible, %d blocked; %d ignored", r.bar(), r.gone(), p.Terminating, p.Eligible, p.Blocked, p.Ignored)
	if p.Unconfirmed > 0 {
		text += fmt.Sprintf("; %d unconfirmed", p.Unconfirmed)
	}
	return text
}

// volumes says how many volumes are still attached, and since when the drain waits
// for them.
func (r *row) volumes(now time.Time) string {
	v := r.Status.Volumes
	switch {
	case v == nil:
		return ""
	case v.Attached == 0:
		return "not known" + lasting(v.Since, now)
	default:
		return fmt.Sprintf("%d still attached%s", v.Attached, lasting(v.Since, now))
	}
}

// fixOf is how to let a pod leave: in drainer's own words, which know more of the
// pod, if they are there.
func fixOf(s *api.Status, b *api.Blocker) string {
	for i := range s.CannotFinish {
		if o := &s.CannotFinish[i]; o.Pod == b.Pod && o.Reason == b.Reason {
			return o.Fix
		}
	}
	return simulate.Fix(plan.Reason(b.Reason), b.Budget, b.Rule)
}

// blockers are the pods that hold a node up: since when, why, and how to fix it.
// What follows from a budget is said once for all its pods.
func blockers(s *api.Status, now time.Time, width int) []string {
	var lines []string
	fix := ""
	if len(s.Blockers) > 0 {
		lines = append(lines, "", "Held up by:")
	}
	for i := range s.Blockers {
		b := &s.Blockers[i]
		risk := ""
		if b.AtRisk {
			risk = ", lost at the deadline"
		}
		lines = append(lines, fit(fmt.Sprintf("  %s: %s (%s)%s", b.Pod, b.State+lasting(b.Since, now), b.Reason, risk), width))
		if i == 0 || !sameCause(&s.Blockers[i-1], b) {
			fix = fixOf(s, b)
		}
		last := i == len(s.Blockers)-1
		if !last && sameCause(b, &s.Blockers[i+1]) {
			continue
		}
		if b.Message != "" {
			lines = append(lines, wrap("Why: "+b.Message, "    ", width)...)
		}
		lines = append(lines, wrap("Fix: "+fix, "    ", width)...)
	}
	for _, m := range s.MoreBlockers {
		lines = append(lines, fit(fmt.Sprintf("  and %d more (%s)", m.Count, m.Reason), width))
	}
	for _, d := range s.Deletions {
		lines = append(lines, fit(fmt.Sprintf("  %d deleted past %s", d.Count, d.Budget), width))
	}
	for _, w := range s.Warnings {
		lines = append(lines, wrap("Warning: "+w, "  ", width)...)
	}
	return lines
}

// otherPods are the pods that have still to leave and that the status does not list, by
// namespace and name. A rule of the configuration may let some of them stay.
func otherPods(s *api.Status, pods []corev1.Pod, now time.Time, width int) []string {
	state := string(plan.Eligible)
	if len(s.MoreBlockers) > 0 {
		state += " or " + string(api.BlockedState)
	}
	var lines []string
	for i := range pods {
		pod := plan.PodOf(&pods[i])
		if pod.OfDaemonSet() || pod.Static || blockerOf(s, pod.Key()) != nil {
			continue
		}
		is := state
		if at := pods[i].DeletionTimestamp; at != nil {
			is = "terminating; " + terminating(at.Time, pods[i].Finalizers, now)
		}
		lines = append(lines, fit(fmt.Sprintf("  %s: %s", pod.Key(), is), width))
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	head := []string{"", "Other pods on the node; kubectl drainer why NAMESPACE/POD says more of one:"}
	return append(head, lines...)
}

// sameCause is true for two pods that the same thing holds up.
func sameCause(a, b *api.Blocker) bool {
	return a.State == b.State && a.Reason == b.Reason && a.Budget == b.Budget && a.Message == b.Message
}
