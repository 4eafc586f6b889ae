package e2e

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/suite"
)

// These tests disturb the whole cluster: no other runs at the same time.

// TestFaultServer: kube-apiserver is killed and starts again, three times.
func TestFaultServer(t *testing.T) {
	f := disturb(setupAlone(t, 6), "kube-apiserver killed and started again 3 times", 1)
	// While it starts it does not know all roles yet.
	f.mayBeForbidden = true
	f.requestAll("fault")
	for range 3 {
		f.last(time.Millisecond, time.Second, 4*time.Second, func() {})
		if err := shared.Cluster.RestartAPIServer(); err != nil {
			t.Fatal(err)
		}
		f.awaitRestarted("kube-apiserver")
	}
	f.recover("fault")
}

// awaitRestarted waits until a program of the cluster is another process, and the API
// server ready.
func (f *trouble) awaitRestarted(program string) {
	f.Helper()
	was := shared.Cluster.Processes[program]
	suite.Await(f, nil, program+" is another process", func() error {
		now, err := shared.Cluster.Now()
		if err == nil && now.Processes[program] == was {
			err = await.NotYet("it is the same")
		}
		if err == nil {
			shared.Cluster.State = now
		}
		return err
	})
	suite.Await(f, nil, "the API server is ready", func() error {
		if err := shared.Client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(f.Context()).Error(); err != nil {
			return await.NotYet("%v", err)
		}
		return nil
	})
}

// TestFaultStore: etcd stands still for longer than a lease lasts.
func TestFaultStore(t *testing.T) {
	f := disturb(setupAlone(t, 6), "etcd stopped for 30 s", 1)
	f.standStill("etcd", 30*time.Second)
}

// TestFaultControllers: nobody computes budgets, or replaces pods.
func TestFaultControllers(t *testing.T) {
	f := disturb(setupAlone(t, 6), "kube-controller-manager stopped for 30 s", 1)
	f.standStill("kube-controller-manager", 30*time.Second)
}

// standStill stops a component for a time while drains are under way.
func (f *trouble) standStill(component string, d time.Duration) {
	f.Helper()
	f.requestAll("fault")
	f.awaitStarted(f.draining[0])
	resume := f.stop(component)
	f.silent = true
	f.last(d, time.Second, 2*time.Second, func() {})
	f.silent = false
	resume()
	f.recover("fault")
}

// stop stops a component until the function returned is called, or the test ends.
func (f *trouble) stop(component string) (resume func()) {
	f.Helper()
	if err := shared.Cluster.Signal(component, syscall.SIGSTOP); err != nil {
		f.Fatal(err)
	}
	resume = sync.OnceFunc(func() {
		if err := shared.Cluster.Signal(component, syscall.SIGCONT); err != nil {
			f.Error(err)
		}
	})
	f.Cleanup(resume)
	return resume
}
