package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// configuration is about the configuration file and does not start drainer.
func configuration() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Check or print the configuration", Args: cobra.NoArgs,
		// Without it, cobra shows the help for a mistyped subcommand, and succeeds.
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(configValidate(), configPrint())
	return c
}

func configValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a configuration file",
		Long: "validate reads a configuration file as drainer does, and names every problem with its field and line.\n" +
			"The exit status is 0 for a valid file and 2 for any other.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o := defaults()
			o.add(pflag.NewFlagSet("", pflag.ContinueOnError))
			o.file = args[0]
			if err := o.complete(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s is valid.\n", o.file)
			return err
		},
	}
}

func configPrint() *cobra.Command {
	o := defaults()
	c := &cobra.Command{
		Use:   "print [flags]",
		Short: "Print the configuration that drainer would use, with all defaults",
		Long: "print shows what drainer would do with the same flags and the same configuration file, as a\n" +
			"configuration file with every field. The built-in rules for pods are comments at its end.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.complete(); err != nil {
				return err
			}
			text, err := yaml.Marshal(o.DrainerConfiguration)
			if err != nil {
				return failure{fmt.Errorf("writing the configuration as YAML: %w", err)}
			}
			builtIn, err := yaml.Marshal(o.BuiltInRules())
			if err != nil {
				return failure{fmt.Errorf("writing the built-in rules as YAML: %w", err)}
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n%s%s", text, builtInText, commented(string(builtIn)))
			return err
		},
	}
	o.add(c.Flags())
	c.Flags().SortFlags = false
	return c
}

// builtInText comes before the built-in rules.
const builtInText = `# Rules that are built in. They come after all other rules; barePods and emptyDir change them.
# Static pods, and pods of a DaemonSet that exists, stay whatever the rules say. Pods that have
# finished are evicted, unless a rule above says Ignore.
`

func commented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("# " + line)
	}
	return b.String()
}
