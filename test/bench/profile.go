package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"drainer.dev/drainer/test/cluster/daemon"
)

// profileSlice is how much time one file of a profile covers: how long a run
// takes is not known before, and a profile cannot be cut short.
const profileSlice = 5 * time.Second

// wrappers are functions that only call others, which would take all ten lines.
const wrappers = `^main\.|^sync\.|/pkg/leader\.|\(\*Controller\)\.Run|^runtime\.(systemstack|mcall|gcBgMarkWorker\.func2|gcDrain)`

// profile profiles a process, if profiles are wanted, until stop is called. The
// name is that of the scenario.
func (s *stage) profile(ctx context.Context, p *daemon.Process, name string) (stop func() error) {
	if s.profiles == "" {
		return func() error { return nil }
	}
	enough, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for slice := 0; ; slice++ {
			select {
			case <-enough:
				ended <- nil
				return
			default:
			}
			file := filepath.Join(s.profiles, fmt.Sprintf("%s-%03d-%03d.pprof", name, s.runs, slice))
			if err := writeProfile(file, func(to io.Writer) error { return p.CPUProfile(ctx, profileSlice, to) }); err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() error {
		close(enough)
		return <-ended
	}
}

func writeProfile(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the folder of the profiles: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("creating a profile: %w", err)
	}
	return errors.Join(write(file), file.Close())
}

// profileHeap writes a profile of the memory that the process uses now, if
// profiles are wanted.
func (s *stage) profileHeap(ctx context.Context, p *daemon.Process, name string) error {
	if s.profiles == "" {
		return nil
	}
	return writeProfile(filepath.Join(s.profiles, name+"-heap.pb.gz"), func(to io.Writer) error { return p.HeapProfile(ctx, to) })
}

// printProfile prints the top 10 by cumulative time over all runs in a scenario.
func (s *stage) printProfile(ctx context.Context, name string) error {
	if s.profiles == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(s.profiles, name+"-*.pprof"))
	if err != nil || len(files) == 0 {
		return err
	}
	top := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-top", "-cum", "-nodecount=10", "-hide=" + wrappers}, files...)...)
	out, err := top.CombinedOutput()
	if err != nil {
		return fmt.Errorf("reading the profiles: %w\n%s", err, out)
	}
	fmt.Printf("%s", out)
	return nil
}
