package api

import "strings"

// UserAnnotations lists the annotations that users write on a Node, that of the
// request first. To end a request, remove all of them: those that stay would
// apply to the next one.
func UserAnnotations() []string { return requestKeys() }

// IsRequestID is true for a value of DrainAnnotation that asks for a drain, and
// false for one that says no.
func IsRequestID(value string) bool {
	switch strings.ToLower(value) {
	case "", "false", "no", "off", "0":
		return false
	default:
		return true
	}
}
