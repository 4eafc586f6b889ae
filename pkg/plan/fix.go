package plan

import (
	"fmt"
	"strings"

	"drainer.dev/drainer/pkg/api"
)

// seeMessage is the fix where the explanation says what to do, or where there is
// nothing to do but wait.
const seeMessage = "see the message"

// Fix says, for people, how to let the pod leave.
func (s *PodState) Fix() string {
	fix := Fix(s.Reason, budgetNames(s.budgets), s.Rule())
	switch {
	case s.nowhere != nil:
		fix = s.nowhere.fix()
	case s.rule != nil && s.rule.unseen != "":
		fix = s.rule.unseen
	case strings.HasPrefix(s.Rule(), api.Prefix):
		fix = fmt.Sprintf("correct or remove the annotation %s of the pod, or what it waits for", s.Rule())
	}
	if s.leavesUnready() {
		fix += ", or set unhealthyPodEvictionPolicy: AlwaysAllow in the PDB, because the pod itself is not Ready"
	}
	return fix
}

// leavesUnready is true for a pod that its budget would let go if it always allowed
// pods to leave that are not Ready.
func (s *PodState) leavesUnready() bool {
	switch s.Reason {
	case BudgetExhausted, BudgetNeverAllows, BudgetSyncFailed:
		return !s.Pod.Ready && len(s.budgets) == 1 && !s.budgets[0].AlwaysAllow
	default:
		return false
	}
}

// Fix says how to let a pod leave that is still there for the reason. Budgets are
// the names of those that select it, separated by commas; the rule is the name of
// the one that holds it up, if one does.
func Fix(reason Reason, budgets, rule string) string {
	switch reason {
	case BudgetNeverAllows:
		return fmt.Sprintf("let PDB %s allow a disruption while all its pods are healthy (raise maxUnavailable or lower minAvailable), or add replicas",
			budgets)
	case BudgetExhausted:
		return fmt.Sprintf("make the pods under PDB %s Ready, or add replicas", budgets)
	case MultipleBudgets:
		return fmt.Sprintf("change the selectors so that only one of the PDBs %s selects the pod", budgets)
	case BudgetSyncFailed:
		return fmt.Sprintf("correct PDB %s: the disruption controller cannot compute it", budgets)
	case BudgetUnsynced:
		return fmt.Sprintf("look at kube-controller-manager if this lasts: its disruption controller has not processed PDB %s yet", budgets)
	case Evacuating:
		return "ask the owner of the webhook why the pod does not move; for a KubeVirt virtual machine, look at its VirtualMachineInstanceMigration"
	case BarePod:
		return "delete the pod yourself, or use --bare-pods=Evict"
	case EmptyDirVolume:
		return "delete the pod yourself, or use --empty-dir=Evict"
	case Policy, Completion, Order:
		if rule != "" {
			return fmt.Sprintf("change rule %s of the configuration file, or remove what it waits for", rule)
		}
		return seeMessage
	case Finalizer:
		return "let the controller of the pod's finalizers remove them"
	case Kubelet:
		return "make the kubelet of the node Ready, or delete the Node if the machine is gone"
	case NodeUnreachable:
		return "once you are certain that its machine is off, delete the Node or add the taint node.kubernetes.io/out-of-service"
	case Returning:
		return "keep the pod's controller from placing pods on a cordoned node, for example by changing its tolerations"
	default:
		return seeMessage
	}
}
