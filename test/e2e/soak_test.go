package e2e

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/faults"
)

var soakFor = flag.Duration("soak", 10*time.Minute, "how long TestSoak lasts")

// ordeal is what goes wrong for a while, other than in the network.
type ordeal struct {
	name string
	// begin is called once and returns what ends it; step again and again in between.
	// Either may be nil.
	begin func() (end func())
	step  func()
	// silent is true if the API server answers nobody while it lasts.
	silent bool
	// prompt is true if it is about what must no longer happen after some time: a
	// request may not be on its way for long.
	prompt bool
}

// ordeals are all that there are. The requests have the ID.
func (f *trouble) ordeals(id string) []ordeal {
	stopped := func(component string) func() func() {
		return func() func() { return f.stop(component) }
	}
	return []ordeal{
		{name: "nothing else"},
		{name: "a replica killed", step: func() { f.anyReplica().Kill() }},
		{name: "a replica stopped and continued", begin: f.stopReplica, prompt: true},
		{name: "the Lease deleted", step: f.deleteLease},
		{name: "a replica cut off", begin: f.severReplica},
		{name: "nodes deleted and created again", step: func() { f.replaceNode(id) }, prompt: true},
		{name: "requests changed", step: f.changeMind, prompt: true},
		{name: "everything paused", begin: f.pauseAll, prompt: true},
		{name: "no budget", begin: f.closeBudget},
		{name: "somebody else's evictions", step: f.evictAny},
		{name: "a webhook that hangs", begin: f.hang},
		{name: "kube-controller-manager stopped", begin: stopped("kube-controller-manager")},
		{name: "kube-scheduler stopped", begin: stopped("kube-scheduler")},
		{name: "etcd stopped", begin: stopped("etcd"), silent: true},
		{name: "kube-apiserver killed", begin: f.killServer, silent: true},
	}
}

// networks are what can go wrong with requests. The late ones are not for ordeals
// that are prompt.
func (f *trouble) networks(prompt bool) map[string]func(*http.Request) faults.Fault {
	all := map[string]func(*http.Request) faults.Fault{
		"every request passes": nil,
		"requests fail":        f.failing,
		"answers lost":         f.losing,
		"watches cut off":      f.brief,
		"410 Gone":             f.gone,
		"429":                  f.throttled,
		"401":                  f.unknown,
		"late requests":        f.late,
	}
	if prompt {
		delete(all, "late requests")
	}
	return all
}

func (f *trouble) anyReplica() process { return f.list[f.random.IntN(len(f.list))] }

// stopReplica stops a replica, like a machine that is out of memory.
func (f *trouble) stopReplica() (end func()) {
	p := f.anyReplica()
	if p.Ended() || p.Signal(syscall.SIGSTOP) != nil {
		return func() {}
	}
	return func() { _ = p.Signal(syscall.SIGCONT) }
}

func (f *trouble) severReplica() (end func()) {
	proxy := f.proxies[f.random.IntN(len(f.proxies))]
	proxy.Sever(true)
	return func() { proxy.Sever(false) }
}

func (f *trouble) pauseAll() (end func()) {
	f.pauseEverywhere(api.ControlPaused, "soak")
	return f.goOn
}

func (f *trouble) closeBudget() (end func()) {
	was := f.budget("web").Spec.MaxUnavailable.String()
	f.editBudget("web", "0")
	return func() { f.editBudget("web", was) }
}

// evictAny evicts a pod for somebody else, if its budget allows it.
func (f *trouble) evictAny() {
	pods := f.pods("web")
	if len(pods) == 0 {
		return
	}
	pod := pods[f.random.IntN(len(pods))]
	_ = shared.Client.CoreV1().Pods(f.namespace).EvictV1(f.Context(), &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: pod.Name},
	})
}

func (f *trouble) hang() (end func()) {
	hanging, _ := f.hold("web")
	return func() { hanging.open(); f.removeWebhook("web") }
}

func (f *trouble) killServer() (end func()) {
	if err := shared.Cluster.RestartAPIServer(); err != nil {
		f.Fatal(err)
	}
	return func() { f.awaitRestarted("kube-apiserver") }
}

// round lets one ordeal happen on top of one trouble in the network, and waits until
// everything is drained, and released, after both. Which ones, and for how long, follows
// from the seed and the number alone, and not from how many requests came before.
func (f *trouble) round(number int) {
	f.Helper()
	id := fmt.Sprintf("soak-%d", number)
	random := rand.New(rand.NewPCG(f.seed, uint64(number)))
	all := f.ordeals(id)
	o := all[random.IntN(len(all))]
	network, rule := choose(random, f.networks(o.prompt))
	lasts := time.Duration(5+random.IntN(20)) * time.Second
	f.turn()
	fmt.Fprintf(os.Stderr, "%s: round %d: %s; %s; for %v\n", f.Name(), number, o.name, network, lasts)
	f.requestAll(id)
	f.last(time.Millisecond, time.Millisecond, 3*time.Second, func() {})
	f.rule(rule)
	end := func() {}
	if o.begin != nil {
		end = o.begin()
	}
	step := o.step
	if step == nil {
		step = func() {}
	}
	f.silent = o.silent
	f.last(lasts, 200*time.Millisecond, 3*time.Second, step)
	f.silent = false
	end()
	f.rule(nil)
	for _, node := range f.draining {
		f.annotate(node, api.DrainAnnotation, id, api.PausedAnnotation, "")
	}
	f.recover(id)
	fmt.Fprintf(os.Stderr, "%s: round %d: drained %v after its end\n", f.Name(), number, f.outcome.Recovered.Round(time.Second))
}

// turn chooses the nodes to drain: all but the two with the fewest pods. The pods of a
// round are on the others after it.
func (f *trouble) turn() {
	f.Helper()
	slices.SortStableFunc(f.nodes, func(a, b string) int { return len(f.podsOn(b, "web")) - len(f.podsOn(a, "web")) })
	f.draining = f.nodes[:len(f.nodes)-2]
}

// choose is one of the values, by the order of their names, and its name.
func choose[T any](random *rand.Rand, from map[string]T) (string, T) {
	names := slices.Sorted(maps.Keys(from))
	name := names[random.IntN(len(names))]
	return name, from[name]
}

// TestSoak: whatever goes wrong, one thing after the other and at the same time,
// nothing is violated, and everything is drained and released once all is well.
func TestSoak(t *testing.T) {
	// Short leases, so that those of processes that are killed soon end.
	f := disturb(setupAlone(t, 8), "everything at random", 2,
		"--leader-elect-lease-duration=6s", "--leader-elect-renew-deadline=4s", "--eviction-qps=2", "--eviction-burst=2")
	f.mayBeForbidden = true // While the API server starts it does not know all roles yet.
	fmt.Fprintf(os.Stderr, "%s: repeat it with: make soak SOAK=%v FAULTSEED=%d\n", t.Name(), *soakFor, f.seed)
	rounds := 0
	for over := time.Now().Add(*soakFor); rounds == 0 || time.Now().Before(over); rounds++ {
		f.round(rounds + 1)
	}
	f.outcome.Runs = rounds
}
