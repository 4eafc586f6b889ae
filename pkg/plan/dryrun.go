package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// DryRun is the result of a dry run for the pods of a node. It does not change
// once made.
type DryRun struct {
	Verdicts api.Verdicts
	// Kept are the pods that would not leave now, at most api.MaxBlockers, and
	// More counts the others by reason.
	Kept []api.Blocker
	More []api.MoreBlockers
}

// NodeJudged: the pods of a node have their verdicts.
type NodeJudged struct {
	Node    types.UID
	Request string
	DryRun  DryRun
}

func (NodeJudged) fact() {}

// Judgement is a dry run under way.
type Judgement struct {
	// Ask are the pods that the API server has to be asked about.
	Ask []*Pod
	run DryRun
	at  time.Time
	// answered counts those of Ask that have their verdict.
	answered int
}

// NewJudgement judges a node's pods by drainer's own rules, at the time. Their
// order does not matter: each verdict stands alone.
func NewJudgement(pods []*Pod, around Surroundings, config *Config, at time.Time) *Judgement {
	j := &Judgement{at: at}
	for _, pod := range pods {
		if !config.IsTarget(pod, around) {
			j.run.Verdicts.Ignored++
			continue
		}
		if reason, message, _ := config.ruleOf(pod, around).holds(pod, at, at); reason != "" {
			j.run.Verdicts.Held++
			j.keep(pod, reason, "held: "+message)
			continue
		}
		j.Ask = append(j.Ask, pod)
	}
	return j
}

// Answer records what the API server said about the next pod of Ask.
func (j *Judgement) Answer(o Outcome) {
	pod := j.Ask[j.answered]
	j.answered++
	switch {
	case o.Reason == Admitted, o.Reason == Gone:
		j.run.Verdicts.Admitted++
	case o.Reason.Uncertain(), o.Reason == Throttled:
		j.run.Verdicts.Unanswered++
		j.keep(pod, o.Reason, "not answered: "+o.Message)
	default:
		j.run.Verdicts.Refused++
		j.keep(pod, o.Reason, "refused: "+o.Message)
	}
}

// Done is the result; pods that were not asked about count as unanswered.
func (j *Judgement) Done(at time.Time) DryRun {
	for _, pod := range j.Ask[j.answered:] {
		j.run.Verdicts.Unanswered++
		j.keep(pod, Unknown, "not checked: the other pods took too long")
	}
	j.answered = len(j.Ask)
	j.run.Verdicts.At = &at
	return j.run
}

func (j *Judgement) keep(pod *Pod, reason Reason, message string) {
	if len(j.run.Kept) < api.MaxBlockers {
		j.run.Kept = append(j.run.Kept, api.Blocker{
			Pod: pod.Key(), State: api.BlockedState, Reason: string(reason), Message: cut(message, mostWords), Since: j.at,
		})
		return
	}
	i := slices.IndexFunc(j.run.More, func(m api.MoreBlockers) bool { return m.Reason == string(reason) })
	if i < 0 {
		i = len(j.run.More)
		j.run.More = append(j.run.More, api.MoreBlockers{Reason: string(reason), Since: j.at})
	}
	j.run.More[i].Count++
	slices.SortFunc(j.run.More, func(a, b api.MoreBlockers) int { return strings.Compare(a.Reason, b.Reason) })
}

// errDryRunOfDrain: what is asked of a node that is being drained cannot become
// a dry run.
var errDryRunOfDrain = errors.New(api.DryRunAnnotation + `="true" came after the drain had begun: remove it to continue the drain, or remove ` + api.DrainAnnotation + `, and ask for a dry run once the node is released`)

// followDryRun notes that the request is a dry run. It stays one until its ID
// changes: removing the annotation must not turn the dry run into a drain.
func (n *nodeWork) followDryRun() {
	switch {
	case !n.request.DryRun || n.memory.DryRun != nil:
	case n.memory.started():
		n.invalid = errDryRunOfDrain
	default:
		n.memory.DryRun = &DryRun{}
	}
}

// judged is n after its pods got their verdicts.
func (n NodeMemory) judged(f NodeJudged) NodeMemory {
	if n.Request == f.Request && n.DryRun != nil {
		n.DryRun = &f.DryRun
	}
	return n
}

// awaitsVerdicts is true for a dry run whose pods have to be judged.
func (n *nodeWork) awaitsVerdicts() bool {
	return n.memory.DryRun != nil && n.invalid == nil && n.memory.DryRun.Verdicts.At == nil
}

// counts are the pods as the status counts them.
func (d *DryRun) counts() api.PodCounts {
	v := d.Verdicts
	return api.PodCounts{Eligible: v.Admitted, Blocked: v.Refused + v.Held + v.Unanswered, Ignored: v.Ignored}
}

// message says, for people, what would happen to the pods.
func (d *DryRun) message() string {
	v := d.Verdicts
	if v.At == nil {
		return "dry run: asking the API server about each pod; nothing is cordoned or evicted"
	}
	all := v.Admitted + v.Refused + v.Held + v.Unanswered
	text := fmt.Sprintf("dry run: %d of %d pods could be evicted now, each by itself", v.Admitted, all)
	for _, part := range []struct {
		count int
		text  string
	}{{v.Refused, "refused by the API server"}, {v.Held, "held by drainer's own rules"}, {v.Unanswered, "not answered"}, {v.Ignored, "ignored"}} {
		if part.count > 0 {
			text += fmt.Sprintf(", %d %s", part.count, part.text)
		}
	}
	for i, b := range d.Kept {
		if i == mostGroups {
			text += fmt.Sprintf("; and %d more pods", all-v.Admitted-mostGroups)
			break
		}
		text += "; " + cut(b.Pod+" "+b.Message, mostWords)
	}
	return text + "; to drain the node, set " + api.DrainAnnotation + " to another ID and remove " + api.DryRunAnnotation
}
