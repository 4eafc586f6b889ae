package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/test/suite"
)

// terminal is a pseudo-terminal, and what a program has written to it.
type terminal struct {
	command *exec.Cmd
	closed  chan struct{}

	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

// openTerminal makes a pseudo-terminal of a size: the side of whoever looks at it,
// and that of the program.
func openTerminal(width, height uint16) (person, program *os.File, err error) {
	person, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	control, err := person.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	number := 0
	if failed := control.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if err == nil {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
		}
	}); failed != nil {
		err = failed
	}
	if err != nil {
		return nil, nil, err
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return person, program, err
}

// runInTerminal runs the plugin in a terminal of 100 columns.
func (e *env) runInTerminal(environment []string, args ...string) *terminal {
	e.Helper()
	person, program, err := openTerminal(100, 30)
	if err != nil {
		e.Fatal(err)
	}
	t := &terminal{closed: make(chan struct{}), changed: make(chan struct{}, 1)}
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

// lines are what the terminal shows: the escape sequences that the plugin writes
// are carried out.
func (t *terminal) lines() []string {
	shown, at := []string{}, 0
	rest := regexp.MustCompile(`\x1b\[\d+m|\x1b\[0m`).ReplaceAllString(t.written(), "")
	up := regexp.MustCompile(`^\x1b\[(\d+)A\r`)
	for rest != "" {
		if m := up.FindStringSubmatch(rest); m != nil {
			n := 0
			_, _ = fmt.Sscan(m[1], &n)
			at = max(0, at-n)
			rest = rest[len(m[0]):]
			continue
		}
		if after, is := strings.CutPrefix(rest, "\x1b[J"); is {
			shown, rest = shown[:min(at, len(shown))], after
			continue
		}
		line, after, ended := strings.Cut(rest, "\n")
		if !ended {
			break
		}
		if line = strings.TrimRight(strings.ReplaceAll(line, "\x1b[K", ""), "\r"); at < len(shown) {
			shown[at] = line
		} else {
			shown = append(shown, line)
		}
		at, rest = at+1, after
	}
	return shown
}

// await waits until the terminal shows a line in which all the words are.
func (e *env) awaitLine(t *terminal, words ...string) {
	e.Helper()
	poll(e.T, "the terminal shows "+strings.Join(words, " "), func() bool {
		return slices.ContainsFunc(t.lines(), func(l string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l, w) })
		})
	})
}

// end waits for the end of the program and returns its exit status.
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
	status := e.runInTerminal(nil, "status", "-w", "-l", poolLabel+"="+e.pool)
	e.awaitLine(status, "No node has a request")
	plain := e.runInTerminal([]string{"NO_COLOR=1"}, "drain", node, "--id=r", "--wait")
	e.awaitLine(plain, node, "Draining")
	e.awaitLine(status, node, "Draining", "2/10")
	if lines := status.lines(); len(lines) != 2 || !strings.HasPrefix(lines[0], "NODE") {
		t.Errorf("the terminal shows\n%s", strings.Join(lines, "\n"))
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
