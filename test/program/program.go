// Package program runs a program beside the tests that says in its log when,
// and where, it can be reached.
package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Program is a running program.
type Program struct {
	// Log is the path of its log.
	Log string

	command *exec.Cmd
	ended   chan struct{}
	err     error
}

// Start runs a command with its standard error in a log, and returns once see,
// which is shown every line of it, has returned true. The program keeps running
// when the context ends. Nothing is left if there is an error.
func Start(ctx context.Context, command *exec.Cmd, log string, see func(line []byte) bool) (*Program, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("making the log of %s: %w", command.Path, err)
	}
	pipe, err := command.StderrPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", command.Path, err), out.Close())
	}
	p := &Program{Log: log, command: command, ended: make(chan struct{})}
	seen := make(chan struct{})
	go func() {
		defer close(p.ended)
		defer out.Close()
		copyLines(pipe, out, see, seen)
		p.err = command.Wait()
	}()
	select {
	case <-seen:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended at once: %w; see %s", command.Path, p.err, log)
	case <-ctx.Done():
		p.Kill()
		return nil, fmt.Errorf("waiting until %s can be reached: %w; see %s", command.Path, context.Cause(ctx), log)
	}
}

// copyLines shows the lines until see has seen enough.
func copyLines(from io.Reader, to io.Writer, see func([]byte) bool, seen chan<- struct{}) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		_, _ = to.Write(line)
		if seen != nil && see(line) {
			close(seen)
			seen = nil
		}
		if err != nil {
			return
		}
	}
}

// Kill ends the program like a crash. It may be called more than once.
func (p *Program) Kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// Signal sends the program a signal.
func (p *Program) Signal(s os.Signal) error {
	if err := p.command.Process.Signal(s); err != nil {
		return fmt.Errorf("sending %v to %s: %w", s, p.command.Path, err)
	}
	return nil
}

// Ended is true once the program has ended.
func (p *Program) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Wait returns the exit status once the program has ended.
func (p *Program) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the end of %s: %w; see %s", p.command.Path, context.Cause(ctx), p.Log)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		return 0, fmt.Errorf("waiting for the end of %s: %w", p.command.Path, p.err)
	}
	return p.command.ProcessState.ExitCode(), nil
}
