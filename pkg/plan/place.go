package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Selectors say by its labels what a node is to drainer. The zero Selectors
// serve every node.
type Selectors struct {
	// Served selects the nodes that drainer serves; nil for all.
	Served labels.Selector
	// Ignored selects those that never count as unavailable; nil for none.
	Ignored labels.Selector
	// Pools are tried in order.
	Pools []PoolSelector
	// PoolLabel is the label that names the pool of a node that is in none of Pools,
	// for people; empty for none.
	PoolLabel string
	// Groups are the labels of Config.Groups, in the same order.
	Groups []string
	// Windows are those of Config.
	Windows []Window
	// Rules are those of Config; they are about pods.
	Rules *Rules
	// Requests are those of Config.
	Requests []MarkRule
}

// PoolSelector selects the nodes of the pool of a name.
type PoolSelector struct {
	Name  string
	Nodes labels.Selector
}

// NodeOf makes a plan's Node of the API's.
func (s *Selectors) NodeOf(node *corev1.Node) *Node {
	n, set := NodeOf(node), labels.Set(node.Labels)
	n.Served = s.Serves(set)
	n.Ignored = s.Ignored != nil && s.Ignored.Matches(set)
	for _, pool := range s.Pools {
		if pool.Nodes.Matches(set) {
			n.Pool = pool.Name
			break
		}
	}
	n.PoolValue = set[s.PoolLabel]
	for _, label := range s.Groups {
		n.Groups = append(n.Groups, set[label])
	}
	n.Marks = marksOf(s.Requests, node)
	n.Windows = WindowsOf(s.Windows, n.Pool, set)
	return n
}

// PodOf makes a plan's Pod of the API's.
func (s *Selectors) PodOf(pod *corev1.Pod) *Pod { return s.Rules.PodOf(pod) }

// Serves is true for the labels of a node that drainer serves.
func (s *Selectors) Serves(set labels.Set) bool { return s.Served == nil || s.Served.Matches(set) }
