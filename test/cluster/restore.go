package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"drainer.dev/drainer/test/await"
)

// BackUp copies what etcd holds, for Restore. An earlier copy is replaced.
func (c *Cluster) BackUp() error {
	backup := filepath.Join(c.Dir, backupDir)
	if err := os.RemoveAll(backup); err != nil {
		return fmt.Errorf("removing the backup of etcd before: %w", err)
	}
	if err := c.Signal("etcd", syscall.SIGSTOP); err != nil {
		return err
	}
	// What a process that stands still has written is what a crash at this moment
	// would have left, and etcd starts from that.
	err := os.CopyFS(backup, os.DirFS(filepath.Join(c.Dir, etcdDir)))
	if err = errors.Join(err, c.Signal("etcd", syscall.SIGCONT)); err != nil {
		return fmt.Errorf("copying what etcd holds: %w", err)
	}
	return nil
}

// Restore replaces what etcd holds by the backup: all programs are killed, etcd
// starts from the copy, and the others after it. It returns at once. The programs
// are other processes once Now shows another etcd.
func (c *Cluster) Restore() error {
	if _, err := os.Stat(filepath.Join(c.Dir, backupDir)); err != nil {
		return fmt.Errorf("restoring etcd: call BackUp first: %w", err)
	}
	if err := syscall.Kill(c.Keeper, restoreSignal); err != nil {
		return fmt.Errorf("asking the keeper of the cluster in %s to restore etcd: %w", c.Dir, err)
	}
	return nil
}

// restore starts everything again from the backup, which it uses up.
func (p *controlPlane) restore(ctx context.Context) error {
	clients := []string{"kube-controller-manager", "kube-scheduler", "kwok"}
	were := map[string]*process{}
	for _, name := range append(clients, "kube-apiserver", "etcd") {
		were[name] = p.halt(name)
	}
	if err := errors.Join(os.RemoveAll(p.path(etcdDir)), os.Rename(p.path(backupDir), p.path(etcdDir))); err != nil {
		return fmt.Errorf("putting the backup of etcd in its place: %w", err)
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := p.resume(name, were[name]); err != nil {
			return err
		}
	}
	// The controllers end if the API server lets them wait.
	if err := p.waitReady(ctx, await.Waiter{Progress: os.Stderr}); err != nil {
		return err
	}
	for _, name := range clients {
		if err := p.resume(name, were[name]); err != nil {
			return err
		}
	}
	return p.writeState()
}
