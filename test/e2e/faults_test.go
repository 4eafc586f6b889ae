package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/faults"
	"drainer.dev/drainer/test/suite"
	"drainer.dev/drainer/test/witness"
)

var (
	faultSeed  = flag.Uint64("faults.seed", 0, "the seed of the faults' timing; 0 for another one each time")
	faultTable = flag.Bool("faults.table", false, "write the table of docs/reliability.md")
)

// outcomes are the results of the faults so far.
var outcomes struct {
	mu   sync.Mutex
	list []*outcome
}

// outcome is the result of one fault.
type outcome struct {
	faults.Row
	test *testing.T
}

// judged notes a judgement, besides those before. Without a fault it does nothing.
func (o *outcome) judged(processes []witness.Process, v witness.Verdict) {
	if o == nil {
		return
	}
	o.Processes, o.Evictions, o.Violations = o.Processes+len(processes), o.Evictions+v.Evictions, o.Violations+len(v.Violations)
	o.Counters = o.Counters || slices.ContainsFunc(processes, func(p witness.Process) bool { return p.Counted != nil })
}

// sayFaults prints the results of all faults, and writes the table if asked to.
func sayFaults() {
	var rows []faults.Row
	for _, o := range outcomes.list {
		if !o.test.Failed() {
			rows = append(rows, o.Row)
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprint(os.Stderr, faults.Table(rows))
	if *faultTable {
		if err := faults.WriteTable("../../docs/reliability.md", rows); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// trouble is a test with a fault: replicas of drainer, each behind a proxy, and
// nodes that share a budget.
type trouble struct {
	*env
	// seed is what the random times follow from.
	seed   uint64
	random *rand.Rand
	// proxies are those of the replicas.
	proxies []*faults.Proxy
	list    []process
	// draining are the nodes to drain. The two others take their pods.
	draining []string
	// alsoCordoned is true if others have cordoned some of them, too.
	alsoCordoned bool
	// flags are drainer's own for this test.
	flags []string
	// silent is true while the API server answers nobody: nothing can be started.
	silent bool
	// passes is when the next request passes a server that throttles.
	passes time.Time
}

const (
	podsOfNode = 4
	// faultFor is how long most faults last: some of the nodes are drained then.
	faultFor = 15 * time.Second
)

// disturb makes what a fault happens to. The name of the fault is the table's, and
// drainer gets the flags in addition to the usual ones.
func disturb(e *env, fault string, replicas int, flags ...string) *trouble {
	e.Helper()
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	o := &outcome{Row: faults.Row{Test: e.Name(), Fault: fault, Runs: 1}, test: e.T}
	e.outcome = o
	outcomes.mu.Lock()
	outcomes.list = append(outcomes.list, o)
	outcomes.mu.Unlock()
	e.Cleanup(func() {
		if e.Failed() {
			e.Logf("the faults followed from -faults.seed=%d", seed)
		}
	})
	f := &trouble{env: e, seed: seed, random: rand.New(&lockedSource{of: rand.NewPCG(seed, 0)}), draining: e.nodes[:len(e.nodes)-2], flags: flags}
	f.populate()
	for range replicas {
		proxy, err := faults.New(shared.Cluster.Config())
		if err != nil {
			e.Fatal(err)
		}
		e.Cleanup(proxy.Close)
		f.proxies = append(f.proxies, proxy)
		f.list = append(f.list, f.replica(proxy))
	}
	return f
}

// populate makes pods on all nodes, of which a budget lets one in eight leave at
// once.
func (f *trouble) populate() {
	f.Helper()
	pods := podsOfNode * len(f.nodes)
	allowed := pods / 8
	f.create(workload.Deployment(f.spec("web", pods)), workload.MaxUnavailable(f.namespace, "web", "web", strconv.Itoa(allowed)))
	f.awaitReady("web", pods)
	f.awaitBudget("web", func(s policyv1.PodDisruptionBudgetStatus) bool { return int(s.DisruptionsAllowed) == allowed })
}

// replica starts drainer behind a proxy.
func (f *trouble) replica(proxy *faults.Proxy) process {
	f.Helper()
	f.through = proxy
	return f.start(slices.Concat(usualLease, []string{"--leader-elect-retry-period=500ms"}, f.flags)...)
}

// revive starts the replicas again that have ended, as a kubelet does.
func (f *trouble) revive() {
	f.Helper()
	if f.silent {
		return
	}
	for i, p := range f.list {
		if p.Ended() {
			f.list[i] = f.replica(f.proxies[i])
		}
	}
}

// lockedSource is random numbers for the test and for its proxies.
type lockedSource struct {
	mu sync.Mutex
	of rand.Source
}

// Uint64 implements rand.Source.
func (s *lockedSource) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of.Uint64()
}

// rule lets every proxy follow the rule, which is asked once at a time.
func (f *trouble) rule(rule func(*http.Request) faults.Fault) {
	var mu sync.Mutex
	for _, proxy := range f.proxies {
		if rule == nil {
			proxy.Do(nil)
			continue
		}
		proxy.Do(func(r *http.Request) faults.Fault {
			mu.Lock()
			defer mu.Unlock()
			return rule(r)
		})
	}
}

// between is a random time between two.
func (f *trouble) between(least, most time.Duration) time.Duration {
	return least + time.Duration(f.random.Int64N(int64(most-least)))
}

// last lets time go by while a fault lasts, and starts what has ended in the meantime.
// With a step it does that, again and again, after times from least to most.
func (f *trouble) last(d, least, most time.Duration, step func()) {
	f.Helper()
	over := time.Now().Add(d)
	for time.Now().Before(over) {
		next := time.Now().Add(f.between(least, most))
		suite.Await(f, nil, "the fault continues", func() error {
			f.revive()
			if time.Now().Before(next) {
				return await.NotYet("%v are left", time.Until(over))
			}
			return nil
		})
		step()
	}
}

// requestAll asks for all drains under an ID.
func (f *trouble) requestAll(id string) {
	f.Helper()
	for _, node := range f.draining {
		f.request(node, id)
	}
}

// recover waits until all nodes are drained, and then released, now that the
// fault is over. What else goes wrong is for the judgement at the end.
func (f *trouble) recover(id string) {
	f.Helper()
	over := time.Now()
	suite.Await(f, nil, "all nodes are drained", func() error {
		f.revive()
		for _, name := range f.draining {
			if n := f.node(name); n == nil || n.Annotations[api.DrainedAnnotation] != id {
				return await.NotYet("%s is %q: %s", name, f.status(name).Phase, f.message(name))
			}
		}
		return nil
	})
	f.outcome.Recovered = time.Since(over)
	for _, node := range f.draining {
		f.cancel(node)
	}
	f.awaitAllReleased()
}

// awaitAllReleased waits until nothing of drainer's is on the nodes, nor a cordon
// that should not be.
func (f *trouble) awaitAllReleased() {
	f.Helper()
	suite.Await(f, nil, "all nodes are released", func() error {
		f.revive()
		for _, name := range f.draining {
			if !f.released(name) || f.cordoned(name) && !f.alsoCordoned {
				return await.NotYet("%s is not", name)
			}
		}
		return nil
	})
}

// usual is the whole of most tests: the drains begin, the rule holds for a while,
// and everything is drained and released after that.
func (f *trouble) usual(rule func(*http.Request) faults.Fault) {
	f.Helper()
	f.requestAll("fault")
	f.rule(rule)
	f.last(faultFor, time.Second, 2*time.Second, func() {})
	f.rule(nil)
	f.recover("fault")
}
