package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"drainer.dev/drainer/pkg/config"
)

// FuzzDecode: whatever a file says, it is a configuration that drainer can work
// with, or every mistake has a name; and it means the same once it is written
// again.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"", "# nothing\n", "---\n", "- a\n", header, header + "---\n" + header,
		header + "maxDraining: 20%\nmaxUnavailable: 3\nignoreNodes: {matchLabels: {a: b}}\npendingPods: 0\nyieldAfter: 1h\n",
		header + "nodeSelector:\n  matchExpressions:\n  - {key: pool, operator: In, values: [a, b]}\n",
		header + "pools:\n- name: gpu\n  nodeSelector: {matchLabels: {pool: gpu}}\n  maxDraining: 1\n  drainTimeout: 12h\n  onTimeout: Stop\n",
		header + "groups: [{label: topology.kubernetes.io/zone, maxDraining: 3, maxGroups: 1}]\n",
		header + "windows: [{schedule: \"0 1 * * 2-4\", duration: 5h, timeZone: Europe/Berlin, latestStart: 1h, atEnd: Pause}]\n",
		header + "freezes: [{from: 2026-12-20T00:00:00Z, until: 2027-01-04T00:00:00Z, reason: holidays}]\n",
		header + "eviction: {qps: .inf, burst: 1e3, workers: -1, timeout: 9999999h}\n",
		header + "a: &a {b: *a}\nnodeSelector: &n {matchLabels: *n}\n<<: {settle: 1s}\n",
		header + "leaderElection: {leaderElect: false}\nclientConnection: {qps: -1, burst: 10}\nlogging: {format: json, verbosity: 2}\n",
		header + "allowDelete: true\nonTimeout: Delete\nneverDelete: {namespaces: []}\ndrainTimeout: 1h\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := config.Default("ns")
		file, err := config.Decode("f.yaml", text, c)
		if err != nil {
			if !strings.Contains(err.Error(), "f.yaml") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		for _, problem := range c.Validate() {
			if problem.Detail == "" || file.Place(problem.Field) == "" {
				t.Errorf("a problem without words: %v", problem)
			}
		}
		if len(c.Validate()) > 0 {
			return
		}
		use(c)
		compareRewritten(t, c)
	})
}

// use does with a valid configuration what the daemon does with it.
func use(c *config.DrainerConfiguration) {
	_ = c.Plan()
	_ = c.Selectors()
}

// compareRewritten fails the test unless the configuration is the same once it is
// written and read.
func compareRewritten(t *testing.T, c *config.DrainerConfiguration) {
	t.Helper()
	written, err := json.Marshal(c)
	if err != nil {
		t.Fatalf("writing %+v: %v", c, err)
	}
	again := config.Default("ns")
	if _, err := config.Decode("f.yaml", written, again); err != nil {
		t.Fatalf("%s is written, and not read: %v", written, err)
	}
	if twice, err := json.Marshal(again); err != nil || string(twice) != string(written) {
		t.Errorf("%s is written again as %s, %v", written, twice, err)
	}
}
