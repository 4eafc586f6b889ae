package plan

import (
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Labels are a pod's labels as one text, key=value,key=value in the order of the
// keys: neither a key nor a value can contain the separators. Equal labels are
// equal texts, which pods can share; a map takes several times as much memory.
type Labels string

var _ labels.Labels = Labels("")

// LabelsOf encodes labels.
func LabelsOf(set map[string]string) Labels { return Labels(labels.Set(set).String()) }

// Lookup implements labels.Labels.
func (l Labels) Lookup(key string) (value string, exists bool) {
	for rest := string(l); rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, ",")
		if k, v, _ := strings.Cut(pair, "="); k == key {
			return v, true
		}
	}
	return "", false
}

// Has implements labels.Labels.
func (l Labels) Has(key string) bool {
	_, exists := l.Lookup(key)
	return exists
}

// Get implements labels.Labels.
func (l Labels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}
