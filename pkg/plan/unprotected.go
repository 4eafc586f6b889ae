package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// mostUnprotected is how many workloads without protection a node names.
const mostUnprotected = 3

// unprotected is a workload with pods on a node that no budget selects, or whose
// budget counts on a single pod.
type unprotected struct {
	// first is one of the pods; budget is the one that counts on a single pod, or empty.
	first  *Pod
	budget string
	pods   int
}

// noteUnprotected finds the workloads without protection that have pods on the node.
func (n *nodeWork) noteUnprotected() {
	places := map[types.UID]int{}
	for i := range n.pods {
		s := &n.pods[i]
		budget, is := s.unprotectedBy()
		if !is {
			continue
		}
		place, known := places[s.Pod.Controller.UID]
		if !known {
			place = len(n.unprotected)
			places[s.Pod.Controller.UID] = place
			n.unprotected = append(n.unprotected, unprotected{first: s.Pod, budget: budget})
		}
		n.unprotected[place].pods++
	}
}

// unprotectedBy is true for a running pod that has to leave, and that no budget
// selects or one that counts on a single pod.
func (s *PodState) unprotectedBy() (budget string, is bool) {
	if s.State == Ignored || s.leaves() || s.Pod.Phase != corev1.PodRunning || s.Pod.Controller.UID == "" || s.Pod.OfDaemonSet() {
		return "", false
	}
	switch {
	case len(s.budgets) == 0:
		return "", true
	case len(s.budgets) == 1 && s.budgets[0].Observed && s.budgets[0].ExpectedPods == 1:
		return s.budgets[0].Key(), true
	default:
		return "", false
	}
}

// text is for people.
func (u *unprotected) text() string {
	workload := u.first.Controller.in(u.first.Namespace)
	if u.budget != "" {
		return fmt.Sprintf("PodDisruptionBudget %s covers a single pod: while the pod of %s moves, none is Ready", u.budget, workload)
	}
	pods := "1 pod"
	if u.pods > 1 {
		pods = fmt.Sprintf("%d pods", u.pods)
	}
	return fmt.Sprintf("no PodDisruptionBudget selects the pods of %s (%s here): they leave one at a time", workload, pods)
}

// unprotectedTexts name the first workloads without protection.
func unprotectedTexts(list []unprotected) []string {
	var texts []string
	for i := range list {
		if i == mostUnprotected {
			return append(texts, fmt.Sprintf("%d more workloads here have no PodDisruptionBudget, or a single replica", len(list)-i))
		}
		texts = append(texts, cut(list[i].text(), mostWords))
	}
	return texts
}
