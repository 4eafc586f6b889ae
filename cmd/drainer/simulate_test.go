package main

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes/fake"

	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// smallDump is a cluster of two nodes, on one of which is a pod that nothing
// controls.
const smallDump = `{"kind":"List","apiVersion":"v1","items":[
{"kind":"Node","apiVersion":"v1","metadata":{"name":"a","uid":"a","labels":{"pool":"x"}},"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2030-01-31T12:00:00Z"}]}},
{"kind":"Node","apiVersion":"v1","metadata":{"name":"b","uid":"b"},"status":{"conditions":[{"type":"Ready","status":"True"}]}},
{"kind":"Pod","apiVersion":"v1","metadata":{"namespace":"shop","name":"bare","uid":"p"},"spec":{"nodeName":"a","terminationGracePeriodSeconds":3},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}]}`

// simulated runs the command with the dump on its standard input.
func simulated(dump string, args ...string) (string, error) {
	c := command()
	var out bytes.Buffer
	c.SetIn(strings.NewReader(dump))
	c.SetOut(&out)
	c.SetArgs(append([]string{"simulate"}, args...))
	err := c.Execute()
	return out.String(), err
}

// TestSimulateFlags: the daemon's rules hold here, too.
func TestSimulateFlags(t *testing.T) {
	for name, test := range map[string]struct {
		args     []string
		complete bool
		seconds  float64
	}{
		"the default blocks":     {[]string{"--drain=a"}, false, 0},
		"bare pods are evicted":  {[]string{"-l=pool=x", "--bare-pods=Evict"}, true, 5},
		"a longer settling time": {[]string{"--drain=a", "--bare-pods=Evict", "--settle=20s"}, true, 20},
		"a timeout that stops":   {[]string{"--drain=a", "--drain-timeout=1m", "--on-timeout=Stop"}, false, 0},
	} {
		out, err := simulated(smallDump, append(test.args, "-f=-", "-o=json")...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var r simulate.Result
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r.Complete != test.complete || test.complete && (r.MakespanSeconds < test.seconds || r.MakespanSeconds > test.seconds+1) {
			t.Errorf("%s: complete %v after %v s", name, r.Complete, r.MakespanSeconds)
		}
	}
	if out, err := simulated(smallDump, "-f=-", "--drain=a"); err != nil || !strings.Contains(out, "shop/bare") || !strings.Contains(out, "Fix: delete the pod yourself, or use --bare-pods=Evict") {
		t.Errorf("the text is\n%s\nerror %v", out, err)
	}
}

// TestSimulateErrors: a mistake names the value and what was expected.
func TestSimulateErrors(t *testing.T) {
	for want, args := range map[string][]string{
		"no node is selected":                                 {"-f=-"},
		`there is no node "c"`:                                {"-f=-", "--drain=c"},
		`--output="text": expected json or yaml`:              {"-f=-", "--drain=a", "-o=text"},
		"--selector=,: expected a label selector":             {"-f=-", "-l=,"},
		"--start-time-of=shop=soon: expected a duration":      {"-f=-", "--drain=a", "--start-time-of=shop=soon"},
		"--stop-time=-1s: expected a duration":                {"-f=-", "--drain=a", "--stop-time=-1s"},
		"--removal-delay=-1s: expected a duration":            {"-f=-", "--drain=a", "--removal-delay=-1s"},
		"--limit=0s: expected a duration above 0":             {"-f=-", "--drain=a", "--limit=0"},
		"--max-draining=\"0\": expected a number of at least": {"-f=-", "--drain=a", "--max-draining=0"},
		"opening the dump":                                    {"-f=/does/not/exist", "--drain=a"},
		"unknown flag: --leader-elect":                        {"-f=-", "--drain=a", "--leader-elect"},
		`unknown command "a" for "drainer simulate"`:          {"-f=-", "a"},
		"reading the cluster (without --filename): finding":   {"--drain=a", "--kubeconfig=/does/not/exist"},
	} {
		if _, err := simulated(smallDump, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: the error is %v, want %q", args, err, want)
		}
	}
}

// TestSimulateReads: a live cluster is only listed, each kind once, and namespaces
// only if rules look at them.
func TestSimulateReads(t *testing.T) {
	for want, rules := range map[int]*plan.Rules{7: nil, 8: {TrustedLabels: labels.Everything()}} {
		client := fake.NewClientset()
		if _, err := cli.ReadObjects(t.Context(), client, rules); err != nil {
			t.Fatal(err)
		}
		read := map[string]bool{}
		for _, a := range client.Actions() {
			read[a.GetResource().Resource] = true
			if a.GetVerb() != "list" {
				t.Errorf("asked for %s %s", a.GetVerb(), a.GetResource().Resource)
			}
		}
		if len(read) != want || len(client.Actions()) != want || read["namespaces"] != rules.LooksAtNamespaces() {
			t.Errorf("read %v in %d requests", read, len(client.Actions()))
		}
	}
}

// TestSimulateDoc compares docs/simulate.md with the flags and the fields.
func TestSimulateDoc(t *testing.T) {
	text, err := os.ReadFile("../../docs/simulate.md")
	if err != nil {
		t.Fatal(err)
	}
	daemon, own := pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	defaults().add(daemon)
	simulationDefaults().add(own)
	own.VisitAll(func(f *pflag.Flag) {
		if daemon.Lookup(f.Name) != nil {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		value := "`" + f.DefValue + "`"
		if f.DefValue == "" {
			value = " "
		}
		if row := "| " + name + " | " + value + " | " + f.Usage + " |\n"; !strings.Contains(string(text), row) {
			t.Errorf("docs/simulate.md has no row %q", row)
		}
	})
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-zA-Z.]+`(?:, `[a-zA-Z.]+`)*) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, name := range strings.Split(row[1], ", ") {
			documented[strings.Trim(name, "`")] = true
		}
	}
	for _, name := range fieldsOf(reflect.TypeFor[simulate.Result](), "") {
		if !documented[name] {
			t.Errorf("docs/simulate.md does not have the field %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/simulate.md has the field %s, the program does not", name)
	}
}

// fieldsOf are the names of the fields of JSON, those of lists behind a point.
func fieldsOf(of reflect.Type, prefix string) []string {
	var names []string
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, prefix+name)
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			names = append(names, fieldsOf(f.Type.Elem(), prefix+name+".")...)
		}
	}
	return names
}
