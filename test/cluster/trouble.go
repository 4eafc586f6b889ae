package cluster

import (
	"fmt"
	"syscall"
)

// Now is the cluster's state as it is now: restarts change it.
func (c *Cluster) Now() (State, error) {
	now, err := Open(c.Dir)
	if err != nil {
		return State{}, err
	}
	return now.State, nil
}

// Signal sends a signal to the process of a component: SIGSTOP stops it, as a
// machine does that is out of memory, and SIGCONT lets it continue.
func (c *Cluster) Signal(component string, s syscall.Signal) error {
	now, err := c.Now()
	if err != nil {
		return err
	}
	pid, known := now.Processes[component]
	if !known {
		return fmt.Errorf("the cluster in %s has no component %q", c.Dir, component)
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("sending %v to %s: %w", s, component, err)
	}
	return nil
}

// RestartAPIServer kills kube-apiserver, like a crash, and lets it start again. It
// returns at once.
func (c *Cluster) RestartAPIServer() error {
	if err := syscall.Kill(c.Keeper, restartSignal); err != nil {
		return fmt.Errorf("asking the keeper of the cluster in %s to restart kube-apiserver: %w", c.Dir, err)
	}
	return nil
}
