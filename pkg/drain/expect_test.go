package drain_test

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// What stories look at: the cluster, and the requests that reached its API
// server.

func (s *story) node(name string) (n *corev1.Node) {
	s.cluster(func(c *sim.Cluster) { n = c.Node(name) })
	return n
}

// status is what the status annotation of a node says; zero if there is none.
func (s *story) status(node string) api.Status {
	s.Helper()
	text, has := s.node(node).Annotations[api.StatusAnnotation]
	if !has {
		return api.Status{}
	}
	status, err := api.ParseStatus(text)
	if err != nil {
		s.Fatal(err)
	}
	return status
}

// message is what the condition DrainInProgress of a node says; empty if it has
// none.
func (s *story) message(node string) string {
	for _, c := range s.node(node).Status.Conditions {
		if c.Type == corev1.NodeDrainInProgress {
			return c.Message
		}
	}
	return ""
}

// phase is the phase of a node's request; empty if it has none.
func (s *story) phase(node string) api.Phase { return s.status(node).Phase }

// drained is true if the node is reported drained for the request.
func (s *story) drained(id string, nodes ...string) func() bool {
	return func() (all bool) {
		s.cluster(func(c *sim.Cluster) {
			all = !slices.ContainsFunc(nodes, func(n string) bool { return c.Node(n).Annotations[api.DrainedAnnotation] != id })
		})
		return all
	}
}

// reaches is true if the node is in the phase.
func (s *story) reaches(node string, phase api.Phase) func() bool {
	return func() bool { return s.phase(node) == phase }
}

// pods are the names of the pods on a node.
func (s *story) pods(node string) (names []string) {
	s.cluster(func(c *sim.Cluster) {
		for _, o := range c.PodsOn(node) {
			names = append(names, o.GetName())
		}
	})
	return names
}

// evictions are the requests to evict pods whose names begin with the prefix.
func (s *story) evictions(prefix string) []apiserver.Request {
	return s.server.Requests(func(r apiserver.Request) bool { return evicts(r) && strings.HasPrefix(r.Name, prefix) })
}

func evicts(r apiserver.Request) bool { return r.Evicts() }

// deletions are the requests to delete pods whose names begin with the prefix.
func (s *story) deletions(prefix string) []apiserver.Request {
	return s.server.Requests(func(r apiserver.Request) bool { return deletes(r) && strings.HasPrefix(r.Name, prefix) })
}

func deletes(r apiserver.Request) bool { return r.Resource == sim.Pods && r.Verb == "delete" }

// events are the notes of the events about an object of the name, by reason.
func (s *story) events(object string) map[string][]string {
	notes := map[string][]string{}
	s.cluster(func(c *sim.Cluster) {
		for _, o := range c.List(apiserver.Events) {
			if e := o.(*eventsv1.Event); e.Regarding.Name == object {
				notes[e.Reason] = append(notes[e.Reason], e.Note)
			}
		}
	})
	return notes
}

// writes are the changes of a node, oldest first.
func (s *story) writes(node string) (list []*corev1.Node) {
	s.cluster(func(c *sim.Cluster) {
		for _, change := range c.Since(0) {
			if change.Resource == sim.Nodes && change.Object.GetName() == node {
				list = append(list, change.Object.(*corev1.Node))
			}
		}
	})
	return list
}

// mostUnderWay is how many of the requests were under way at one time, at most.
func mostUnderWay(requests []apiserver.Request) int {
	most := 0
	for _, r := range requests {
		n := 0
		for _, other := range requests {
			if other.UnderWay(r.Began) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// haveBeen is how many nodes have been in the phase at some time.
func (s *story) haveBeen(phase api.Phase) int {
	nodes := map[string]bool{}
	s.cluster(func(c *sim.Cluster) {
		for _, change := range c.Since(0) {
			if change.Resource != sim.Nodes {
				continue
			}
			if status, err := api.ParseStatus(change.Object.GetAnnotations()[api.StatusAnnotation]); err == nil && status.Phase == phase {
				nodes[change.Object.GetName()] = true
			}
		}
	})
	return len(nodes)
}

// answered are the evictions that were answered with the code, in the order of
// their arrival.
func (s *story) answered(code int) []apiserver.Request {
	return s.server.Requests(func(r apiserver.Request) bool { return evicts(r) && r.Code == code })
}

func listsPods(r apiserver.Request) bool { return r.Resource == sim.Pods && r.Verb == "list" }

func writesStatus(r apiserver.Request) bool {
	return r.Resource == sim.Nodes && r.Subresource == "status"
}

func writesNode(r apiserver.Request) bool { return r.Resource == sim.Nodes && r.Verb == "patch" }
