package api

import (
	"cmp"
	"slices"
	"strings"
)

// Hold keeps a node from being released.
type Hold struct {
	// Owner is who holds the node, as the annotation's name says.
	Owner string
	// Why is for people, on one line of at most MaxClaimBytes; it may be empty.
	Why string
}

// HoldsOf reads who holds a node from its annotations, sorted by owner. Every
// value holds it, whatever it says: only the annotation's removal ends a hold.
func HoldsOf(annotations map[string]string) []Hold {
	var holds []Hold
	for key, value := range annotations {
		if owner, is := strings.CutPrefix(key, HoldPrefix); is {
			holds = append(holds, Hold{Owner: owner, Why: claim(value)})
		}
	}
	slices.SortFunc(holds, func(a, b Hold) int { return cmp.Compare(a.Owner, b.Owner) })
	return holds
}

// IsOurs is true for the name of an annotation of the protocol.
func IsOurs(key string) bool {
	return strings.HasPrefix(key, Prefix) || strings.HasPrefix(key, HoldPrefix)
}
