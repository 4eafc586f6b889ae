package drain

import "testing"

// TestForgetGone: what is remembered of a pod lasts as long as the pod is
// there, and its end is counted once.
func TestForgetGone(t *testing.T) {
	s := newScene()
	node := s.draining("n")
	pod := s.pod("n", "web-1")
	c := newTestController(t, s.Snapshot, &stubServer{})
	c.memory = s.Memory
	for range 3 {
		c.step(t.Context())
	}
	if c.memory.Pods[pod.UID] == nil || c.memory.Nodes[node.UID].Gone != 0 {
		t.Errorf("a pod that is there is forgotten, %d are gone", c.memory.Nodes[node.UID].Gone)
	}
	s.Pods["n"] = []*Pod{}
	for range 3 {
		c.step(t.Context())
	}
	if c.memory.Pods[pod.UID] != nil || c.memory.Nodes[node.UID].Gone != 1 {
		t.Errorf("of one pod that left, %d are gone", c.memory.Nodes[node.UID].Gone)
	}
}
