package cluster

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// process is a program that runs, and how it was started.
type process struct {
	*exec.Cmd
	// replaced is true once it is to end, because another takes its place.
	replaced bool
	ended    chan struct{}
}

// start runs one program, with its output in the logs.
func (p *controlPlane) start(name string, env []string, args ...string) error {
	log, err := os.Create(p.path(filepath.Join("logs", name+".log")))
	if err != nil {
		return fmt.Errorf("making a log: %w", err)
	}
	defer log.Close()
	command := exec.Command(filepath.Join(p.binaries, name), args...)
	command.Env = append(os.Environ(), env...)
	return p.run(name, command, log)
}

// run runs a program of that name, with its output in the log.
func (p *controlPlane) run(name string, command *exec.Cmd, log *os.File) error {
	command.Stdout, command.Stderr = log, log
	command.Dir = p.dir
	command.SysProcAttr = ChildAttributes()
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	is := &process{Cmd: command, ended: make(chan struct{})}
	p.mu.Lock()
	p.processes[name] = is
	p.mu.Unlock()
	p.ended.Go(func() {
		defer close(is.ended)
		err := command.Wait()
		p.mu.Lock()
		stopping := p.stopping || is.replaced
		p.mu.Unlock()
		if stopping {
			return
		}
		select {
		case p.failed <- fmt.Errorf("%s ended by itself (%w); the end of its log:\n%s", name, err, lastLines(log.Name(), 10)):
		default:
		}
	})
	return nil
}

// restart kills a program like a crash and starts it again, as it was started. Its
// log continues.
func (p *controlPlane) restart(name string) error {
	if err := p.resume(name, p.halt(name)); err != nil {
		return err
	}
	return p.writeState()
}

// halt kills a program like a crash, and returns how it was started.
func (p *controlPlane) halt(name string) *process {
	p.mu.Lock()
	was := p.processes[name]
	was.replaced = true
	p.mu.Unlock()
	_ = was.Process.Kill()
	<-was.ended
	return was
}

// resume starts a program again that was halted. Its log continues.
func (p *controlPlane) resume(name string, was *process) error {
	log, err := os.OpenFile(p.path(filepath.Join("logs", name+".log")), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close()
	command := exec.Command(was.Path, was.Args[1:]...)
	command.Env = was.Env
	return p.run(name, command, log)
}

// stop ends all processes at once: nothing of them is kept.
func (p *controlPlane) stop() {
	p.mu.Lock()
	p.stopping = true
	processes := slices.Collect(maps.Values(p.processes))
	p.mu.Unlock()
	for _, command := range processes {
		_ = command.Process.Kill()
	}
	p.ended.Wait()
	_ = os.Remove(p.path(clusterStateFile))
	for _, dir := range []string{etcdDir, backupDir} {
		_ = os.RemoveAll(p.path(dir))
	}
}
