package plan

import (
	"fmt"
	"strings"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// Bounds of a message for people.
const (
	mostGroups  = 4
	mostWords   = 240
	mostMessage = 2000
	// MostNote is how long a note of an event may be, in bytes.
	MostNote = 1024
)

// words is what a report is made of besides its facts and pods. It is plain
// data: most reports are never written, so their words are found when they are.
type words struct {
	now time.Time
	// fixed is the whole message of a phase that no pod explains.
	fixed string
	// idle is how long a drain that no longer holds its slot has made no progress;
	// 0 for one that holds its slot.
	idle time.Duration
	// stopped is true for a drain that has given up, released if it has also
	// released the node.
	stopped, released bool
	// halted is what stops the node besides its request, control what stops all.
	halted, control string
	// deletes is true for a drain that deletes what budgets hold; mayDelete is true if
	// any may.
	deletes, mayDelete bool
	// expired is a deadline that no longer counts; zero if there is none.
	expired time.Time
	// held says who prevents the release of a node that has to be released; empty if nobody does.
	held string
	// conflict says which conditions others own; empty if none.
	conflict string
	// trouble is why the node cannot be written to.
	trouble string
	// cordoned, uncordoned and listed say how far the node is.
	cordoned, uncordoned, listed bool
	// ignored are the pods with annotations that do not count.
	ignored  []*Pod
	unasked  unasked
	unscaled unscaled
	// unprotected are the workloads to name that no budget protects.
	unprotected []unprotected
	together    string
}

func (p *planner) wordsOf(n *nodeWork) words {
	w := words{
		now: p.Now, fixed: n.detail, stopped: n.stopped(p.onTimeout(n)), released: n.memory.released(), deletes: p.mayDelete(n) && p.overdueDeletes(n), trouble: n.memory.Trouble,
		halted: n.halted, control: p.Control.text(),
		cordoned: n.cordoned(), uncordoned: n.memory.Uncordons > 0, listed: n.listed, ignored: n.ignoredAnnotations, unasked: n.unasked, unscaled: n.unscaled, unprotected: n.unprotected,
	}
	if holds := api.HoldsOf(n.node.Annotations); w.released && n.node.OwnCordon && len(holds) > 0 {
		w.held = heldText(holds)
	}
	w.together = n.together.text()
	w.conflict, w.mayDelete = n.memory.Conflict, p.Config.AllowDelete
	if n.expired && n.memory.FinishedAt.IsZero() {
		w.expired = n.request.Deadline
	}
	if since := n.memory.noProgressSince(); n.yields && !since.IsZero() {
		w.idle = p.Now.Sub(since)
	}
	switch {
	case n.invalid != nil:
		w.fixed = n.invalid.Error()
	case n.memory.DryRun != nil:
		w.fixed = n.memory.DryRun.message()
	case n.cordoned() && !n.memory.started():
		w.fixed += "; the node is still cordoned from an earlier request"
	}
	return w
}

// Report is what the node is to say, in full.
func (n *NodePlan) Report() Report {
	r := n.report()
	if claims := claimsOf(n.Request); claims != "" {
		claims = "; " + claims
		r.Message = cut(r.Message, mostMessage-len(claims)) + claims
	}
	return r
}

// report is what the node is to say, without what the request claims.
func (n *NodePlan) report() Report {
	r := n.Facts
	worst := blockers(n.Pods, n.words.now)
	r.Status.Blockers, r.Status.MoreBlockers = worst.listed(), worst.more()
	r.Status.Reason = worst.reason()
	n.sayVolumes(&r.Status)
	if run := n.Memory.DryRun; run != nil {
		r.Status.Blockers, r.Status.MoreBlockers = run.Kept, run.More
	}
	r.Status.Warnings = n.words.warnings()
	r.Status.CannotFinish = n.obstacles(&worst)
	text := n.words.message(n.Phase, &r.Status, &worst)
	if deadline := n.words.deadlineText(r.Status.Deadline); deadline != "" && n.Phase != api.Drained {
		text = deadline + "; " + text
	}
	if n.words.control != "" && n.Phase != api.Paused {
		text += "; " + n.words.control
	}
	if n.Phase == api.Queued && r.Unfinishable {
		text += "; " + obstaclesText(r.Status.CannotFinish)
	}
	for _, warning := range r.Status.Warnings {
		text += "; " + warning
	}
	r.Message = cut(text, mostMessage)
	return r
}

// warnings say what somebody should look at although nothing waits for it.
func (w *words) warnings() []string {
	var list []string
	if len(w.ignored) > 0 {
		list = append(list, cut(ignoredText(w.ignored[0], len(w.ignored)-1), mostWords))
	}
	for _, text := range []string{w.unasked.text(), w.unscaled.text(), w.conflict} {
		if text != "" {
			list = append(list, cut(text, mostWords))
		}
	}
	if w.together != "" {
		list = append(list, cut(w.together, 2*mostWords))
	}
	if !w.expired.IsZero() {
		list = append(list, expiredText(w.expired))
	}
	return append(list, unprotectedTexts(w.unprotected)...)
}

func ignoredText(pod *Pod, more int) string {
	text := fmt.Sprintf("ignored the annotation %s of pod %s", strings.Join(pod.Instructions, ", "), pod.Key())
	if more > 0 {
		text += fmt.Sprintf(" (and those of %d more)", more)
	}
	return text + ": annotations of pods do not count in namespaces that are not declared trusted"
}

// message is the sentence for people.
func (w *words) message(phase api.Phase, status *api.Status, worst *blockage) string {
	switch {
	case phase == api.Drained:
		return drainedMessage(status)
	case phase == api.InvalidRequest, phase == api.Queued, w.fixed != "":
		return w.fixed
	default:
		return w.progress(phase, status, worst)
	}
}

func drainedMessage(s *api.Status) string {
	text := fmt.Sprintf("all %d pods gone, %d ignored", s.Pods.Gone, s.Pods.Ignored)
	if s.Pods.Unconfirmed > 0 {
		text = fmt.Sprintf("%d of %d pods gone, %d ignored, %s", s.Pods.Gone, s.Pods.Gone+s.Pods.Present(), s.Pods.Ignored, unconfirmedText(s.Pods.Unconfirmed))
	}
	if deleted := deletionsText(s.Deletions); deleted != "" {
		text += "; " + deleted
	}
	if s.Volumes != nil {
		text += "; " + unawaitedText(s.Volumes)
	}
	return text
}

func (w *words) progress(phase api.Phase, status *api.Status, worst *blockage) string {
	parts := w.standing(phase)
	if w.idle > 0 {
		parts = append(parts, "no progress for "+about(w.idle)+": other nodes may begin in the meantime, and this one continues when it can")
	}
	if text := w.nodeText(); text != "" {
		parts = append(parts, text)
	}
	if w.listed {
		parts = append(parts, counted(status))
	}
	if v := status.Volumes; v != nil {
		parts = append(parts, v.Message)
		if long := lasting(w.now.Sub(v.Since)); long != "" {
			parts = append(parts, long+" so far")
		}
	}
	if deleted := deletionsText(status.Deletions); deleted != "" {
		parts = append(parts, deleted)
	}
	return strings.Join(append(parts, worst.described(w.now)...), "; ")
}

// standing says how the drain differs from one that is under way; nothing if it does not.
func (w *words) standing(phase api.Phase) []string {
	switch {
	case phase == api.TimedOut && w.held != "":
		return []string{"timed out; the node stays cordoned: " + w.held}
	case phase == api.TimedOut && w.released:
		return []string{"timed out and released: the node takes new pods again, and is drained again only for another request ID"}
	case phase == api.TimedOut && w.stopped:
		return []string{"timed out and stopped: no further pod is evicted, the node stays cordoned"}
	case phase == api.TimedOut && w.deletes:
		return []string{"timed out, deleting pods past the budgets that hold them"}
	case phase == api.TimedOut:
		return []string{"timed out, continuing"}
	case phase == api.Paused && w.halted != "":
		return []string{w.halted, w.suspended()}
	case phase == api.Paused:
		return []string{"paused: no pod is evicted, the node stays cordoned"}
	}
	return nil
}

// nodeText says what has still to happen at the node before its pods are evicted, or
// why nothing more can; empty if there is nothing to say.
func (w *words) nodeText() string {
	switch {
	case w.trouble != "":
		return "cannot continue: " + w.trouble
	case w.released:
		return ""
	case !w.cordoned && w.uncordoned:
		return "somebody uncordoned the node: no pod is evicted until it is cordoned again"
	case !w.cordoned && w.halted != "":
		return "" // standing has said it.
	case !w.cordoned:
		return "cordoning"
	case !w.listed:
		return "reading the node's pods (if this takes long, see the log)"
	}
	return ""
}

// suspended is what is not done while the node is halted.
func (w *words) suspended() string {
	if w.cordoned {
		return "no pod is evicted, the node stays cordoned"
	}
	return "no pod is evicted, the node is not cordoned during that time"
}

// Cut bounds text to most bytes, whole characters.
func Cut(text string, most int) string { return cut(text, most) }

// cut bounds text to most bytes, whole characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// lasting says for how long something has lasted, and nothing before it is 10 s:
// that is no news.
func lasting(d time.Duration) string {
	if d < 10*time.Second {
		return ""
	}
	return "for " + about(d)
}

// about rounds a duration so that a message does not change at every look.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Truncate(10 * time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60/10*10)
	}
}
