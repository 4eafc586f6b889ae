package chart

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/test/suite"
)

// configFile is where the Deployment mounts the configuration file.
const configFile = "/etc/drainer-config/drainer.yaml"

// withoutValue are the fields of the configuration that the chart does not set,
// and why.
var withoutValue = map[string]string{
	"apiVersion":                          "there is one",
	"kind":                                "there is one",
	"leaderElection.resourceLock":         "there is one",
	"leaderElection.leaderElect":          "two replicas need it",
	"clientConnection.contentType":        "nobody needs another",
	"clientConnection.acceptContentTypes": "nobody needs another",
	"trustPodAnnotations":                 "the value config has it, like rules",
	"poolLabel":                           "the value config has it, like rules",
	"unreachable.action":                  "the value config has it, like rules",
	"unreachable.after":                   "the value config has it, like rules",
}

// withoutMention are the flags that no value is named after.
var withoutMention = []string{"help", "config", "context"}

// installedArgs are a container's flags, with the configuration file written to
// this machine.
func installedArgs(t *testing.T, args []string, file string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drainer.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--config="+configFile {
			args[i] = "--config=" + path
		}
	}
	return args
}

// renderedArgs are the flags of drainer's container, which finds the
// configuration file as the pod would.
func renderedArgs(t *testing.T, values string) []string {
	t.Helper()
	all := render(t, values)
	var args []string
	list, _ := at(all.find(t, "Deployment", ""), "spec", "template", "spec", "containers", 0, "args").([]any)
	for _, arg := range list {
		args = append(args, arg.(string))
	}
	if !slices.Contains(args, "--config="+configFile) {
		t.Fatalf("the flags %v name no configuration file", args)
	}
	return installedArgs(t, args, renderedConfig(t, all))
}

// renderedConfig is the configuration file that the Deployment mounts.
func renderedConfig(t *testing.T, all objects) string {
	t.Helper()
	pod := []any{"spec", "template", "spec"}
	deployment := all.find(t, "Deployment", "")
	name, _ := at(deployment, append(pod, "volumes", 0, "configMap", "name")...).(string)
	if mount := at(deployment, append(pod, "containers", 0, "volumeMounts", 0, "mountPath")...); mount != filepath.Dir(configFile) {
		t.Fatalf("the first volume is mounted at %v", mount)
	}
	text, _ := at(all.find(t, "ConfigMap", name), "data", filepath.Base(configFile)).(string)
	return text
}

// program runs drainer and returns what it writes.
func program(t *testing.T, args ...string) (string, error) {
	t.Helper()
	onCluster(t)
	out, err := suite.Run(t, func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, shared.Drainer, args...) })
	return out, err
}

// effective is the configuration that drainer would use with the flags, by the
// paths of its fields.
func effective(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out, err := program(t, append([]string{"config", "print"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := yaml.Unmarshal([]byte(out), &root); err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	var walk func(prefix string, value any)
	walk = func(prefix string, value any) {
		if group, is := value.(map[string]any); is && len(group) > 0 {
			for name, child := range group {
				walk(strings.TrimPrefix(prefix+"."+name, "."), child)
			}
			return
		}
		fields[prefix] = value
	}
	walk("", root)
	if len(fields) < 25 {
		t.Fatalf("the configuration has only the fields %v", fields)
	}
	return fields
}

// TestDefaults: without values drainer does in a pod what it does anywhere.
func TestDefaults(t *testing.T) {
	t.Parallel()
	want := effective(t)
	got := effective(t, renderedArgs(t, "{}")...)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("with the chart's values drainer uses\n%v\nwithout any\n%v", got, want)
	}
}

// TestEveryField: the chart has a value for every field of the configuration,
// or a reason.
func TestEveryField(t *testing.T) {
	t.Parallel()
	without := effective(t)
	file, err := os.ReadFile(filepath.Join(shared.chart.Dir(), "ci", "everything-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	everything := effective(t, renderedArgs(t, string(file))...)
	for _, field := range slices.Sorted(maps.Keys(without)) {
		same := reflect.DeepEqual(everything[field], without[field])
		switch reason := withoutValue[field]; {
		case same && reason == "":
			t.Errorf("with everything-values.yaml the field %s is %v as without values: give the chart a value for it, or the test a reason", field, without[field])
		case !same && reason != "":
			t.Errorf("the field %s is said to have no value (%s), and the chart renders %v", field, reason, everything[field])
		}
	}
}

// TestFlagsNamed: the chart's README says which flag each value stands for.
func TestFlagsNamed(t *testing.T) {
	t.Parallel()
	help, err := program(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(shared.chart.Dir(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z-]+)`).FindAllStringSubmatch(help, -1)
	if len(flags) < 20 {
		t.Fatalf("drainer --help has only the flags %v", flags)
	}
	for _, flag := range flags {
		named := strings.Contains(string(readme), "--"+flag[1]+")") || strings.Contains(string(readme), "`--"+flag[1]+"`")
		if !named && !slices.Contains(withoutMention, flag[1]) {
			t.Errorf("the chart's README does not name --%s", flag[1])
		}
	}
}

// TestFlagsAccepted: drainer finds nothing wrong with flags and file, and fails
// only because there is no cluster.
func TestFlagsAccepted(t *testing.T) {
	t.Parallel()
	onCluster(t)
	for file, values := range ciFiles(t) {
		command := exec.CommandContext(suite.Context(t), shared.Drainer,
			append(renderedArgs(t, values), "--kubeconfig=/does/not/exist")...)
		out, err := command.CombinedOutput()
		if err == nil || command.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "/does/not/exist") {
			t.Errorf("with the flags of %s drainer exits with %v and says %s", file, err, out)
		}
	}
}

// TestConfigFile: what a value says is in the file, and what only config says,
// too; a file that drainer refuses makes a new pod fail, and leaves the old one
// alone, because another file makes another pod.
func TestConfigFile(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]map[string]any{
		"eviction: {qps: 0}":                                         {"eviction.qps": 0.},
		"eviction: {burst: 1000000}":                                 {"eviction.burst": 1000000.},
		"drain: {maxDraining: 3}":                                    {"maxDraining": 3.},
		"drain: {maxUnavailable: 4}":                                 {"maxUnavailable": 4.},
		"config: {nodeSelector: {matchLabels: {pool: a}}}":           {"nodeSelector.matchLabels.pool": "a"},
		"{config: {}, drain: {nodeSelector: 'pool in (a)'}}":         {"eviction.qps": 50.},
		"pprof: {enabled: true}":                                     {"pprofBindAddress": "127.0.0.1:6060"},
		"{leaderElection: {enabled: false}, replicaCount: 1}":        {"leaderElection.leaderElect": false},
		"{drain: {allowLastNode: true, timeout: 90m}, config: null}": {"allowLastNode": true, "drainTimeout": "1h30m0s"},
	} {
		got := effective(t, renderedArgs(t, values)...)
		for field, value := range want {
			if !reflect.DeepEqual(got[field], value) {
				t.Errorf("with %s the field %s is %v (%T), want %v", values, field, got[field], got[field], value)
			}
		}
	}
	_, err := program(t, append([]string{"config", "print"}, renderedArgs(t, "config: {setle: 5s}")...)...)
	if err == nil || !strings.Contains(err.Error(), "setle: unknown field") {
		t.Errorf("a field that does not exist is answered with %v", err)
	}
	checksum := func(values string) string {
		return fmt.Sprint(at(render(t, values).find(t, "Deployment", ""), "spec", "template", "metadata", "annotations", "checksum/config"))
	}
	if a, b := checksum("{}"), checksum("drain: {settle: 6s}"); a == b || len(a) != 64 {
		t.Errorf("the pods of two configurations have the checksums %s and %s", a, b)
	}
}
