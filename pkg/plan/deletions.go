package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"drainer.dev/drainer/pkg/api"
)

// countDeletion notes at its node that a pod was deleted past its budgets.
func (m *Memory) countDeletion(e *Entry) {
	d := e.Memory.Deletion
	if d == nil {
		return
	}
	n, known := m.Nodes[d.Node.UID]
	if !known || n.Request != d.Request {
		return
	}
	// Plans share the map: it is replaced and not changed.
	n.Deletions = maps.Clone(n.Deletions)
	if n.Deletions == nil {
		n.Deletions = map[string]int{}
	}
	n.Deletions[d.Budgets]++
	m.Nodes[d.Node.UID] = n
}

// deletionsOf lists the deletions, most first.
func deletionsOf(counts map[string]int) []api.Deletions {
	var list []api.Deletions
	for budget, n := range counts {
		list = append(list, api.Deletions{Budget: budget, Count: n})
	}
	slices.SortFunc(list, func(a, b api.Deletions) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Budget, b.Budget))
	})
	return list
}

func countsOf(list []api.Deletions) map[string]int {
	var counts map[string]int
	for _, d := range list {
		if counts == nil {
			counts = map[string]int{}
		}
		counts[d.Budget] += d.Count
	}
	return counts
}

// deletionsText says how many pods were deleted past which budgets; empty for
// none.
func deletionsText(list []api.Deletions) string {
	var parts []string
	for i, d := range list {
		if i == mostGroups {
			parts = append(parts, fmt.Sprintf("and past %d more", len(list)-mostGroups))
			break
		}
		parts = append(parts, cut(fmt.Sprintf("%d deleted past PDB %s", d.Count, d.Budget), mostWords))
	}
	return strings.Join(parts, ", ")
}
