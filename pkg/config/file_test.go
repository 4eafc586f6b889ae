package config_test

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/config"
)

const header = "apiVersion: config.drainer.dev/v1alpha1\nkind: DrainerConfiguration\n"

// TestDecode: a file changes what it sets, and knows what that is and where.
func TestDecode(t *testing.T) {
	c := config.Default("ns")
	file, err := config.Decode("f.yaml", []byte(header+"drainTimeout: 2h\neviction:\n  qps: 0.5\nmaxDraining: \"20%\"\nnodeSelector:\n  matchExpressions:\n  - {key: pool, operator: In, values: [a, b]}\n"), c)
	if err != nil {
		t.Fatal(err)
	}
	if c.DrainTimeout.Duration != 2*time.Hour || c.Eviction.QPS != 0.5 || c.MaxDraining.String() != "20%" || c.NodeSelector.MatchExpressions[0].Values[1] != "b" {
		t.Errorf("it is %+v", c)
	}
	if c.Eviction.Burst != 100 || c.LeaderElection.ResourceNamespace != "ns" {
		t.Errorf("defaults are lost: %+v", c)
	}
	for path, want := range map[string]string{"eviction": "f.yaml:4", "eviction.qps": "f.yaml:5", "eviction.burst": "f.yaml", "nodeSelector.matchExpressions[0].key": "f.yaml:9"} {
		if got := file.Place(path); got != want || file.Sets(path) != strings.Contains(want, ":") {
			t.Errorf("%s is in %s, want %s; the file sets it: %v", path, got, want, file.Sets(path))
		}
	}
	if (*config.File)(nil).Sets("settle") {
		t.Error("no file sets a field")
	}
}

// TestMistakes: every mistake is named, with line, field and what was expected.
func TestMistakes(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"empty":            {"", "reading f.yaml: the file is empty: expected apiVersion: config.drainer.dev/v1alpha1"},
		"only a comment":   {"# nothing\n", "the file is empty"},
		"no YAML":          {"a: b: c\n", "reading f.yaml: yaml:"},
		"a list":           {"- a\n", "line 1: expected fields"},
		"two documents":    {header + "---\n" + header, "more than one YAML document"},
		"another version":  {strings.Replace(header, "v1alpha1", "v1", 1), `f.yaml:1: apiVersion: "config.drainer.dev/v1": expected config.drainer.dev/v1alpha1`},
		"no kind":          {"apiVersion: config.drainer.dev/v1alpha1\n", `f.yaml:1: kind: "": expected DrainerConfiguration`},
		"unknown":          {header + "a: 1\n", "f.yaml:3: a: unknown field: expected one of allowDelete, allowLastNode, apiVersion, "},
		"unknown, nested":  {header + "eviction:\n  rate: 1\n", "f.yaml:4: eviction.rate: unknown field: expected one of burst, qps, timeout, workers"},
		"another case":     {header + "Settle: 1s\n", "f.yaml:3: Settle: unknown field"},
		"twice":            {header + "settle: 1s\nsettle: 1s\n", "f.yaml:4: settle: the field is already set in line 3"},
		"no number":        {header + "eviction: {burst: many}\n", `f.yaml:3: eviction.burst: "many": expected a number`},
		"half a number":    {header + "eviction: {burst: 1.5}\n", "f.yaml:3: eviction.burst: 1.5: expected a number"},
		"no truth":         {header + "allowLastNode: maybe\n", `f.yaml:3: allowLastNode: "maybe": expected true or false`},
		"no duration":      {header + "settle: soon\n", `f.yaml:3: settle: "soon": expected a duration such as 90s`},
		"a plain duration": {header + "settle: 5\n", "f.yaml:3: settle: 5: expected a duration such as 90s"},
		"no text":          {header + "barePods: 1\n", "f.yaml:3: barePods: 1: expected a string"},
		"no share":         {header + "maxDraining: [1]\n", "f.yaml:3: maxDraining: [1]: expected a number, or a share such as 10%"},
		"no value":         {header + "settle:\n", "f.yaml:3: settle: the value is missing: expected a duration"},
		"no fields":        {header + "eviction: 3\n", `f.yaml:3: eviction: "3": expected the fields burst, qps, timeout, workers`},
		"no list":          {header + "nodeSelector: {matchExpressions: 3}\n", "f.yaml:3: nodeSelector.matchExpressions: 3: expected a list"},
		"in a list":        {header + "nodeSelector:\n  matchExpressions:\n  - {key: 3}\n", "f.yaml:5: nodeSelector.matchExpressions[0].key: 3: expected a string"},
		"no labels":        {header + "nodeSelector: {matchLabels: {a: 1}}\n", `f.yaml:3: nodeSelector.matchLabels: {"a":1}: expected a map of strings`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Decode("f.yaml", []byte(test.text), config.Default("ns"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %s", err, test.want)
			}
		})
	}
	_, err := config.Decode("f.yaml", []byte(header+"a: 1\nb: 2\nsettle: x\n"), config.Default("ns"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all three mistakes are named: %v", err)
	}
}

// TestAnchors: what a file repeats by reference counts where it stands.
func TestAnchors(t *testing.T) {
	c := config.Default("ns")
	if _, err := config.Decode("f.yaml", []byte(header+"settle: &d 7s\nstuckAfter: *d\n"), c); err != nil || c.StuckAfter.Duration != 7*time.Second {
		t.Errorf("stuckAfter is %v, %v", c.StuckAfter, err)
	}
}
