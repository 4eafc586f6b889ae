package simulate

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// assumptions are what the forecast assumes.
func (r *run) assumptions() []string {
	o := r.options
	stop := "each pod stops after its whole termination grace period"
	if o.StopTime > 0 {
		stop = fmt.Sprintf("each pod stops %v after its eviction, or after its grace period if that is shorter", o.StopTime)
	}
	if o.RemovalDelay > 0 {
		stop += fmt.Sprintf(", and is gone %v later", o.RemovalDelay)
	}
	list := []string{
		stop,
		fmt.Sprintf("the API server answers within %v, each controller and the scheduler react after %v", o.Latency, o.ControllerDelay),
		"up to 110 pods fit on every schedulable node that their nodeSelector selects: resources, affinity, volumes and tolerations are ignored",
		"pods that are not Ready stay that way, and nothing else changes the cluster: no rollout, no autoscaler, no webhook",
	}
	if o.Configured != "" {
		list = append([]string{o.Configured}, list...)
	}
	return append(list, r.scene.notes...)
}

// WriteText writes the forecast for people.
func (f *Result) WriteText(w io.Writer) error {
	t := &textWriter{w: w}
	t.summary(f)
	t.nodes(f)
	if f.SlotSeconds > 0 {
		t.printf("\nNodes wait for a slot of --max-draining for %s (%.0f %%).\n", clock(f.SlotSeconds), 100*f.SlotShare)
	}
	t.budgets(f)
	t.blockers(f)
	t.basis(f)
	return t.err
}

// textWriter keeps the first error of several writes.
type textWriter struct {
	w   io.Writer
	err error
}

func (t *textWriter) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

// table writes rows whose columns are aligned.
func (t *textWriter) table(rows func(row func(format string, args ...any))) {
	table := tabwriter.NewWriter(t.w, 0, 0, 3, ' ', 0)
	rows(func(format string, args ...any) { fmt.Fprintf(table, format+"\n", args...) })
	if err := table.Flush(); t.err == nil {
		t.err = err
	}
}

func (t *textWriter) summary(f *Result) {
	drained := 0
	for _, n := range f.Nodes {
		if n.DrainedSeconds != nil {
			drained++
		}
	}
	switch {
	case f.Complete:
		t.printf("%d of %d nodes are drained after %s.\n\n", drained, len(f.Nodes), clock(f.MakespanSeconds))
	default:
		t.printf("%d of %d nodes are drained; nothing changes after %s.\n\n", drained, len(f.Nodes), clock(f.MakespanSeconds))
	}
}

func (t *textWriter) nodes(f *Result) {
	t.table(func(row func(string, ...any)) {
		row("NODE\tPODS\tSTARTS\tEMPTY\tDRAINED")
		for _, n := range f.Nodes {
			row("%s\t%d\t%s\t%s\t%s", n.Name, n.Pods, orNever(n.StartedSeconds), orNever(n.EmptySeconds), orNever(n.DrainedSeconds))
		}
	})
}

func (t *textWriter) budgets(f *Result) {
	if len(f.Budgets) == 0 {
		t.printf("\nNo budget holds a pod up.\n")
		return
	}
	t.printf("\nBudgets that hold pods up:\n\n")
	t.table(func(row func(string, ...any)) {
		row("BUDGET\tAT ONCE\tEVICTIONS\tBLOCKED\tSHARE")
		for _, b := range f.Budgets {
			row("%s/%s\t%d\t%d\t%s\t%.0f %%", b.Namespace, b.Name, b.AtOnce, b.Evictions, clock(b.BlockedSeconds), 100*b.Share)
		}
	})
}

func (t *textWriter) blockers(f *Result) {
	switch {
	case f.TooShort():
		t.printf("\nNot finished within --limit:\n\n")
	case len(f.Blockers) > 0:
		t.printf("\nCannot finish:\n\n")
	}
	for _, b := range f.Blockers {
		what := b.Pod
		if b.Pods > 1 {
			what += fmt.Sprintf(" (and %d more)", b.Pods-1)
		}
		if what != "" {
			what = ": " + what
		}
		t.printf("* %s%s: %s\n  Fix: %s\n", b.Node, what, b.Message, b.Fix)
	}
	if f.Homeless > 0 {
		t.printf("\n%d pods do not fit on any node: uncordon or add nodes.\n", f.Homeless)
	}
}

func (t *textWriter) basis(f *Result) {
	if len(f.StartTimes) > 0 {
		t.printf("\nStart times, from creation until Ready:\n\n")
		t.table(func(row func(string, ...any)) {
			row("CONTROLLER\tPODS\tTIME\tFROM")
			for _, s := range f.StartTimes {
				row("%s/%s\t%d\t%.1fs\t%s", s.Namespace, s.Controller, s.Pods, s.Seconds, s.Source)
			}
		})
	}
	t.printf("\nAssumptions:\n\n")
	for _, a := range f.Assumptions {
		t.printf("* %s\n", a)
	}
}

// clock is a time as people read it.
func clock(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func orNever(seconds *float64) string {
	if seconds == nil {
		return "never"
	}
	return clock(*seconds)
}
