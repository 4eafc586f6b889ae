package plan

import (
	"fmt"
	"strings"
)

// explanation says, for people, what holds the pod up.
func (s *PodState) explanation() string {
	if s.Spared != "" {
		return s.cause() + "; not deleted: " + s.Spared
	}
	return s.cause()
}

// withFix is the explanation and, where there is one, how to fix it.
func (s *PodState) withFix() string {
	text, fix := s.explanation(), s.Fix()
	if fix == seeMessage || strings.Contains(text, fix) {
		return text
	}
	return text + "; to fix: " + fix
}

func (s *PodState) cause() string {
	if s.State == Terminating {
		return s.ending()
	}
	switch s.Reason {
	case BudgetExhausted, BudgetNeverAllows:
		if len(s.budgets) == 1 {
			return byBudget(s.budgets[0].Budget, s.Reason) + s.nowhereText()
		}
	case BudgetUnsynced:
		if len(s.budgets) == 1 {
			return "by PDB " + s.budgets[0].Key() + ", which the disruption controller has not processed"
		}
	case BudgetSyncFailed:
		if len(s.budgets) == 1 {
			return "by PDB " + s.budgets[0].Key() + ", which cannot be computed: " + s.Message
		}
	case MultipleBudgets:
		return "by PDBs " + budgetNames(s.budgets) + ": the Eviction API refuses a pod under more than one"
	case BarePod, EmptyDirVolume, Pace:
		return "because " + s.Message
	case Evacuating:
		return "because " + evacuationText(s.Message)
	case Throttled:
		return "because the API server throttles evictions"
	case Policy, Completion, Order:
		if s.Rule() != "" {
			return "because " + s.Message
		}
	}
	return "by " + strings.ReplaceAll(string(s.Reason), "_", " ") + ": " + s.Message
}

// evacuationText says, from a webhook's denial, which webhook asks to wait and what it
// says. The webhook usually moves the pod itself, but that is not certain.
func evacuationText(denial string) string {
	webhook := "a webhook"
	quoted, denied := strings.CutPrefix(denial, webhookDeniedText)
	name, rest, _ := strings.Cut(quoted, `"`)
	if denied {
		webhook = "webhook " + name
	}
	text := webhook + " tells drainer to wait (429), usually while it moves the pod itself"
	if _, said, explained := strings.Cut(rest, " denied the request: "); explained {
		text += ": " + said
	}
	return text
}

// ending says why a pod still terminates.
func (s *PodState) ending() string {
	switch s.Reason {
	case GracePeriod:
		return "terminating until " + clock(s.deadline()) + ", by which time the node is gone"
	case Finalizer, NodeUnreachable:
		return "terminating, overdue: " + s.Message
	default:
		return "terminating, overdue: the kubelet has not stopped it"
	}
}

func byBudget(b *Budget, reason Reason) string {
	text := fmt.Sprintf("by PDB %s (needs %d healthy, has %d)", b.Key(), b.DesiredHealthy, b.CurrentHealthy)
	if reason == BudgetNeverAllows {
		text += ", which never allows a disruption"
	}
	return text
}

func budgetNames(budgets []*budgetWork) string {
	names := make([]string, 0, len(budgets))
	for _, b := range budgets {
		names = append(names, b.Key())
	}
	return strings.Join(names, ", ")
}
