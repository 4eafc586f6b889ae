package plan

import (
	"fmt"
	"reflect"
	"testing"
)

// TestSamePlan: the same snapshot gives the same plan.
func TestSamePlan(t *testing.T) {
	make := func() Plan {
		s := newScene()
		for i := range 5 {
			name := fmt.Sprintf("n%d", i)
			s.draining(name)
			for j := range 6 {
				s.pod(name, fmt.Sprintf("web%d-%d%d", j%3, i, j))
			}
		}
		for j := range 3 {
			s.budget(fmt.Sprintf("p%d", j), fmt.Sprintf("web%d", j), int32(j), 9, 8, 10)
		}
		return Make(s.Snapshot)
	}
	first := make()
	for range 20 {
		if again := make(); !reflect.DeepEqual(granted(first), granted(again)) || !reflect.DeepEqual(messages(first), messages(again)) {
			t.Fatal("two plans of the same snapshot differ")
		}
	}
}

func messages(p Plan) []string {
	var texts []string
	for _, n := range p.Nodes {
		texts = append(texts, n.Node.Name+": "+n.Report().Message)
	}
	return texts
}
