package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/plan"
)

// drainFlags are the flags of drain.
type drainFlags struct {
	target
	id             string
	settings       []setting
	overwrite, yes bool
	dryRun         string
	wait           bool
	timeout        time.Duration
}

// setting is a flag whose value becomes an annotation.
type setting struct {
	flag, annotation, usage string
	value                   string
}

func newDrainFlags() *drainFlags {
	return &drainFlags{dryRun: string(noDryRun), settings: []setting{
		{flag: "reason", annotation: api.ReasonAnnotation, usage: "why you ask, for others to read"},
		{flag: "requested-by", annotation: api.RequestedByAnnotation, usage: "who asks, for others to read, such as a team"},
		{flag: "drain-timeout", annotation: api.TimeoutAnnotation, usage: "how long the drain of a node may take, such as 90m, counted from its start; without it the daemon's"},
		{flag: "on-timeout", annotation: api.OnTimeoutAnnotation, usage: "what happens then: Wait, Stop, Release or Delete; without it the daemon's"},
		{flag: "grace-period", annotation: api.GracePeriodAnnotation, usage: "grace period of the pods in seconds, at least 1; without it their own"},
		{flag: "not-before", annotation: api.NotBeforeAnnotation, usage: "earliest start: a time such as 2030-01-31T22:00:00Z, or how long from now, such as 2h"},
		{flag: "deadline", annotation: api.DeadlineAnnotation, usage: "when the nodes disappear, a time or how long from now, such as 2m: their drains start at once, past all limits"},
		{flag: "priority", annotation: api.PriorityAnnotation, usage: "an integer: nodes with a higher one start first; without it 0"},
		{flag: "ignore-windows", annotation: api.IgnoreWindowsAnnotation, usage: "true to drain outside of maintenance windows, too, for emergencies"},
	}}
}

func (d *drainFlags) add(f *pflag.FlagSet) {
	f.StringVar(&d.id, "id", d.id, "ID of the request, at most "+strconv.Itoa(api.MaxIDBytes)+" bytes; without it one with your name and the time")
	d.target.add(f)
	for i := range d.settings {
		f.StringVar(&d.settings[i].value, d.settings[i].flag, "", d.settings[i].usage)
	}
	f.BoolVar(&d.overwrite, "overwrite", d.overwrite, "replace another request of a node, and its settings")
	f.BoolVarP(&d.yes, "yes", "y", d.yes, "ask for more nodes than drainer drains at once by default")
	f.StringVar(&d.dryRun, "dry-run", d.dryRun, "none, client or server: only show which nodes would be asked for; plan shows what would happen to their pods")
	f.Lookup("dry-run").NoOptDefVal = string(clientDryRun)
	f.BoolVar(&d.wait, "wait", d.wait, "wait until the nodes are drained, and show their progress")
	f.DurationVar(&d.timeout, "timeout", d.timeout, "how long to wait; 0 for no limit. The drain continues afterwards")
}

func (s *shared) drain() *cobra.Command {
	d := newDrainFlags()
	c := &cobra.Command{
		Use:   "drain {NODE... | -l SELECTOR}",
		Short: "Ask for the drain of nodes",
		Long: "drain asks drainer to drain nodes, and returns; with --wait it waits until they are drained. drainer cordons\n" +
			"them and evicts their pods as fast as their PodDisruptionBudgets allow.\n\n" +
			"A node has one request at a time. To change the settings of that request, give its ID; another request\n" +
			"is replaced only with --overwrite.\n\n" +
			"Exit statuses:\n" + statusText(0, ExitFailure, ExitUsage, ExitTimedOut, ExitCannotFinish, ExitWaited, ExitEnded, ExitInterrupted),
		Example: example(
			"# Drain a node", "drain n1",
			"# Drain two nodes for a change, and wait for at most an hour", "drain n1 n2 --id=CHG-1234 --wait --timeout=1h",
			"# Drain a spot node that disappears in two minutes", "drain n1 --deadline=2m",
			"# Drain a pool at night; nodes that take longer than two hours are uncordoned", "drain -l pool=workers --yes --not-before=2030-01-31T22:00:00Z --drain-timeout=2h --on-timeout=Release",
		),
		ValidArgsFunction: s.completeNodes(func(n *corev1.Node) bool { _, asked := requestOf(n); return !asked }),
		RunE: func(c *cobra.Command, args []string) error {
			if err := noneEmpty(c.Flags()); err != nil {
				return err
			}
			if d.timeout < 0 || d.timeout > 0 && !d.wait {
				return usagef("--timeout=%v: expected how long --wait waits, which has to be given, too", d.timeout)
			}
			if err := d.take(args); err != nil {
				return err
			}
			return s.runDrain(c.Context(), d)
		},
	}
	d.add(c.Flags())
	c.Flags().SortFlags = false
	return c
}

func (s *shared) runDrain(ctx context.Context, d *drainFlags) error {
	try := dryRun(d.dryRun)
	want, err := d.annotations(s.Now(), s.newID)
	if err == nil {
		err = try.check()
	}
	if err == nil && d.wait && try != noDryRun {
		err = usagef("--wait and --dry-run=%s: there would be nothing to wait for: use only one of them", try)
	}
	if err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	nodes, err := d.nodes(ctx, client)
	if err != nil {
		return err
	}
	if err := d.enough(ctx, client, nodes, want); err != nil {
		return err
	}
	if err := s.write(ctx, client, nodes, try, func(n *corev1.Node) (change, error) { return ask(n, want, d.overwrite) }); err != nil {
		return err
	}
	if d.wait {
		return s.wait(ctx, client, nodes, want[api.DrainAnnotation], d.timeout)
	}
	return nil
}

// annotations are those that the flags ask for. They are checked as drainer does.
func (d *drainFlags) annotations(now time.Time, newID func() string) (map[string]string, error) {
	want := map[string]string{api.DrainAnnotation: d.id}
	if d.id == "" {
		want[api.DrainAnnotation] = newID()
	}
	if !api.IsRequestID(want[api.DrainAnnotation]) {
		return nil, usagef("--id=%q means that there is no request: use another ID", d.id)
	}
	flags := []string{api.DrainAnnotation, "--id"}
	for _, one := range d.settings {
		flags = append(flags, one.annotation+"=", "--"+one.flag+"=")
		if one.value == "" {
			continue
		}
		if one.annotation == api.NotBeforeAnnotation || one.annotation == api.DeadlineAnnotation {
			one.value = fromNow(one.value, now)
		}
		want[one.annotation] = one.value
	}
	if _, _, err := api.RequestOf(want); err != nil {
		return nil, usagef("%s", strings.NewReplacer(flags...).Replace(err.Error()))
	}
	return want, nil
}

// fromNow is the time that a duration from now means. Any other text is returned
// as it is.
func fromNow(text string, now time.Time) string {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d).UTC().Format(time.RFC3339)
	}
	return text
}

// enough is an error if more nodes are asked for than drainer drains at once by
// default, unless that is what the user wants.
func (d *drainFlags) enough(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node, want map[string]string) error {
	asked := 0
	for _, node := range nodes {
		if id, _ := requestOf(node); id != want[api.DrainAnnotation] {
			asked++
		}
	}
	if d.yes || asked < 2 {
		return nil
	}
	all, err := countNodes(ctx, client)
	if err != nil {
		return err
	}
	limit := config.Default("").MaxDraining.String()
	share, err := plan.ParseShare(limit)
	if err != nil {
		return fmt.Errorf("reading the default of --max-draining: %w", err)
	}
	if most := share.Of(all); asked > most {
		if want[api.DeadlineAnnotation] != "" {
			return usagef("%d nodes are asked for, and with --deadline all of them are drained at once; by default drainer drains %d of %d at once (--max-draining=%s). Add --yes if you want that",
				asked, most, all, limit)
		}
		return usagef("%d nodes are asked for, and by default drainer drains %d of %d at once (--max-draining=%s): the others wait in its queue. Add --yes if you want that",
			asked, most, all, limit)
	}
	return nil
}

// newID is an ID that says who asked, and when.
func (s *shared) newID() string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_', r == '@':
			return r
		default:
			return '-'
		}
	}, s.user())
	const random = 4
	return fmt.Sprintf("%s-%s-%0*x", name[:min(len(name), 64)], s.Now().UTC().Format("20060102-150405"), random, rand.IntN(1<<(4*random)))
}

// user names who runs the program.
func (s *shared) user() string {
	if s.User != nil {
		return s.User()
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "somebody"
}

// statusText lists exit statuses for help.
func statusText(statuses ...int) string {
	var text strings.Builder
	for _, e := range exitStatuses {
		if slices.Contains(statuses, e.status) {
			fmt.Fprintf(&text, "  %-3d  %s\n", e.status, e.meaning)
		}
	}
	return strings.TrimSuffix(text.String(), "\n")
}
