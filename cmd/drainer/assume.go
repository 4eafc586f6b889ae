package main

import (
	"fmt"

	"github.com/spf13/pflag"
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

// assume makes the options what a daemon with these arguments has, and with this text of
// the configuration file that they name. The flags that are set override that. After an
// error the options are what they were before.
func (o *options) assume(args []string, file, text string) error {
	other := defaults()
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	other.add(f)
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("reading its flags: %w", err)
	}
	if file != "" {
		other.text = []byte(text)
	}
	if err := other.complete(); err != nil {
		return err
	}
	set := o.setFlags()
	o.DrainerConfiguration, o.nodeSelector = other.DrainerConfiguration, other.nodeSelector
	for _, f := range set {
		if err := f.again(); err != nil {
			return fmt.Errorf("--%s=%s: %w", f.name, f.value, err)
		}
	}
	return nil
}
