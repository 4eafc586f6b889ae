package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/simulate"
	"drainer.dev/drainer/test/cluster/workload"
)

// Forecast is what drainer simulate says of the scene before a run of drainer,
// beside what was measured. A run of a contender that is not drainer has none.
type Forecast struct {
	// History has start times from the history of the scene's pods, all of which
	// were created at once: that takes longer than to replace one.
	History Foreseen
	// Told has the start times of the scenario.
	Told Foreseen
	// Learned has start times from the history of the pods that replaced others in
	// this run, as those of a cluster have that has been running for a while, and from
	// drainer's own metrics, as a drain before it shows, the latency of the API server
	// and how long pods take until they are gone.
	Learned Foreseen

	dump string
}

// Foreseen is one forecast. Times are in seconds.
type Foreseen struct {
	// Makespan and LastDrained are those of a Result.
	Makespan, LastDrained float64
	// Concordant is the share of the pairs of nodes that are drained in the order
	// of the forecast, where a tie counts half. Kendall's tau is twice that less 1.
	Concordant float64
	order      []string
}

// foresee dumps the scene and forecasts drainer's run in it.
func (r *run1) foresee(ctx context.Context) (*Forecast, error) {
	dump := filepath.Join(r.dir, r.namespace+".json")
	words := strings.Fields(simulate.Command)
	command := exec.CommandContext(ctx, r.Cluster.Kubectl(), append([]string{"--kubeconfig=" + r.Cluster.Kubeconfig()}, words[1:]...)...)
	command.Env = append(os.Environ(), "HOME="+r.dir)
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("dumping the scene: %w", err)
	}
	if err := os.WriteFile(dump, out, 0o600); err != nil {
		return nil, fmt.Errorf("writing the dump: %w", err)
	}
	f := &Forecast{dump: dump}
	if f.History, err = r.simulate(ctx, dump); err != nil {
		return nil, err
	}
	f.Told, err = r.simulate(ctx, dump, "--start-time="+r.Start.String())
	return f, err
}

// simulate lets drainer forecast the drain of a dump.
func (r *run1) simulate(ctx context.Context, dump string, flags ...string) (Foreseen, error) {
	var stderr bytes.Buffer
	args := slices.Concat([]string{
		"simulate", "-f", dump, "-o", "json", "--drain=" + strings.Join(r.drained, ","), "--node-selector=scenario=" + r.Name,
	}, limitsOfSimulate(), flags)
	command := exec.CommandContext(ctx, r.Drainer, args...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return Foreseen{}, fmt.Errorf("forecasting: %w\n%s", err, stderr.String())
	}
	var result simulate.Result
	if err := json.Unmarshal(out, &result); err != nil {
		return Foreseen{}, fmt.Errorf("reading the forecast: %w", err)
	}
	if !result.Complete {
		return Foreseen{}, fmt.Errorf("forecasting: not every node is drained: %+v", result.Blockers)
	}
	f := Foreseen{Makespan: result.EmptySeconds, LastDrained: result.MakespanSeconds}
	for _, n := range result.Nodes {
		f.order = append(f.order, n.Name)
	}
	return f, nil
}

// limitsOfSimulate are those of noLimits that simulate has.
func limitsOfSimulate() []string {
	return slices.DeleteFunc(slices.Clone(noLimits), func(flag string) bool { return strings.HasPrefix(flag, "--kube-api") })
}

// compare stores in which order the nodes were drained, and forecasts once more with
// what the run's own pods and drainer's metrics show.
func (r *run1) compare(ctx context.Context, f *Forecast, o *observer, used Usage) (err error) {
	pods, err := r.Client.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the pods: %w", err)
	}
	pods.Items = slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.CreationTimestamp.Time.Before(o.begun.Truncate(time.Second)) })
	took := simulate.History(pods.Items)
	apps := map[string]bool{}
	flags := []string{
		fmt.Sprintf("--api-latency=%.0fms", 1000*used.Answer),
		fmt.Sprintf("--removal-delay=%.0fms", max(0, 1000*(used.Termination-r.Stop.Seconds()))),
	}
	for _, p := range pods.Items {
		app := p.Labels[workload.AppLabel]
		if d, known := took[metav1.GetControllerOf(&p).UID]; known && !apps[app] {
			apps[app] = true
			flags = append(flags, fmt.Sprintf("--start-time-of=%s/%s=%v", r.namespace, app, d))
		}
	}
	f.Learned, err = r.simulate(ctx, f.dump, flags...)
	for _, seen := range []*Foreseen{&f.History, &f.Told, &f.Learned} {
		seen.Concordant = concordant(seen.order, o.drained)
	}
	return err
}

// concordant is the share of the pairs that were drained in the order.
func concordant(order []string, at map[string]time.Duration) float64 {
	agree, pairs := 0., 0.
	for i, first := range order {
		for _, second := range order[i+1:] {
			pairs++
			switch {
			case at[first] < at[second]:
				agree++
			case at[first] == at[second]:
				agree += .5
			}
		}
	}
	if pairs == 0 {
		return 1
	}
	return agree / pairs
}

// line is the forecast beside what was measured, for people.
func (f *Forecast) line(measured *Result) string {
	text := func(name string, seen Foreseen) string {
		return fmt.Sprintf("%s %.1fs (%+.0f %%), order %.0f %%", name, seen.Makespan,
			100*(seen.Makespan/measured.Makespan-1), 100*seen.Concordant)
	}
	return fmt.Sprintf("%s, round %d: forecast of the makespan %.1fs: %s; %s; %s", measured.Scenario, measured.Round, measured.Makespan,
		text("from the scenario's times", f.Told), text("from the history of the new pods and the metrics of the run", f.Learned), text("from that of the old ones", f.History))
}
