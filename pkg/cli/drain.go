package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
)

// drainFlags are the flags of drain.
type drainFlags struct {
	target
	id             string
	settings       []setting
	overwrite, yes bool
	dryRun         string
	output         Output
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
		{flag: "reason", annotation: api.ReasonAnnotation, usage: "reason for the drain, shown to others"},
		{flag: "requested-by", annotation: api.RequestedByAnnotation, usage: "who requests the drain, such as a team, shown to others; by default your user name"},
		{flag: "drain-timeout", annotation: api.TimeoutAnnotation, usage: "how long the drain of a node may take, such as 90m, counted from its start; without it the daemon's"},
		{flag: "on-timeout", annotation: api.OnTimeoutAnnotation, usage: "what happens to a drain that exceeds its timeout: Wait, Stop, Release or Delete; without it the daemon's"},
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
	f.BoolVarP(&d.yes, "yes", "y", d.yes, "ask for more nodes than drainer drains at once")
	f.StringVar(&d.dryRun, "dry-run", d.dryRun, "none, client or server: only show which nodes would be asked for; plan shows what would happen to their pods")
	f.Lookup("dry-run").NoOptDefVal = string(clientDryRun)
	d.output.Add(f, "name")
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
	want, err := d.wanted(s.Now(), s.asker(), s.newID)
	if err == nil {
		err = try.check()
	}
	if err == nil {
		err = d.checkWait(try)
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
	if err := s.enough(ctx, client, d, nodes, want); err != nil {
		return err
	}
	stale, err := s.request(ctx, client, nodes, writing{try, &d.output, d.several()}, want)
	if err != nil || !d.wait {
		return err
	}
	return s.wait(ctx, client, nodes, want.id(), d.timeout, stale)
}

// checkWait is an error if --wait or --output does not fit the other flags.
func (d *drainFlags) checkWait(try dryRun) error {
	switch err := d.output.Check(); {
	case err != nil:
		return exit{ExitUsage, err}
	case d.wait && try != noDryRun:
		return usagef("--wait and --dry-run=%s: there would be nothing to wait for: use only one of them", try)
	case d.wait && d.output.Format != "":
		return usagef("--wait and --output=%s: --wait shows progress as text: use only one of them", d.output.Format)
	}
	return nil
}

// request asks for the drain of all the nodes, or of none if one of them is not to
// be asked for. A failure to write may still leave some nodes with the request: the
// error says which, and how to request the others under the same ID. It returns the
// status of the nodes whose request it changed, by name: drainer's answer to what that
// was before.
func (s *shared) request(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node, how writing, want *wanted) (stale map[string]string, err error) {
	decide := func(n *corev1.Node) (change, error) { return ask(n, want) }
	stale = map[string]string{}
	var refused []error
	for _, node := range nodes {
		c, err := decide(node)
		if err != nil {
			refused = append(refused, err)
		}
		if len(c.annotations) > 0 {
			stale[node.Name] = node.Annotations[api.StatusAnnotation]
		}
	}
	if len(refused) > 0 {
		return nil, errors.Join(append(refused, errors.New("no drain was requested"))...)
	}
	wrote, err := s.write(ctx, client, nodes, how, decide)
	shown := s.show(wrote, how)
	if err == nil || len(wrote) == 0 || how.try != noDryRun {
		return stale, errors.Join(err, shown)
	}
	done := namesOf(wrote)
	missing := slices.DeleteFunc(namesOf(nodes), func(name string) bool { return slices.Contains(done, name) })
	return nil, fmt.Errorf("%w\ndrain requested: %s; not confirmed: %s. Repeat the command with --id=%s to request the rest",
		err, strings.Join(done, ", "), strings.Join(missing, ", "), shellWord(want.id()))
}

// shellWord is a text as a shell takes it for one word.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

var plainWord = regexp.MustCompile(`^[\w.,:@/+-]+$`)

// wanted is what the flags ask for. It is checked as drainer does. The user is who asks,
// if no flag says so.
func (d *drainFlags) wanted(now time.Time, user string, newID func() string) (*wanted, error) {
	want := map[string]string{api.DrainAnnotation: d.id, api.RequestedByAnnotation: user}
	if d.id == "" {
		want[api.DrainAnnotation] = newID()
	}
	if !api.IsRequestID(want[api.DrainAnnotation]) {
		return nil, usagef("--id=%q means that there is no request: use another ID", d.id)
	}
	initial := map[string]bool{api.RequestedByAnnotation: true}
	flags := []string{api.DrainAnnotation, "--id"}
	for _, one := range d.settings {
		flags = append(flags, one.annotation+"=", "--"+one.flag+"=")
		if one.value == "" {
			continue
		}
		initial[one.annotation] = false
		if one.annotation == api.NotBeforeAnnotation || one.annotation == api.DeadlineAnnotation {
			one.value, initial[one.annotation] = fromNow(one.value, now)
		}
		want[one.annotation] = one.value
	}
	if _, _, err := api.RequestOf(want); err != nil {
		return nil, usagef("%s", strings.NewReplacer(flags...).Replace(err.Error()))
	}
	return &wanted{annotations: want, initial: initial, overwrite: d.overwrite}, nil
}

// fromNow is the time that a duration from now means, and true. Any other text is
// returned as it is.
func fromNow(text string, now time.Time) (string, bool) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d).UTC().Format(time.RFC3339), true
	}
	return text, false
}

// newID is an ID that says who asked, and when.
func (s *shared) newID() string {
	const random = 4
	return fmt.Sprintf("%s-%s-%0*x", s.asker(), s.Now().UTC().Format("20060102-150405"), random, rand.IntN(1<<(4*random)))
}

// asker names the user by characters that may stand in an ID.
func (s *shared) asker() string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_', r == '@':
			return r
		default:
			return '-'
		}
	}, s.user())
	return name[:min(len(name), 64)]
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
