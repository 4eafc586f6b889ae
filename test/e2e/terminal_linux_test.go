package e2e

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/test/suite"
	pty "drainer.dev/drainer/test/terminal"
)

// terminal is a pseudo-terminal, and what a program has written to it.
type terminal struct {
	command *exec.Cmd
	width   int
	closed  chan struct{}

	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

// runInTerminal runs the plugin in a terminal of so many columns.
func (e *env) runInTerminal(width uint16, environment []string, args ...string) *terminal {
	e.Helper()
	person, program, err := pty.Open(width, 30)
	if err != nil {
		e.Fatal(err)
	}
	t := &terminal{width: int(width), closed: make(chan struct{}), changed: make(chan struct{}, 1)}
	t.command = exec.CommandContext(e.Context(), e.plugin(), append(args, "--kubeconfig="+shared.Cluster.Kubeconfig())...)
	t.command.Stdin, t.command.Stdout, t.command.Stderr = program, program, program
	t.command.Env = append(os.Environ(), append([]string{"TERM=xterm-256color", "NO_COLOR="}, environment...)...)
	if err := t.command.Start(); err != nil {
		e.Fatal(err)
	}
	program.Close()
	go func() {
		defer close(t.closed)
		defer person.Close()
		for buffer := make([]byte, 4096); ; {
			n, err := person.Read(buffer)
			t.mu.Lock()
			t.text.Write(buffer[:n])
			t.mu.Unlock()
			select {
			case t.changed <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return t
}

func (t *terminal) written() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// lines are what the terminal shows.
func (t *terminal) lines() []string {
	var lines []string
	for _, l := range pty.Show(t.written(), t.width) {
		lines = append(lines, l.String())
	}
	return lines
}

// awaitLine waits until the terminal shows a line in which all the words are.
func (e *env) awaitLine(t *terminal, words ...string) {
	e.Helper()
	poll(e.T, "the terminal shows "+strings.Join(words, " "), func() bool {
		return slices.ContainsFunc(t.lines(), func(l string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l, w) })
		})
	})
}

// endOf waits for the end of the program and returns its exit status.
func (e *env) endOf(t *terminal) int {
	e.Helper()
	suite.Receive(e, "the terminal is closed", t.closed)
	_ = t.command.Wait()
	return t.command.ProcessState.ExitCode()
}

// TestPluginTerminal: on a terminal the table is drawn in place, in colors, and
// Ctrl-C ends it; the drain does not end with it.
func TestPluginTerminal(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.twoOfTen(node)
	e.start()
	status := e.runInTerminal(100, nil, "status", "-w", "-l", poolLabel+"="+e.pool)
	e.awaitLine(status, "No node with the labels "+poolLabel+"="+e.pool+" has a request.")
	narrow := e.runInTerminal(60, nil, "status", "-w", "-l", poolLabel+"="+e.pool)
	wide := e.runInTerminal(180, nil, "status", "-w", "-o", "wide", "-l", poolLabel+"="+e.pool)
	plain := e.runInTerminal(100, []string{"NO_COLOR=1"}, "drain", node, "--id=r", "--wait")
	e.awaitLine(plain, node, "Draining")
	e.awaitLine(status, node, "Draining", "2/10")
	if lines := status.lines(); len(lines) != 2 || !strings.HasPrefix(lines[0], "NODE") {
		t.Errorf("the terminal shows\n%s", strings.Join(lines, "\n"))
	}
	// A line that does not fit would take two lines of the terminal.
	e.awaitLine(narrow, node, "Draining", "2/10")
	e.awaitLine(wide, node, "Draining", "2/10", "r")
	for _, other := range []*terminal{narrow, wide} {
		if lines := other.lines(); len(lines) != 2 || !strings.HasPrefix(lines[0], "NODE") {
			t.Errorf("the terminal of %d columns shows\n%s", other.width, strings.Join(lines, "\n"))
		}
	}
	if err := plain.command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := e.endOf(plain); got != cli.ExitInterrupted || !strings.Contains(plain.written(), "kubectl drainer cancel "+node) {
		t.Errorf("after Ctrl-C it ended with %d:\n%s", got, plain.written())
	}
	if strings.Contains(plain.written(), "\x1b[3") {
		t.Errorf("with NO_COLOR it writes %q", plain.written())
	}
	e.editBudget("web", "10")
	e.awaitDrained(node, "r")
	e.awaitLine(status, node, "Drained", "[##########]")
	if !strings.Contains(status.written(), "\x1b[32mDrained\x1b[0m") {
		t.Errorf("it writes %q", status.written())
	}
	if err := status.command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := e.endOf(status); got != 0 {
		t.Errorf("after Ctrl-C status -w ended with %d:\n%s", got, status.written())
	}
	if e.status(node).Phase != api.Drained {
		t.Errorf("the node is %s", e.status(node).Phase)
	}
}
