package plan

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

// TestLabels: the encoded labels answer as the set does.
func TestLabels(t *testing.T) {
	for _, set := range []labels.Set{nil, {}, {"app": "web"}, {"app": ""}, {"b": "2", "a": "1", "example.com/a": "app", "ab": "a"}} {
		encoded := LabelsOf(set)
		for _, key := range []string{"", "a", "ab", "app", "b", "example.com/a", "web", "1"} {
			want, there := set.Lookup(key)
			if value, exists := encoded.Lookup(key); value != want || exists != there || encoded.Has(key) != there || encoded.Get(key) != want {
				t.Errorf("%q in %q is %q, %v, want %q, %v", key, encoded, value, exists, want, there)
			}
		}
	}
	if LabelsOf(labels.Set{"b": "2", "a": "1"}) != "a=1,b=2" {
		t.Error("equal labels are different texts")
	}
}
