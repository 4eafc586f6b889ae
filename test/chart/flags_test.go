package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/test/suite"
)

// withoutValue are the flags that the chart does not set, and why.
var withoutValue = map[string]string{
	"config":     "its values are flags",
	"kubeconfig": "in a pod drainer acts as its ServiceAccount",
	"context":    "in a pod drainer acts as its ServiceAccount",
}

// programFlags are the flags of the program with their defaults, as it says
// itself; a default that is zero is not said.
func programFlags(t *testing.T) map[string]string {
	t.Helper()
	onCluster(t)
	out, err := exec.CommandContext(suite.Context(t), shared.Drainer, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{}
	line := regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z-]+)(?:.*\(default "?([^")]*)"?\))?`)
	for _, match := range line.FindAllStringSubmatch(string(out), -1) {
		if match[1] != "help" {
			flags[match[1]] = match[2]
		}
	}
	if len(flags) < 20 {
		t.Fatalf("drainer --help has only the flags %v", flags)
	}
	return flags
}

// renderedFlags are the flags of the container of drainer with their values.
func renderedFlags(t *testing.T, values string) map[string]string {
	t.Helper()
	flags := map[string]string{}
	for _, arg := range renderedArgs(t, values) {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		flags[name] = value
	}
	return flags
}

func renderedArgs(t *testing.T, values string) []string {
	t.Helper()
	all := render(t, values)
	for _, o := range all {
		if o.GetKind() == "Deployment" {
			var args []string
			list, _ := at(o, "spec", "template", "spec", "containers", 0, "args").([]any)
			for _, arg := range list {
				args = append(args, arg.(string))
			}
			return args
		}
	}
	t.Fatal("there is no Deployment")
	return nil
}

// TestFlags: the program has every flag that the chart renders, and the chart
// has a value for every flag of the program, or a reason.
func TestFlags(t *testing.T) {
	t.Parallel()
	program := programFlags(t)
	missing := map[string]bool{}
	for name := range program {
		missing[name] = true
	}
	extra := regexp.MustCompile(`(?m)^extraArgs:.*$`)
	for file, values := range ciFiles(t) {
		for name := range renderedFlags(t, extra.ReplaceAllString(values, "")) {
			if _, ok := program[name]; !ok {
				t.Errorf("with %s the chart renders --%s, which drainer does not have", file, name)
			}
			delete(missing, name)
		}
	}
	readme, err := os.ReadFile(filepath.Join(shared.chart.Dir(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range missing {
		if withoutValue[name] == "" {
			t.Errorf("the chart has no value for --%s", name)
		}
	}
	for name := range program {
		if !strings.Contains(string(readme), "--"+name+")") && !strings.Contains(string(readme), "`--"+name+"`") {
			t.Errorf("the chart's README does not name --%s", name)
		}
	}
	for name := range withoutValue {
		if !missing[name] {
			t.Errorf("--%s is said to have no value, and the chart renders it", name)
		}
	}
}

// TestDefaults: without values drainer does in a pod what it does anywhere.
func TestDefaults(t *testing.T) {
	t.Parallel()
	program := programFlags(t)
	for name, got := range renderedFlags(t, "{}") {
		want := program[name]
		if want == "" && (got == "0s" || got == "0" || got == "false") {
			continue
		}
		a, errA := time.ParseDuration(got)
		b, errB := time.ParseDuration(want)
		if got != want && (errA != nil || errB != nil || a != b) {
			t.Errorf("the chart renders --%s=%s, the default is %q", name, got, want)
		}
	}
}

// TestFlagsAccepted: drainer finds nothing wrong with the flags, and fails only
// for want of a cluster.
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
