package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/suite"
)

// ownCluster is a cluster that no other test needs, before or afterwards.
type ownCluster struct {
	ctx    context.Context
	worlds []*world
}

// moveOut lets everything of the test happen in a cluster of its own. No other test
// may run at the same time.
func moveOut(t *testing.T) *ownCluster {
	t.Helper()
	was := shared
	ctx, cancel := context.WithCancel(suite.Closing(t))
	own := &ownCluster{ctx: ctx}
	t.Cleanup(func() {
		cancel()
		for _, w := range own.worlds {
			w.stop()
		}
		if err := shared.Stop(); err != nil {
			t.Error(err)
		}
		shared = was
	})
	dir := filepath.Join(filepath.Dir(was.Cluster.Dir), strings.ToLower(t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	shared.Stage, shared.world = nil, nil
	if err := prepare(ctx, dir); err != nil {
		t.Fatal(err)
	}
	own.worlds = append(own.worlds, shared.world)
	return own
}

// goBack restores the backup of the cluster's etcd. What is judged begins again, with
// the versions, which are given a second time.
func (own *ownCluster) goBack(f *trouble) {
	f.Helper()
	server := shared.Cluster.Processes["kube-apiserver"]
	if err := shared.Cluster.Restore(); err != nil {
		f.Fatal(err)
	}
	poll(f.T, "the API server ends", func() bool { return syscall.Kill(server, 0) != nil })
	f.since = time.Now()
	f.watched.forget()
	f.awaitRestarted("etcd")
	world, err := watchWorld(own.ctx, shared.Client)
	if err != nil {
		f.Fatal(err)
	}
	own.worlds = append(own.worlds, world)
	shared.world = world
}

// write makes changes that nobody needs.
func (f *trouble) write(changes int) {
	f.Helper()
	maps := shared.Client.CoreV1().ConfigMaps(f.namespace)
	o, err := maps.Create(f.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "news"}}, metav1.CreateOptions{})
	for i := 0; i < changes && err == nil; i++ {
		o.Data = map[string]string{"n": strings.Repeat("x", i)}
		o, err = maps.Update(f.Context(), o, metav1.UpdateOptions{})
	}
	if err != nil {
		f.Fatal(err)
	}
}

// TestFaultRestore: etcd is restored from a backup made before the drain, of which
// nothing tells drainer. Its process notices that versions are older than those it has
// seen, and ends. The next one goes by what is there: the requests are lost, so
// the nodes are released, and drained when they are requested again.
func TestFaultRestore(t *testing.T) {
	own := moveOut(t)
	// A lease that outlives the restart of everything, so that not its loss ends the
	// process.
	f := disturb(setupAlone(t, 6), "etcd restored from a backup made before the drain", 1,
		"--eviction-qps=1", "--eviction-burst=1", "--leader-elect-lease-duration=5m", "--leader-elect-renew-deadline=4m")
	f.mayBeForbidden = true // While the API server starts it does not know all roles yet.
	first := f.list[0]
	poll(t, "it leads", first.leads)
	if err := shared.Cluster.BackUp(); err != nil {
		t.Fatal(err)
	}
	f.requestAll("lost")
	f.awaitEvictions(4)
	// After these, what happens from the backup on does not soon reach the versions
	// that drainer has seen.
	f.write(1000)
	f.judge()
	own.goBack(f)
	suite.Await(f, nil, "the process notices it and ends", func() error {
		if !first.Ended() {
			return await.NotYet("it runs")
		}
		return nil
	})
	log, err := os.ReadFile(first.Log)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := first.Wait(f.Context()); err != nil || status != 1 || !strings.Contains(string(log), "its storage was restored from a backup") {
		t.Errorf("it ended with status %d, %v; its log ends with\n%s", status, err, tail(first.Log, 5))
	}
	t.Logf("the process noticed it after %v", time.Since(f.since).Round(time.Second))
	if err := shared.ExpireLease(f.Context(), f.namespace); err != nil {
		t.Fatal(err)
	}
	poll(t, "the next process leads", func() bool { f.revive(); return f.list[0].leads() })
	f.awaitAllReleased()
	f.requestAll("fault")
	f.recover("fault")
}
