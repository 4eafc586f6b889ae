package apiserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/test/bubble"
)

// stage is a server of a cluster with the nodes n1 and n2 and a client.
type stage struct {
	*testing.T
	*Server
	transport *Transport
	client    kubernetes.Interface
	ctx       context.Context
}

const latency = 10 * time.Millisecond

// play runs a test in a bubble.
func play(t *testing.T, test func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := sim.New(sim.Options{Start: time.Now()})
		c.AddNode("n1", nil)
		c.AddNode("n2", nil)
		c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: 2, Behavior: sim.Behavior{StopsIn: 2 * time.Second}}, "n1", "n1")
		ctx, cancel := context.WithCancel(t.Context())
		s := &stage{T: t, Server: New(c, latency), ctx: ctx}
		s.transport = s.Transport("test")
		client, err := kubernetes.NewForConfig(s.config())
		if err != nil {
			t.Fatal(err)
		}
		s.client = client
		var running sync.WaitGroup
		running.Go(func() { s.Server.Run(ctx) })
		defer running.Wait()
		defer cancel()
		test(s)
	})
}

// config is that of a client that speaks JSON.
func (s *stage) config() *rest.Config {
	return &rest.Config{
		Host: "http://sim", Transport: s.transport, QPS: -1,
		ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON, AcceptContentTypes: runtime.ContentTypeJSON},
	}
}

func (s *stage) node(name string) *corev1.Node {
	s.Helper()
	n, err := s.client.CoreV1().Nodes().Get(s.ctx, name, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return n
}

func (s *stage) evict(name string, uid types.UID) error {
	return s.client.CoreV1().RESTClient().Post().Namespace("shop").Resource("pods").Name(name).SubResource("eviction").MaxRetries(0).
		Body(&policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}},
		}).Do(s.ctx).Error()
}

// TestLease: the second of two concurrent updates of a lease conflicts.
func TestLease(t *testing.T) {
	play(t, func(s *stage) {
		leases := s.client.CoordinationV1().Leases("drainer")
		made, err := leases.Create(s.ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "drainer"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leases.Create(s.ctx, made, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
			t.Errorf("a second lease of the name is answered %v", err)
		}
		if _, err := leases.Update(s.ctx, made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := leases.Update(s.ctx, made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("an update of an old version is answered %v", err)
		}
	})
}

// pods is an informer of the pods of n1.
func (s *stage) pods() cache.Store {
	s.Helper()
	pods := s.client.CoreV1().Pods("")
	on := func(o *metav1.ListOptions) { o.FieldSelector = "spec.nodeName=n1" }
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			on(&o)
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			on(&o)
			return pods.Watch(ctx, o)
		},
	}
	store, c := cache.NewInformerWithOptions(cache.InformerOptions{
		ObjectType: &corev1.Pod{}, Handler: cache.ResourceEventHandlerFuncs{}, ListerWatcher: cache.ToListWatcherWithWatchListSemantics(lw, s.client),
	})
	ctx, stop := context.WithCancel(s.ctx)
	var running sync.WaitGroup
	running.Go(func() { c.RunWithContext(ctx) })
	s.Cleanup(func() { stop(); running.Wait() })
	if !cache.WaitFor(ctx, "pods", c.HasSyncedChecker()) {
		s.Fatal("the informer has not synced")
	}
	return store
}

// shown lets time pass and returns the keys that the store shows.
func shown(store cache.Store, d time.Duration) []string {
	bubble.Sleep(d)
	return slices.Sorted(slices.Values(store.ListKeys()))
}

// TestWatch: an informer sees the pods of its node come and go, and nothing
// while its watch is stalled.
func TestWatch(t *testing.T) {
	play(t, func(s *stage) {
		store := s.pods()
		ofPods := func(r Request) bool { return r.Verb == "watch" && r.Resource == sim.Pods }
		expect := func(when string, want ...string) {
			t.Helper()
			if got := shown(store, 10*time.Second); !slices.Equal(got, want) {
				t.Errorf("%s the informer shows %v, want %v", when, got, want)
			}
		}
		expect("at first", "shop/web-1", "shop/web-2")
		if err := s.EditNode("n1", "kubectl", func(n *corev1.Node) { n.Spec.Unschedulable = true }); err != nil {
			t.Fatal(err)
		}
		deletePod := func(name string) {
			if err := s.client.CoreV1().Pods("shop").Delete(s.ctx, name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		deletePod("web-1")
		expect("after a deletion", "shop/web-2")
		resume := s.Stall(ofPods)
		deletePod("web-2")
		expect("while the watch is stalled", "shop/web-2")
		resume()
		expect("after that")
		if err := s.EditNode("n1", "kubectl", func(n *corev1.Node) { n.Spec.Unschedulable = false }); err != nil {
			t.Fatal(err)
		}
		s.Do(func(c *sim.Cluster) { c.Scale("shop", "web", 4) })
		expect("once n1 takes pods again", "shop/web-5", "shop/web-6")
		lists := func() int {
			return len(s.Requests(func(r Request) bool { return r.Verb == "list" && r.Resource == sim.Pods }))
		}
		before := lists()
		s.Expire(ofPods)
		expect("after its watch expired", "shop/web-5", "shop/web-6")
		if got := lists() - before; got != 1 {
			t.Errorf("%d lists follow a watch that expired, want 1", got)
		}
	})
}

// TestRestore: after a restore an informer keeps what it has seen; a new one
// sees the restored objects.
func TestRestore(t *testing.T) {
	play(t, func(s *stage) {
		var backup sim.Backup
		s.Do(func(c *sim.Cluster) { backup = c.Backup() })
		for range 5 {
			if err := s.EditNode("n2", "m", func(n *corev1.Node) { n.Labels = map[string]string{"at": fmt.Sprint(time.Now().UnixNano())} }); err != nil {
				t.Fatal(err)
			}
			bubble.Sleep(time.Second)
		}
		s.Do(func(c *sim.Cluster) {
			_ = c.DeletePod(sim.Key{Namespace: "shop", Name: "web-1"}, metav1.DeleteOptions{})
		})
		bubble.Sleep(time.Minute)
		old := s.pods()
		s.Server.Restore(backup)
		if got := shown(old, time.Minute); !slices.Equal(got, []string{"shop/web-2"}) {
			t.Errorf("the old informer shows %v", got)
		}
		if got := shown(s.pods(), time.Minute); !slices.Equal(got, []string{"shop/web-1", "shop/web-2"}) {
			t.Errorf("a new informer shows %v", got)
		}
	})
}

// TestEvict: an eviction takes as long as its webhook and is logged.
func TestEvict(t *testing.T) {
	play(t, func(s *stage) {
		s.Do(func(c *sim.Cluster) {
			c.Namespace("shop").Webhook = &sim.Webhook{Takes: 10 * time.Second, Error: sim.WebhookFailed("w")}
		})
		if err := s.evict("web-1", "uid"); !apierrors.IsInternalError(err) {
			t.Errorf("the answer is %v", err)
		}
		s.Do(func(c *sim.Cluster) { c.Namespace("shop").Webhook = nil })
		if err := s.evict("web-1", "uid"); !apierrors.IsConflict(err) {
			t.Errorf("the eviction of another UID is answered %v", err)
		}
		var uid types.UID
		s.Do(func(c *sim.Cluster) { uid = c.Pod(sim.Key{Namespace: "shop", Name: "web-1"}).UID })
		if err := s.evict("web-1", uid); err != nil {
			t.Error(err)
		}
		var got []string
		for _, r := range s.Requests(func(r Request) bool { return r.Subresource == "eviction" }) {
			got = append(got, fmt.Sprint(r.Code, " ", r.Ended.Sub(r.Began), " ", r.UnderWay(r.Began), r.UnderWay(r.Ended)))
		}
		if want := []string{"500 10.01s true false", "409 10ms true false", "201 10ms true false"}; !slices.Equal(got, want) {
			t.Errorf("the log is %q, want %q", got, want)
		}
	})
}

// TestRules: a rule changes the answers of as many requests as it says.
func TestRules(t *testing.T) {
	play(t, func(s *stage) {
		edit := func() (time.Duration, error) {
			begun := time.Now()
			err := s.client.CoreV1().RESTClient().Post().Resource("nodes").Body(&corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "x", Name: fmt.Sprint("x", begun.UnixNano())}}).
				MaxRetries(0).Do(s.ctx).Error()
			return time.Since(begun), err
		}
		nodes := func() int {
			n := 0
			s.Do(func(c *sim.Cluster) { n = len(c.List(sim.Nodes)) })
			return n
		}
		all := func(Request) bool { return true }
		for _, test := range []struct {
			name  string
			rule  Rule
			is    func(error) bool
			takes time.Duration
			made  int
		}{
			{"delays", Rule{Before: time.Second, After: time.Second}, func(err error) bool { return err == nil }, 2*time.Second + latency, 1},
			{"an error", Rule{Answer: AnswerError(sim.WebhookFailed("w"))}, apierrors.IsInternalError, latency, 0},
			{"an error after all", Rule{Answer: AnswerError(sim.WebhookFailed("w")), CarriedOut: true}, apierrors.IsInternalError, latency, 1},
			{"a proxy", Rule{Answer: AnswerText(503, "down", time.Hour)}, func(err error) bool {
				seconds, is := apierrors.SuggestsClientDelay(err)
				return is && seconds == 3600
			}, latency, 0},
			{"broken before", Rule{Break: BreakBefore}, func(err error) bool { return errors.Is(err, errReset) }, latency / 2, 0},
			{"broken after", Rule{Break: BreakAfter}, func(err error) bool { return errors.Is(err, errReset) }, latency, 1},
		} {
			test.rule.Match, test.rule.Times = all, 1
			s.Add(test.rule)
			before := nodes()
			took, err := edit()
			if !test.is(err) || took != test.takes || nodes()-before != test.made {
				t.Errorf("%s: %v after %v, %d nodes made; want %d after %v", test.name, err, took, nodes()-before, test.made, test.takes)
			}
			if took, err := edit(); err != nil || took != latency {
				t.Errorf("after %s: %v after %v", test.name, err, took)
			}
		}
		remove := s.Add(Rule{Match: all, Break: BreakBefore})
		if _, err := edit(); err == nil {
			t.Error("a rule without an end is not in force")
		}
		remove()
		if _, err := edit(); err != nil {
			t.Errorf("a rule that was removed is in force: %v", err)
		}
		s.transport.Cut()
		if _, err := edit(); err == nil {
			t.Error("a client that was cut off gets an answer")
		}
	})
}
