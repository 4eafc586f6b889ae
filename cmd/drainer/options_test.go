package main

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"drainer.dev/drainer/pkg/cli"
)

// TestFlags: everything that is wrong is said at once, and names the flag, the
// value and what is allowed.
func TestFlags(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want []string // nil: valid
	}{
		"defaults":              {nil, nil},
		"all of it":             {[]string{"--max-draining=3", "--bare-pods=Ignore", "--empty-dir=Block", "--on-timeout=Stop", "--logging-format=json", "-v=4", "--eviction-qps=0"}, nil},
		"a share":               {[]string{"--max-draining=100%"}, nil},
		"no share":              {[]string{"--max-draining=0%"}, []string{`--max-draining="0%"`, "1% to 100%"}},
		"too large a share":     {[]string{"--max-draining=101%"}, []string{`--max-draining="101%"`}},
		"half a node":           {[]string{"--max-draining=0.5"}, []string{`--max-draining="0.5"`}},
		"as many unavailable":   {[]string{"--max-draining=3", "--max-unavailable=3"}, nil},
		"fewer unavailable":     {[]string{"--max-draining=3", "--max-unavailable=2"}, []string{`--max-unavailable="2"`, "expected at least --max-draining (3)", "raise the one or lower the other"}},
		"bare pods":             {[]string{"--bare-pods=evict"}, []string{`--bare-pods="evict"`, "Block, Evict or Ignore"}},
		"emptyDir":              {[]string{"--empty-dir="}, []string{`--empty-dir=""`, "Evict or Block"}},
		"delete":                {[]string{"--on-timeout=Delete"}, []string{`--on-timeout="Delete"`, "--allow-delete"}},
		"format":                {[]string{"--logging-format=xml"}, []string{`"xml"`, "text or json"}},
		"selector":              {[]string{"--node-selector=a in"}, []string{`--node-selector="a in"`, "label selector"}},
		"rates":                 {[]string{"--eviction-qps=-1", "--kube-api-qps=NaN", "--eviction-burst=0"}, []string{"--eviction-qps=-1", "--kube-api-qps=NaN", "--eviction-burst=0"}},
		"times":                 {[]string{"--drain-timeout=-1s", "--stuck-after=0s", "--eviction-timeout=0s", "--settle=-5s"}, []string{"--drain-timeout=-1s", "--stuck-after=0s", "--eviction-timeout=0s", "--settle=-5s"}},
		"lease":                 {[]string{"--leader-elect-lease-duration=5s"}, []string{"--leader-elect-lease-duration=5s", "more than --leader-elect-renew-deadline (10s)"}},
		"lease, not used":       {[]string{"--leader-elect=false", "--leader-elect-lease-duration=5s"}, nil},
		"renewal":               {[]string{"--leader-elect-retry-period=9s"}, []string{"--leader-elect-renew-deadline=10s", "1.2 times"}},
		"address":               {[]string{"--metrics-bind-address=8080"}, []string{`--metrics-bind-address="8080"`, ":8080"}},
		"same address":          {[]string{"--health-bind-address=:8080"}, []string{`--health-bind-address=":8080"`, "an address other than --metrics-bind-address"}},
		"profiles":              {[]string{"--pprof-bind-address=127.0.0.1:6060"}, nil},
		"depth":                 {[]string{"--v=11"}, []string{"--v=11", "0 to 10"}},
		"no such flag":          {[]string{"--demon"}, []string{"unknown flag: --demon"}},
		"a flag that is a rule": {[]string{"--daemon-kinds=X"}, []string{"--daemon-kinds", "match: {controllers: [GROUP/VERSION/KIND]}, action: Ignore"}},
		"argument":              {[]string{"node-1"}, []string{"node-1"}},
		"more than one mistake": {[]string{"--bare-pods=x", "--empty-dir=y", "--v=-1"}, []string{"--bare-pods", "--empty-dir", "--v=-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := validated(test.args)
			if test.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}

// validated checks flags as the command does, and stops before anything is done.
func validated(args []string) error {
	o := defaults()
	c := command()
	c.SetArgs(args)
	c.SetOut(io.Discard)
	c.ResetFlags()
	o.add(c.Flags())
	if err := c.ParseFlags(args); err != nil {
		return c.FlagErrorFunc()(c, err)
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		return err
	}
	return o.complete()
}

func TestVersion(t *testing.T) {
	var out strings.Builder
	c := command()
	c.SetOut(&out)
	c.SetArgs([]string{"version"})
	if err := c.Execute(); err != nil || out.String() != "drainer dev (unknown)\n" {
		t.Errorf("version prints %q, %v", out.String(), err)
	}
}

// TestAssume: options are those of another daemon where no flag says otherwise, and what
// cannot be understood changes nothing.
func TestAssume(t *testing.T) {
	const given = "--config=c.yaml"
	for name, test := range map[string]struct {
		own, args []string
		text      string
		err       string
		want      func(*options) bool
		// wrong is what completing the options says then.
		wrong string
	}{
		"flags": {
			args: []string{"run", "--max-draining=3", "--node-selector=pool=a", "--metrics-bind-address=:1"},
			want: func(o *options) bool {
				return o.MaxDraining.String() == "3" && o.Selectors().Served.String() == "pool in (a)"
			},
		},
		"a file": {
			args: []string{given, "--drain-timeout=1h"}, text: header + "barePods: Evict\nsettle: 7s\n",
			want: func(o *options) bool {
				return o.BarePods == "Evict" && o.Settle.Seconds() == 7 && o.DrainTimeout.Hours() == 1
			},
		},
		"overridden": {
			own:  []string{"--max-draining=5", "--settle=1s", "--never-delete-namespaces=a,b", "--node-selector=pool=b"},
			args: []string{given, "--node-selector=pool=a"}, text: header + "maxDraining: 3\nsettle: 7s\nneverDelete: {namespaces: [c]}\n",
			want: func(o *options) bool {
				return o.MaxDraining.String() == "5" && o.Settle.Seconds() == 1 && strings.Join(o.NeverDelete.Namespaces, " ") == "a b" && o.Selectors().Served.String() == "pool in (b)"
			},
		},
		"a flag contradicts a rule": {
			own: []string{"--allow-delete=false"}, args: []string{given},
			text:  header + "allowDelete: true\nrules: [{name: r, match: {namespaces: [a]}, action: Evict, deleteAfter: 1h}]\n",
			wrong: "c.yaml:4: rules[0].deleteAfter:",
		},
		"a flag contradicts a limit": {
			own: []string{"--max-draining=50%"}, args: []string{given}, text: header + "maxUnavailable: 20%\nmaxDraining: 10%\n",
			wrong: `c.yaml:3: maxUnavailable: "20%": expected at least --max-draining (50%)`,
		},
		"a newer flag":  {args: []string{"--max-draining=3", "--newer"}, err: "reading its flags: unknown flag: --newer", want: isDefault},
		"not a flag":    {args: []string{"--max-draining=3", "exec drainer"}, err: `reading its flags: ["exec drainer"] is none`, want: isDefault},
		"a newer field": {args: []string{given}, text: header + "maxDraining: 3\nnewer: 1\n", err: "newer", want: isDefault},
		"a bad value":   {args: []string{"--max-draining=0"}, err: `--max-draining="0"`, want: isDefault},
	} {
		o := defaults()
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.add(f)
		if err := f.Parse(test.own); err != nil {
			t.Fatal(err)
		}
		err := o.assume(test.args, func(path string) ([]byte, error) {
			if path != "c.yaml" {
				t.Errorf("%s: reads %s", name, path)
			}
			return []byte(test.text), nil
		})
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: the error is %v, want %q", name, err, test.err)
		}
		err = o.complete()
		if test.wrong != "" && (err == nil || err.Error() == "" || !strings.HasPrefix(err.Error(), test.wrong)) {
			t.Errorf("%s: completing it says %v, want %q", name, err, test.wrong)
		}
		if test.wrong == "" && (err != nil || !test.want(o)) {
			t.Errorf("%s: the options are %+v, %v", name, o.DrainerConfiguration, err)
		}
	}
}

// TestAssumeUnread: a file that could not be read may be readable later: that is no reason
// to assume the defaults.
func TestAssumeUnread(t *testing.T) {
	o, lost := defaults(), errors.New("connection lost")
	o.add(pflag.NewFlagSet("", pflag.ContinueOnError))
	err := o.assume([]string{"--config=c.yaml"}, func(string) ([]byte, error) { return nil, lost })
	if !errors.Is(err, lost) || reflect.TypeOf(errors.Unwrap(err)) == reflect.TypeOf(cli.Misunderstood(nil)) {
		t.Errorf("the error is %v, want that of reading and no other", err)
	}
}

func isDefault(o *options) bool { return o.MaxDraining == defaults().MaxDraining }
