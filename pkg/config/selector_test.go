package config_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/config"
)

// TestParseSelector: whatever the text selects, the LabelSelector does.
func TestParseSelector(t *testing.T) {
	nodes := []labels.Set{{}, {"pool": "a"}, {"pool": "b"}, {"pool": "c", "gpu": ""}, {"gpu": "yes"}}
	for _, text := range []string{
		"pool=a", "pool==a", "pool!=a", "pool in (a,b)", "pool notin (a,b)", "pool", "!pool", "pool!=a,!gpu", "pool in (a, c),gpu",
	} {
		want, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		selector, err := config.ParseSelector(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, node := range nodes {
			if got.Matches(node) != want.Matches(node) {
				t.Errorf("%s: it selects %v: %v, want %v", text, node, got.Matches(node), want.Matches(node))
			}
		}
	}
	for _, text := range []string{"pool in", "pool>3", "a=b=c"} {
		if _, err := config.ParseSelector(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
