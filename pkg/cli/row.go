package cli

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// row is what a node says about its request.
type row struct {
	Node string `json:"node"`
	UID  string `json:"-"`
	// Request is the ID, as the annotation says now; empty for a node whose
	// request was removed and that drainer has not released yet.
	Request string `json:"request"`
	// Phase is empty until drainer has answered the request.
	Phase api.Phase `json:"phase,omitempty"`
	// Message is that of the condition DrainInProgress.
	Message string `json:"message,omitempty"`
	// Since is when the request was first seen, or nil.
	Since *time.Time `json:"since,omitempty"`
	// EstimatedSecondsLeft is how long the drain still takes if its pods leave as
	// fast as they have so far; nil if nothing can be said.
	EstimatedSecondsLeft *int64 `json:"estimatedSecondsLeft,omitempty"`
	// Status is the status annotation; nil if it is not about the request.
	Status *api.Status `json:"status,omitempty"`
}

// rowOf is what a node says; false if it neither has a request nor says anything
// about one.
func rowOf(node *corev1.Node) (row, bool) {
	id, asked := requestOf(node)
	r := row{Node: node.Name, UID: string(node.UID)}
	if asked {
		r.Request = id
	}
	_, says := node.Annotations[api.StatusAnnotation]
	if !asked && !says {
		return row{}, false
	}
	s := statusOfNode(node)
	if held, err := api.ParseStatus(node.Annotations[api.StatusAnnotation]); !asked && err == nil && held.Phase == api.Held {
		s = &held
	} else if !asked || s == nil {
		return r, true
	}
	r.Status, r.Phase = s, s.Phase
	if r.Since = s.RequestedAt; r.Since == nil {
		r.Since = s.StartedAt
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeDrainInProgress {
			r.Message = c.Message
		}
	}
	return r, true
}

// phase is the phase, for people.
func (r *row) phase() string {
	switch {
	case r.Request == "" && r.Phase != api.Held:
		return "Releasing"
	case r.Phase == "":
		return "Requested"
	default:
		return string(r.Phase)
	}
}

// message says what a node waits for, for people.
func (r *row) message() string {
	switch {
	case r.Request == "" && r.Phase != api.Held:
		return "the request is removed, and drainer has not released the node yet"
	case r.Phase == "":
		return unanswered
	default:
		return r.Message
	}
}
