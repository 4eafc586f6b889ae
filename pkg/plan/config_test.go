package plan

import "testing"

// TestShareOf: a number is taken as it is, a percentage is rounded down, and
// either is at least 1.
func TestShareOf(t *testing.T) {
	for _, test := range []struct {
		text  string
		total int
		want  int
	}{
		{"1", 10, 1},
		{"3", 10, 3},
		{"3", 2, 3},
		{"1%", 10, 1},
		{"15%", 10, 1},
		{"29%", 10, 2},
		{"100%", 10, 10},
		{"100%", 0, 1},
	} {
		share, err := ParseShare(test.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := share.Of(test.total); got != test.want {
			t.Errorf("%s of %d nodes is %d, want %d", test.text, test.total, got, test.want)
		}
		if got := share.String(); got != test.text {
			t.Errorf("%s is written as %s", test.text, got)
		}
	}
	for _, text := range []string{"", "x", "0", "-1", "0%", "101%", "1.5", "%"} {
		if share, err := ParseShare(text); err == nil {
			t.Errorf("%q is read as %v", text, share)
		}
	}
}
