package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

// planFlags are the flags of plan.
type planFlags struct {
	target
	output Output
	// ask is false to leave the API server's verdicts out.
	ask bool
}

func (s *shared) plan() *cobra.Command {
	o, daemon := &planFlags{ask: true}, s.Daemon(s.config)
	c := &cobra.Command{
		Use:   "plan {NODE... | -l SELECTOR}",
		Short: "Show what a drain would do, before you ask for it",
		Long: "plan shows which pods would leave the nodes, which stay and which block, by drainer's rules and by the API\n" +
			"server's own verdicts on their evictions (dry runs, one at a time: budgets that several pods share admit fewer).\n" +
			"Then it forecasts the drain: how long it takes, which budgets bound the time, and what cannot finish and how to\n" +
			"fix it. It writes nothing. It assumes the configuration of the drainer in the cluster or, if there is none, the\n" +
			"default one. Flags change that configuration, and --config replaces it.\n" +
			"It fails if the API server gives no verdict on a pod, for example because you may not evict it.\n\n" +
			"Exit statuses:\n" + statusText(0, ExitFailure, ExitUsage, ExitCannotFinish),
		Example: example(
			"# See what a drain of two nodes would do", "plan n1 n2",
			"# The same for a pool, with another configuration", "plan -l pool=workers --config=drainer.yaml",
		),
		ValidArgsFunction: s.completeNodes(func(*corev1.Node) bool { return true }),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.take(args); err != nil {
				return err
			}
			if err := errors.Join(o.output.Check(), daemon.Check()); err != nil {
				return exit{ExitUsage, err}
			}
			return s.runPlan(c.Context(), o, daemon)
		},
	}
	o.target.add(c.Flags())
	o.output.Add(c.Flags())
	c.Flags().BoolVar(&o.ask, "verdicts", o.ask, "ask the API server for a verdict on each pod; needs the permission to create pods/eviction")
	daemon.Add(c.Flags())
	c.Flags().SortFlags = false
	return c
}

// planned is what plan shows.
type planned struct {
	Pods     []verdict        `json:"pods"`
	Forecast *simulate.Result `json:"forecast"`
}

func (s *shared) runPlan(ctx context.Context, o *planFlags, daemon Daemon) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	configured, err := s.assume(ctx, client, daemon)
	if err != nil {
		return err
	}
	simulation := daemon.Simulation()
	simulation.Configured = configured
	nodes, err := o.nodes(ctx, client)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		simulation.Nodes = append(simulation.Nodes, n.Name)
	}
	objects, err := ReadObjects(ctx, client, simulation.Daemon.Config.Rules)
	if err != nil {
		return err
	}
	judge, err := s.judge(ctx, o.ask)
	if err != nil {
		return err
	}
	p := planned{Pods: s.verdicts(ctx, objects, &simulation, judge)}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.Forecast, err = simulate.Run(objects, simulation); err != nil {
		return fmt.Errorf("forecasting the drain: %w", err)
	}
	if err := s.printPlan(&p, o); err != nil {
		return err
	}
	return p.result()
}

// result is the error with the exit status: whether the drain would finish.
func (p *planned) result() error {
	if bad := slices.ContainsFunc(p.Pods, func(v verdict) bool { return v.bad() }); bad || !p.Forecast.Complete && !p.Forecast.TooShort() {
		return exit{ExitCannotFinish, nil}
	}
	if p.Forecast.TooShort() {
		return errors.New("the forecast ends before the nodes are drained, although nothing blocks them: raise --limit to see whether they can be drained")
	}
	silent := 0
	for i := range p.Pods {
		if p.Pods[i].Verdict == unknown {
			silent++
		}
	}
	if silent > 0 {
		return fmt.Errorf("the API server gave no verdict on %d of %d pods, so it is not known whether their evictions would be admitted; --verdicts=false plans without asking it", silent, len(p.Pods))
	}
	return nil
}

// judge is what asks the API server; nil if it is not to be asked.
func (s *shared) judge(ctx context.Context, ask bool) (JudgeFunc, error) {
	if !ask {
		return nil, nil
	}
	if s.Connect != nil {
		return s.Judge(ctx, nil)
	}
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	return s.Judge(ctx, config)
}

// verdicts are those on the pods of the nodes that are to be drained, by node and
// pod.
func (s *shared) verdicts(ctx context.Context, objects *simulate.Objects, o *simulate.Options, judge JudgeFunc) []verdict {
	around := plan.Surroundings{
		DaemonSets: map[types.UID]bool{}, Budgets: budgetsOf(objects.Budgets), NamespaceLabels: o.Daemon.Config.Rules.LabelsOfAll(objects.Namespaces),
		Scales: scalesOf(objects),
	}
	for i := range objects.DaemonSets {
		around.DaemonSets[objects.DaemonSets[i].UID] = true
	}
	pools := map[string]string{}
	for i := range objects.Nodes {
		pools[objects.Nodes[i].Name] = o.Daemon.Selectors.NodeOf(&objects.Nodes[i]).Pool
	}
	list := []verdict{}
	for i := range objects.Pods {
		if pod := &objects.Pods[i]; slices.Contains(o.Nodes, pod.Spec.NodeName) {
			around.Pool = pools[pod.Spec.NodeName]
			list = append(list, judgePod(ctx, pod, around, &o.Daemon.Config, judge, s.Now()))
		}
	}
	slices.SortFunc(list, func(a, b verdict) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Pod, b.Pod)) })
	return list
}

func (s *shared) printPlan(p *planned, o *planFlags) error {
	if o.output.ForPrograms() {
		return o.output.Write(s.Out, p)
	}
	screen := newScreen(s.Out)
	for _, l := range verdictTable(p.Pods, screen.width()) {
		s.printf("%s\n", l)
	}
	var text strings.Builder
	if err := p.Forecast.WriteText(&text); err != nil {
		return err
	}
	for l := range strings.Lines("\nForecast: " + text.String()) {
		s.printf("%s\n", strings.Join(wrapLine(strings.TrimSuffix(l, "\n"), screen.width()), "\n"))
	}
	return nil
}
