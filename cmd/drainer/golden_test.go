package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"drainer.dev/drainer/pkg/cli"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s\nIf that is meant: go test ./cmd/drainer -update", path, text, want)
	}
}

// TestHelpGolden: the help of every command of the program, and of those that the
// plugin shares with it.
func TestHelpGolden(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	var names []string
	var visit func(c *cobra.Command, name string)
	visit = func(c *cobra.Command, name string) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		names = append(names, name)
		for _, sub := range c.Commands() {
			visit(sub, name+" "+sub.Name())
		}
	}
	visit(command(), "drainer")
	for _, name := range names {
		out, err := drainer(t, "", append(strings.Fields(name)[1:], "--help")...)
		if err != nil {
			t.Errorf("%s --help: %v", name, err)
		}
		golden(t, "help-"+strings.ReplaceAll(name, " ", "-"), out)
	}
	for _, name := range []string{"simulate", "config", "config validate", "config print", "plan", "why"} {
		var out, errOut bytes.Buffer
		o := plugin()
		o.Out, o.ErrOut = &out, &errOut
		if status := cli.Run(t.Context(), o, append(strings.Fields(name), "--help")); status != 0 || errOut.Len() > 0 {
			t.Errorf("kubectl drainer %s --help ended with %d: %s", name, status, &errOut)
		}
		golden(t, "help-kubectl-drainer-"+strings.ReplaceAll(name, " ", "-"), out.String())
	}
}

// TestSimulateGolden: what people see of a forecast.
func TestSimulateGolden(t *testing.T) {
	for name, args := range map[string][]string{
		"simulate": {"--drain=a", "--bare-pods=Evict"}, "simulate-blocked": {"--drain=a"},
	} {
		out, err := simulated(smallDump, append(args, "-f=-")...)
		if err != nil {
			t.Error(err)
		}
		golden(t, name, out)
	}
}
