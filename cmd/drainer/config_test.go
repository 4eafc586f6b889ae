package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/pkg/config"
)

const header = "apiVersion: config.drainer.dev/v1alpha1\nkind: DrainerConfiguration\n"

// drainer runs the command with a configuration file, whose path replaces FILE.
func drainer(t *testing.T, file string, args ...string) (out string, err error) {
	t.Helper()
	t.Setenv("POD_NAMESPACE", "")
	path := filepath.Join(t.TempDir(), "drainer.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "FILE", path)
	}
	var printed bytes.Buffer
	c := command()
	c.SetArgs(args)
	c.SetOut(&printed)
	err = c.ExecuteContext(t.Context())
	return strings.ReplaceAll(printed.String(), path, "FILE"), err
}

// TestConfigPrint: what is printed is the file over the defaults, with the flags
// that the file does not set.
func TestConfigPrint(t *testing.T) {
	out, err := drainer(t, header+"maxDraining: 3\nsettle: 2s\nleaderElection: {leaderElect: false}\nnodeSelector: {matchLabels: {pool: a}}\n",
		"config", "print", "--config=FILE", "--stuck-after=1m", "--eviction-qps=0", "--kubeconfig=k")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"maxDraining: 3\n", "settle: 2s\n", "leaderElect: false\n", "pool: a\n", "stuckAfter: 1m0s\n", "qps: 0\n", "kubeconfig: k\n", "resourceName: drainer\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if want := "# - action: Block\n#   match:\n#     controllers:\n#     - None\n#   name: bare-pods\n# - action: Evict\n#   match:\n#     namespaces:\n#     - '*'\n#   name: default\n"; !strings.HasSuffix(out, want) {
		t.Errorf("the built-in rules are missing at the end of\n%s", out)
	}
	if out, err := drainer(t, header, "config", "print", "--config=FILE", "--never-delete-namespaces=a,b"); err != nil || !strings.Contains(out, "namespaces:\n  - a\n  - b\n") {
		t.Errorf("a list beside a file is printed as (%v)\n%s", err, out)
	}
	again, err := drainer(t, out, "config", "print", "--config=FILE")
	if err != nil || again != out {
		t.Errorf("what was printed reads as (%v)\n%s\nand was\n%s", err, again, out)
	}
}

// TestConfigFlags: each flag of the daemon is a field of the file, and sets that
// field.
func TestConfigFlags(t *testing.T) {
	values := map[string]string{
		"node-selector": "pool=b", "max-draining": "7", "max-unavailable": "9", "bare-pods": "Evict", "empty-dir": "Block", "on-timeout": "Stop",
		"logging-format": "json", "metrics-bind-address": ":1", "health-bind-address": ":2", "pprof-bind-address": ":3",
		"metrics-tls-cert-file": "c", "metrics-tls-private-key-file": "k", "metrics-authorize": "true",
		"leader-elect": "false", "allow-last-node": "true", "allow-delete": "true", "kubeconfig": "k", "leader-elect-resource-name": "n", "leader-elect-resource-namespace": "ns",
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaults().add(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		path, is := fields[f.Name]
		if f.Name == "config" || f.Name == "context" {
			if is {
				t.Errorf("--%s is a field", f.Name)
			}
			return
		}
		value := values[f.Name]
		switch {
		case value != "":
		case f.Value.Type() == "duration":
			value = "11s"
		default:
			value = "9"
		}
		before, after := settings(t), settings(t, "--"+f.Name+"="+value)
		for at, was := range before {
			if changed := after[at] != was; changed != (at == path) {
				t.Errorf("--%s=%s lets %s change from %q to %q", f.Name, value, at, was, after[at])
			}
		}
		if path == "" || len(after) < len(before) {
			t.Errorf("--%s is no field of the file", f.Name)
		}
		delete(values, f.Name)
	})
	for name := range values {
		t.Errorf("there is no flag --%s", name)
	}
}

// settings are the values of all fields, by path, with the flags. The values
// are not validated.
func settings(t *testing.T, args ...string) map[string]string {
	t.Helper()
	o := defaults()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.add(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	_ = o.complete()
	text, err := yaml.Marshal(o.DrainerConfiguration)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	leaves := map[string]string{"nodeSelector": "", "maxUnavailable": ""}
	collect(leaves, "", tree)
	return leaves
}

func collect(leaves map[string]string, path string, tree map[string]any) {
	for name, value := range tree {
		at := strings.TrimPrefix(path+"."+name, ".")
		if branch, is := value.(map[string]any); is && name != "nodeSelector" {
			collect(leaves, at, branch)
			continue
		}
		text, _ := yaml.Marshal(value)
		leaves[at] = string(text)
	}
}

// TestConfigMistakes: all mistakes are reported at once, with flag, or field
// and line.
func TestConfigMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		args []string
		want []string
	}{
		"both": {
			"maxDraining: 3\n",
			[]string{"--max-draining=3", "--v=4"},
			[]string{"--max-draining=3 and maxDraining in FILE:3 are both set: remove one of them"},
		},
		"both, of a part": {
			"leaderElection: {leaderElect: false}\n",
			[]string{"--leader-elect"},
			[]string{"--leader-elect=true and leaderElection.leaderElect in FILE:3 are both set"},
		},
		"values": {
			"barePods: evict\nsettle: -1s\n",
			[]string{"--v=11"},
			[]string{`FILE:3: barePods: "evict": expected Block, Evict or Ignore`, "FILE:4: settle: -1s", "--v=11: expected"},
		},
		"a field against a flag": {
			"leaderElection: {leaseDuration: 5s}\n", nil,
			[]string{"FILE:3: leaderElection.leaseDuration: 5s: expected more than --leader-elect-renew-deadline (10s)"},
		},
		"a flag against a field": {
			"leaderElection: {renewDeadline: 20s}\n",
			[]string{"--leader-elect-lease-duration=15s"},
			[]string{"--leader-elect-lease-duration=15s: expected more than leaderElection.renewDeadline (20s)"},
		},
		"unknown": {"settel: 3s\n", nil, []string{"FILE:3: settel: unknown field: expected one of allowDelete, allowLastNode, "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := drainer(t, header+test.file, append([]string{"config", "print", "--config=FILE"}, test.args...)...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				got := err.Error()
				before, after, _ := strings.Cut(want, "FILE")
				if !strings.Contains(got, before) || !strings.Contains(got, after) {
					t.Errorf("the error is\n%s\nand lacks %s", got, want)
				}
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines != len(test.want) {
				t.Errorf("the error has %d lines, want %d:\n%v", lines, len(test.want), err)
			}
		})
	}
	if _, err := drainer(t, "", "config", "print", "--config=FILE/none"); err == nil || !strings.Contains(err.Error(), "reading the configuration file") {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	if out, err := drainer(t, header, "config", "validate", "FILE"); err != nil || out != "FILE is valid.\n" {
		t.Errorf("it says %q, %v", out, err)
	}
	if _, err := drainer(t, header+"settle: 1\n", "config", "validate", "FILE"); err == nil || !strings.Contains(err.Error(), ":3: settle: 1: expected a duration such as 90s") {
		t.Errorf("the error is %v", err)
	}
}

// TestConfigDefaults: without a file and flags, a configuration is that of
// config.Default, and valid.
func TestConfigDefaults(t *testing.T) {
	if problems := config.Default("drainer").Validate(); len(problems) > 0 {
		t.Error(problems.ToAggregate())
	}
	if problems := config.Default("").Validate(); len(problems) != 1 || problems[0].Field != "leaderElection.resourceNamespace" {
		t.Errorf("without a namespace: %v", problems)
	}
}

// TestConfigTypo: a subcommand that does not exist is an error, so that a script that
// checks a file stops.
func TestConfigTypo(t *testing.T) {
	if out, err := drainer(t, header, "config", "valdiate", "FILE"); err == nil || !strings.Contains(err.Error(), `unknown command "valdiate"`) {
		t.Errorf("the error is %v, the output %q", err, out)
	}
}
