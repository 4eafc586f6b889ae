package cli

import (
	"cmp"
	"errors"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// simple is a command that decides about each node alone.
type simple struct {
	use, short, long, example string
	decide                    func(node *corev1.Node, id string) (change, error)
	// interesting says which nodes are completed.
	interesting func(*corev1.Node) bool
}

// simpleFlags are its flags.
type simpleFlags struct {
	target
	id, dryRun string
	output     Output
}

// simple makes the command. Its flags are those of the target, --id and
// --dry-run.
func (s *shared) simple(of simple) (*cobra.Command, *simpleFlags) {
	o := &simpleFlags{dryRun: string(noDryRun)}
	c := &cobra.Command{
		Use: of.use, Short: of.short, Long: of.long, Example: of.example,
		ValidArgsFunction: s.completeNodes(of.interesting),
		RunE: func(c *cobra.Command, args []string) error {
			if err := noneEmpty(c.Flags()); err != nil {
				return err
			}
			if err := cmp.Or(o.take(args), o.check()); err != nil {
				return err
			}
			client, err := s.client()
			if err != nil {
				return err
			}
			nodes, err := o.nodes(c.Context(), client)
			if err != nil {
				return err
			}
			decide := func(n *corev1.Node) (change, error) { return of.decide(n, o.id) }
			if o.selector != "" {
				if nodes, err = s.applicable(nodes, decide); err != nil {
					return err
				}
			}
			how := writing{dryRun(o.dryRun), &o.output, o.several()}
			done, err := s.write(c.Context(), client, nodes, how, decide)
			return errors.Join(err, s.show(done, how))
		},
	}
	o.add(c.Flags())
	c.Flags().StringVar(&o.id, "id", "", "only if the request has this ID; by default any request")
	c.Flags().StringVar(&o.dryRun, "dry-run", o.dryRun, "none, client or server: only show what would be written")
	c.Flags().Lookup("dry-run").NoOptDefVal = string(clientDryRun)
	o.output.Add(c.Flags(), "name")
	c.Flags().SortFlags = false
	return c, o
}

func (o *simpleFlags) check() error {
	if err := o.output.Check(); err != nil {
		return exit{ExitUsage, err}
	}
	return dryRun(o.dryRun).check()
}

func hasRequest(n *corev1.Node) bool { _, asked := requestOf(n); return asked }

func (s *shared) cancel() *cobra.Command {
	c, _ := s.simple(simple{
		use: "cancel {NODE... | -l SELECTOR}", short: "Cancel the drain of nodes",
		long: "cancel removes the request of nodes that are not drained yet, with its settings. drainer stops, and uncordons the\n" +
			"nodes unless somebody else cordoned them. Pods that were already evicted are not moved back.",
		example: example(
			"# Cancel a drain", "cancel n1",
			"# Cancel it only if it is still that of a change", "cancel n1 --id=CHG-1234",
		),
		decide: cancel, interesting: func(n *corev1.Node) bool { return hasRequest(n) && !isDrained(n) },
	})
	return c
}

func (s *shared) release() *cobra.Command {
	c, _ := s.simple(simple{
		use: "release {NODE... | -l SELECTOR}", short: "Uncordon drained nodes",
		long: "release removes the request of nodes that are drained, with its settings. drainer uncordons them unless somebody\n" +
			"else cordoned them. A node that is not drained yet stays as it is.",
		example: example(
			"# Uncordon a node after its maintenance", "release n1",
			"# Uncordon the drained nodes of a pool", "release -l pool=workers",
		),
		decide: release, interesting: isDrained,
	})
	return c
}

func (s *shared) pause() *cobra.Command {
	c, nodes := s.simple(simple{
		use: "pause {NODE... | -l SELECTOR | --all --reason TEXT}", short: "Pause drains",
		long: "pause stops drainer from evicting more pods from the nodes. They stay cordoned. With --all it pauses drainer\n" +
			"everywhere, by the ConfigMap drainer-control: no drain starts, and no pod is evicted, within a second.",
		example: example(
			"# Pause the drain of a node", "pause n1",
			"# Pause everything during an incident", "pause --all --reason='INC-42 database failover'",
		),
		decide: pause, interesting: func(n *corev1.Node) bool { return hasRequest(n) && !isDrained(n) },
	})
	s.withAll(c, nodes, true)
	return c
}

func (s *shared) resume() *cobra.Command {
	c, nodes := s.simple(simple{
		use: "resume {NODE... | -l SELECTOR | --all}", short: "Let paused drains continue",
		long: "resume lets the paused drains of nodes continue. With --all it ends the pause of everything; nodes that were\n" +
			"paused one by one stay paused.",
		example: example(
			"# Let the drain of a node continue", "resume n1",
			"# Let drainer continue after an incident", "resume --all",
		),
		decide: resume, interesting: func(n *corev1.Node) bool { return n.Annotations[api.PausedAnnotation] == "true" },
	})
	s.withAll(c, nodes, false)
	return c
}
