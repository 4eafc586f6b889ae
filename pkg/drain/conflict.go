package drain

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// owned is the part of a status that others own, according to the answer to an apply.
type owned struct {
	// any is true if they own anything that was applied.
	any bool
	// conditions are those of which they own a field, with the API server's words.
	conditions map[corev1.NodeConditionType]string
}

// ownedByOthers reads an answer to an apply without force. A Node that has changed
// is a conflict, too, and not meant here.
func ownedByOthers(err error) owned {
	o := owned{conditions: map[corev1.NodeConditionType]string{}}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return o
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		o.any = true
		for _, kind := range []corev1.NodeConditionType{corev1.NodeDrainInProgress, corev1.NodeDrained} {
			if strings.Contains(cause.Field, fmt.Sprintf("conditions[type=%q]", kind)) {
				o.conditions[kind] = managerOf(cause.Message)
			}
		}
	}
	return o
}

// managerOf is the name in the API server's: conflict with "NAME" using v1.
func managerOf(message string) string {
	if parts := strings.Split(message, `"`); len(parts) > 2 {
		return parts[1]
	}
	return message
}

// text says to people which conditions others own; empty if none.
func (o owned) text() string {
	var parts []string
	for kind, manager := range o.conditions {
		parts = append(parts, fmt.Sprintf("condition %s by %s", kind, manager))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return "managed by others and left as is: " + strings.Join(parts, ", ") +
		"; the drainer.dev annotations show the state of the drain; to fix: let only drainer write these conditions, and remove them once"
}
