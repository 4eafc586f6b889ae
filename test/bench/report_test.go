package main

import (
	"strings"
	"testing"
)

// TestCostOfOlderResults: what was not measured is not reported.
func TestCostOfOlderResults(t *testing.T) {
	const what = "With the API server's answer times in the bound"
	result := Result{Makespan: 12, Bound: 10, AnsweredBound: 11.5}
	if got := rowOf(ours, []Result{result}).cost(); !strings.HasPrefix(got, what+", makespan ÷ bound is 1.04. drainer says") {
		t.Errorf("with answer times: %s", got)
	}
	result.AnsweredBound = 0
	if got := rowOf(ours, []Result{result}).cost(); strings.Contains(got, what) {
		t.Errorf("without: %s", got)
	}
}
