package conformance

import "fmt"

// Side is what the script runs on.
type Side string

// The sides. The script's answers are those of the newest Kubernetes.
const (
	Model      Side = "model"
	Kubernetes Side = "Kubernetes"
	// Kubernetes134 stands for all before 1.37.
	Kubernetes134 Side = "Kubernetes 1.34"
)

// Difference is a step that gives something else on one side, and why that is
// accepted.
type Difference struct {
	Side    Side
	Section string
	Command string
	Gives   string
	Reason  string
}

// noTaint is why a cordoned node has no taint in the model.
const noTaint = "the model has no node lifecycle controller: its scheduler looks at spec.unschedulable, and drainer asks for nothing else"

// Differences are all differences. One that no longer exists also fails the
// tests.
var Differences = []Difference{
	{
		Side: Model, Section: "syncfailed", Command: "show pods batch", Gives: "batch#1 Running ready on n1",
		Reason: "a Job of the model does not count its pods, so it does not hold them until they are counted",
	},
	{
		Side: Model, Section: "scheduling", Command: "show node n1 # cordoned", Gives: "unschedulable", Reason: noTaint,
	},
	{
		Side: Model, Section: "scheduling", Command: "show node n2 # cordoned", Gives: "unschedulable", Reason: noTaint,
	},
	{
		Side: Model, Section: "finished", Command: "show pods kept # without grace",
		Gives:  "kept#1 Succeeded on n1, terminating 0s, DisruptionTarget EvictionByEvictionAPI, held by example.com/hold",
		Reason: "kwok leaves a pod with a finalizer alone; the model's kubelet ends its containers, as a real one does",
	},
	{
		Side: Kubernetes134, Section: "overflow", Command: "evict web#2",
		Gives: "429 TooManyRequests: Cannot evict pod as it would violate the pod's disruption budget.\n" +
			"cause DisruptionBudget: The disruption budget web needs 1 healthy pods and has 2 currently",
		Reason: "before 1.37 this cause gives the numbers and does not say that the sync failed",
	},
	{
		Side: Kubernetes134, Section: "overflow", Command: "evict web#1",
		Gives: "403 Forbidden: poddisruptionbudget.policy \"web\" is forbidden: " +
			"DisruptedPods map too big - too many evictions not confirmed by PDB controller\nabout policy poddisruptionbudget web",
		Reason: "before 1.37 this answer has no cause DisruptionBudget",
	},
}

// CheckDifferences returns an error for a difference that is about no step, or
// about several, or is none.
func CheckDifferences(script []Section) error {
	for _, d := range Differences {
		found := 0
		for _, section := range script {
			for _, step := range section.Steps {
				if section.Name != d.Section || step.Command != d.Command {
					continue
				}
				found++
				if step.Want == d.Gives {
					return fmt.Errorf("%s: %s: the difference is none: remove it", d.Section, d.Command)
				}
			}
		}
		if found != 1 {
			return fmt.Errorf("%s: %s: the difference is about %d steps, want 1", d.Section, d.Command, found)
		}
	}
	return nil
}

// wantOn is what a step gives on a side.
func (s Section) wantOn(side Side, step Step) string {
	for _, d := range Differences {
		if d.Side == side && d.Section == s.Name && d.Command == step.Command {
			return d.Gives
		}
	}
	return step.Want
}
