package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// Output is the flag --output of commands that can write for programs, too.
type Output struct {
	// Format is empty for a text for people.
	Format  string
	formats []string
}

// Add adds the flag. The formats are those that the command knows besides json and yaml.
func (o *Output) Add(f *pflag.FlagSet, formats ...string) {
	o.formats = append([]string{"json", "yaml"}, formats...)
	f.StringVarP(&o.Format, "output", "o", "", o.expected()+"; by default, human-readable text")
}

func (o *Output) expected() string {
	last := len(o.formats) - 1
	return strings.Join(o.formats[:last], ", ") + " or " + o.formats[last]
}

// Check is an error if the command does not know the format.
func (o *Output) Check() error {
	if o.Format == "" || slices.Contains(o.formats, o.Format) {
		return nil
	}
	return fmt.Errorf("--output=%q: expected %s", o.Format, o.expected())
}

// ForPrograms is true for json and yaml.
func (o *Output) ForPrograms() bool { return o.Format == "json" || o.Format == "yaml" }

// Write writes what in the format, which is json or yaml, with the names of its JSON.
func (o *Output) Write(w io.Writer, what any) error {
	text, err := json.MarshalIndent(what, "", "  ")
	if err == nil && o.Format == "yaml" {
		text, err = yaml.JSONToYAML(text)
	}
	if err == nil {
		_, err = fmt.Fprintln(w, strings.TrimSuffix(string(text), "\n"))
	}
	if err != nil {
		return fmt.Errorf("writing as %s: %w", o.Format, err)
	}
	return nil
}
