package main

import (
	"testing"
	"time"
)

// TestConcordant: the share counts pairs, and a tie counts half.
func TestConcordant(t *testing.T) {
	at := map[string]time.Duration{"a": 1, "b": 2, "c": 3, "d": 3}
	for want, order := range map[float64][]string{
		1:       {"a", "b", "c"},
		0:       {"c", "b", "a"},
		2. / 3:  {"b", "a", "c"},
		0.5:     {"c", "d"},
		5.5 / 6: {"a", "b", "d", "c"},
	} {
		if got := concordant(order, at); got != want {
			t.Errorf("%v: %v, want %v", order, got, want)
		}
	}
}
