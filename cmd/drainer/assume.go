package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"drainer.dev/drainer/pkg/cli"
)

// setFlag is a flag that is set. again sets it to that value again.
type setFlag struct {
	name, value string
	again       func() error
}

// setFlags are the flags that are set and concern fields of the configuration.
func (o *options) setFlags() []setFlag {
	var set []setFlag
	o.flags.Visit(func(f *pflag.Flag) {
		if _, isField := fields[f.Name]; !isField {
			return
		}
		one := setFlag{name: f.Name, value: f.Value.String()}
		one.again = func() error { return f.Value.Set(one.value) }
		if list, is := f.Value.(pflag.SliceValue); is {
			// Set would add to it.
			values := list.GetSlice()
			one.again = func() error { return list.Replace(values) }
		}
		set = append(set, one)
	})
	return set
}

// overrides is true if the flag is set and concerns a field of the configuration.
func (o *options) overrides(flag string) bool {
	return slices.ContainsFunc(o.setFlags(), func(f setFlag) bool { return f.name == flag })
}

// assume makes the options what a daemon with these arguments has, which reads its
// configuration file by read. The flags that are set override that. After an error the
// options are what they were before.
func (o *options) assume(args []string, read func(path string) ([]byte, error)) error {
	other := defaults()
	var failed error
	other.read = func(path string) (text []byte, err error) {
		text, failed = read(path)
		return text, failed
	}
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	other.add(f)
	if err := f.Parse(args); err != nil {
		return cli.Misunderstood(fmt.Errorf("reading its flags: %w", err))
	}
	if words := f.Args(); len(words) > 1 || len(words) == 1 && words[0] != "run" {
		return cli.Misunderstood(fmt.Errorf("reading its flags: %q is none", words))
	}
	file, err := other.load()
	if err == nil {
		other.file, other.assumed = "", file
		err = other.complete()
	}
	if err != nil && failed == nil {
		err = cli.Misunderstood(err)
	}
	if err != nil {
		return fmt.Errorf("reading its configuration: %w", err)
	}
	set := o.setFlags()
	o.DrainerConfiguration, o.nodeSelector, o.assumed = other.DrainerConfiguration, other.nodeSelector, file
	for _, f := range set {
		if err := f.again(); err != nil {
			return fmt.Errorf("--%s=%s: %w", f.name, f.value, err)
		}
	}
	return nil
}
