package main

import (
	"io"
	"strings"
	"testing"
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
