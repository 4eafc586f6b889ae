package e2e

import (
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
		f.awaitServer()
	}
	f.recover("fault")
}

// awaitServer waits until the API server has ended and is ready again.
func (f *trouble) awaitServer() {
	f.Helper()
	was := shared.Cluster.Processes["kube-apiserver"]
	suite.Await(f, nil, "the API server is another process", func() error {
		now, err := shared.Cluster.Now()
		if err == nil && now.Processes["kube-apiserver"] == was {
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
	signal := func(s syscall.Signal) {
		if err := shared.Cluster.Signal(component, s); err != nil {
			f.Fatal(err)
		}
	}
	f.requestAll("fault")
	f.awaitStarted(f.draining[0])
	signal(syscall.SIGSTOP)
	// Also if the test ends before.
	f.Cleanup(func() { _ = shared.Cluster.Signal(component, syscall.SIGCONT) })
	// Nothing can be started in the meantime: it needs a token of the API server.
	over := time.Now().Add(d)
	suite.Await(f, nil, "the fault is over", func() error {
		if left := time.Until(over); left > 0 {
			return await.NotYet("%v are left", left)
		}
		return nil
	})
	signal(syscall.SIGCONT)
	f.recover("fault")
}
