// Command bench measures drainer beside what people use today, on one local
// control plane, in one run, one after the other, repeatedly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
)

func main() {
	cluster.KeeperMain()
	var (
		chosen = flag.String("scenarios", "", "comma-separated names of scenarios; all without it")
		runs   = flag.Int("runs", 5, "how often each contender runs at most; medians are shown")
		out    = flag.String("out", "", "folder for benchmarks.json, benchmarks.md and plots, where scenarios that are not chosen stay as they were; none without it")
	)
	peers := flag.Bool("peers", true, "let drainer's peers run, too")
	slow := flag.Bool("slow", false, "let the slow peers run, too: kubectl drain in one command, and the models")
	keep := flag.Bool("keep", false, "keep the logs, also of a run that succeeds")
	profiles := flag.String("profiles", "", "folder for profiles of drainer: of its processor time in each scenario, whose top 10 by cumulative time is printed, and of its memory in watched; none without it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, settings{*chosen, *runs, *out, *profiles, *peers, *slow, *keep})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	chosen        string
	runs          int
	out, profiles string
	// peers and slow say who runs beside drainer.
	peers, slow, keep bool
}

func run(ctx context.Context, o settings) (err error) {
	wanted, err := choose(o.chosen)
	if err != nil {
		return err
	}
	if o.runs < 1 {
		return fmt.Errorf("-runs=%d: expected at least 1", o.runs)
	}
	dir, err := os.MkdirTemp("", "drainer-bench-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil && !o.keep {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(os.Stderr, "Logs are in", dir)
		}
	}()
	s, err := newStage(ctx, dir)
	if err != nil {
		return err
	}
	s.profiles = o.profiles
	defer func() { err = errors.Join(err, s.Stop()) }()
	report, err := readReport(o.out)
	if err != nil {
		return err
	}
	for _, step := range s.steps(report, o) {
		if !wanted[step.name] {
			continue
		}
		begun := time.Now()
		if err := step.take(ctx); err != nil {
			return fmt.Errorf("scenario %s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s took %v\n", step.name, time.Since(begun).Round(time.Second))
		if o.out == "" {
			continue
		}
		// What was measured is kept if a later scenario fails.
		if err := report.write(o.out); err != nil {
			return err
		}
	}
	fmt.Println()
	printTable(os.Stdout, goalColumns, cellsOf(report.goals()))
	return nil
}

// step is a scenario or a probe.
type step struct {
	name string
	take func(context.Context) error
}

// steps are everything that can be measured, each with what it prints.
func (s *stage) steps(report *Report, o settings) []step {
	var list []step
	for _, sc := range scenarios() {
		list = append(list, step{sc.Name, func(ctx context.Context) error {
			results, err := s.play(ctx, sc, o)
			report.Races = slices.DeleteFunc(report.Races, func(r Result) bool { return r.Scenario == sc.Name })
			report.Races = append(report.Races, results...)
			if err != nil {
				return err
			}
			rows := report.rows(sc)
			fmt.Printf("\n%s: %s\n", sc.Name, sc.Title)
			printTable(os.Stdout, columns, cellsOf(rows))
			fmt.Println(rows[0].cost())
			return s.printProfile(ctx, sc.Name)
		}})
	}
	for _, p := range probes() {
		list = append(list, step{p.name, func(ctx context.Context) error {
			if err := p.take(s, ctx, &report.Probes); err != nil {
				return err
			}
			fmt.Printf("\n%s: %s: %s\n", p.name, p.title, report.Probes.lines()[p.name])
			return s.printProfile(ctx, p.name)
		}})
	}
	return list
}

// choose reads a list of names; the empty list means all.
func choose(names string) (map[string]bool, error) {
	wanted := map[string]bool{}
	var known []string
	for _, step := range (*stage)(nil).steps(&Report{}, settings{}) {
		known = append(known, step.name)
		wanted[step.name] = names == ""
	}
	if names == "" {
		return wanted, nil
	}
	for _, name := range strings.Split(names, ",") {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-scenarios=%s: %q is not one of %s", names, name, strings.Join(known, ", "))
		}
		wanted[name] = true
	}
	return wanted, nil
}

// newStage starts the cluster and makes what all runs share.
func newStage(ctx context.Context, dir string) (*stage, error) {
	running, err := daemon.NewStage(ctx, dir, os.Stderr)
	if err != nil {
		return nil, err
	}
	s := &stage{Stage: running, dir: dir}
	if err := daemon.InstallClusterRole(ctx, s.Client); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}
