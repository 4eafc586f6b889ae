package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// Control is what the ConfigMap drainer-control says. The zero Control
// pauses nothing.
type Control struct {
	// Paused is why nothing is started or evicted anywhere; empty if it may be.
	Paused string
	// Mistaken is true if Paused describes a mistake in the ConfigMap.
	Mistaken bool
	// Unknown is true if Paused is why nobody knows what the ConfigMap says.
	Unknown bool
}

// Unwatched is c once drainer has not been able to watch the ConfigMap since a time, and
// why, if that is known. It pauses: somebody may want to stop everything. A pause that was
// read before stays, and may be out of date.
func (c Control) Unwatched(since time.Time, err error) Control {
	why := "drainer has not been able to watch the ConfigMap " + api.ControlName + " since " + clock(since)
	if err != nil {
		why += ": " + err.Error()
	}
	if c.Paused == "" {
		return Control{Paused: cut(why, mostControl), Unknown: true}
	}
	c.Paused = cut(c.Paused, mostControl/2) + "; this may be out of date: " + cut(why, mostControl/2)
	return c
}

// ControlOf makes a plan's Control of the ConfigMap. What cannot be understood
// pauses: whoever wrote it wanted to stop something.
func ControlOf(c *corev1.ConfigMap) Control {
	data := c.Data
	for key := range c.BinaryData {
		data = map[string]string{key: ""} // No key may hold bytes.
		break
	}
	reason, err := api.PausedBy(data)
	if err != nil {
		return Control{Paused: cut("it is invalid: "+err.Error(), mostControl), Mistaken: true}
	}
	return Control{Paused: cut(reason, mostControl)}
}

// mostControl bounds the reason, in bytes: every node's message has it.
const mostControl = 500

// text says to people what holds everything up; empty if nothing does.
func (c Control) text() string {
	if c.Paused == "" {
		return ""
	}
	if c.Unknown {
		return "everything is paused because drainer does not know whether it may continue: " + c.Paused
	}
	return "everything is paused by the ConfigMap " + api.ControlName + ": " + c.Paused
}

// halt notes when the node disappears, and what stops it besides its own request:
// nothing is started or evicted there then, and the time does not count.
func (p *planner) halt(n *nodeWork) {
	p.followDeadline(n)
	if n.halted = p.Control.text(); n.halted == "" {
		n.shut, n.halted = p.shut(n)
	}
}

// halts is true if nothing is sent from the node because of its request, or of
// what stops it besides.
func (n *nodeWork) halts() bool { return n.invalid != nil || n.paused() || n.halted != "" }

// follow takes in the Control of a plan, and returns the event that follows.
func (m *Memory) follow(c Control) []Event {
	was := m.control
	if m.control = c; was == c {
		return nil
	}
	return []Event{ControlChanged{Control: c}}
}
