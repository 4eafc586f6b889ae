package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/faults"
	"drainer.dev/drainer/test/invariant"
	"drainer.dev/drainer/test/suite"
	"drainer.dev/drainer/test/witness"
)

// judged counts what was looked at by all tests.
var judged struct{ processes, counted, evictions, changes atomic.Int64 }

// watched are the processes of a test.
type watched struct {
	mu   sync.Mutex
	list []watchedProcess
}

type watchedProcess struct {
	*daemon.Process
	rules   invariant.Rules
	through *faults.Proxy
}

func (w *watched) add(p *daemon.Process, flags []string, through *faults.Proxy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, watchedProcess{p, rulesOf(flags), through})
}

// forget lets the processes so far be judged no more.
func (w *watched) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = nil
}

// sayJudged says how much that was.
func sayJudged() {
	fmt.Fprintf(os.Stderr, "e2e: judged %d processes of drainer, %d of them also by their counters: %d evictions among %d changes\n",
		judged.processes.Load(), judged.counted.Load(), judged.evictions.Load(), judged.changes.Load())
}

// judge fails the test if drainer violated an invariant, by the word of the API
// server and of a watcher. All processes have ended.
func (e *env) judge() {
	e.Helper()
	processes := e.witnessed()
	if len(processes) == 0 {
		return
	}
	verdict, err := e.record(processes).Judge(processes)
	if err != nil {
		e.Error(err)
	}
	for _, v := range verdict.Violations {
		e.Error(v)
	}
	for _, p := range processes {
		if p.Counted != nil {
			judged.counted.Add(1)
		}
	}
	e.outcome.judged(processes, verdict)
	judged.processes.Add(int64(len(processes)))
	judged.evictions.Add(int64(verdict.Evictions))
	judged.changes.Add(int64(verdict.Changes))
}

// witnessed are the processes that have run, and what is known of each.
func (e *env) witnessed() (list []witness.Process) {
	e.Helper()
	for _, w := range e.watched.list {
		list = append(list, witness.Process{
			Name: w.Log, Credential: w.Credential, Rules: w.rules, Counted: w.withoutProxy(e.countedBy(w.Log)),
		})
	}
	return list
}

// withoutProxy is what a process counts of the API server's answers, without those
// of the proxy before it. What the process did not wait for counts as an error.
func (w *watchedProcess) withoutProxy(counted map[string]int) map[string]int {
	if counted == nil || w.through == nil {
		return counted
	}
	for code, n := range w.through.Answered(w.Token) {
		seen := min(n, counted[code])
		counted[code] -= seen
		counted["error"] -= n - seen
	}
	return counted
}

// record is all that happened to the test's nodes and pods, once the log and the
// watches have it.
func (e *env) record(processes []witness.Process) *witness.Record {
	e.Helper()
	record := &witness.Record{}
	waiter := await.Waiter{Progress: suite.Progress(e.T), Changed: shared.world.next}
	err := waiter.Until(suite.Closing(e.T), "the audit log and the watches have everything", func() error {
		requests, err := shared.Cluster.Audit(e.namespace, func(a *cluster.AuditEvent) bool {
			return a.Received.After(e.since) && (a.ObjectRef.Resource == "nodes" && slices.Contains(e.nodes, a.ObjectRef.Name) || a.User.Username == e.user())
		})
		if err != nil {
			return err
		}
		record.Requests, record.Changes = requests, shared.world.recorder.Changes(e.owns)
		return record.Complete(processes)
	})
	if err := errors.Join(err, record.Fill()); err != nil {
		e.Error(err)
	}
	return record
}

// owns is true for the objects that the test has to do with.
func (e *env) owns(o witness.Object) bool {
	switch o := o.(type) {
	case *corev1.Node:
		return o.Labels[poolLabel] == e.pool
	case *corev1.Pod:
		return strings.HasPrefix(o.Namespace, e.namespace) || slices.Contains(e.nodes, o.Spec.NodeName)
	default:
		return strings.HasPrefix(o.GetNamespace(), e.namespace)
	}
}

// countedBy is what a process says at its end that it has counted; nil if it
// has not.
func (e *env) countedBy(log string) map[string]int {
	e.Helper()
	file, err := os.Open(log)
	if err != nil {
		e.Error(err)
		return nil
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var said struct {
			Msg       string
			Evictions map[string]int
		}
		if json.Unmarshal(lines.Bytes(), &said) == nil && said.Msg == "Stopped" {
			return said.Evictions
		}
	}
	return nil
}

// patience is how late drainer may act on a busy machine. What it has written
// itself, it knows at once.
const patience = time.Minute

var barePods = map[plan.BarePods]invariant.BarePods{
	plan.BlockBarePods: invariant.BlockBarePods, plan.EvictBarePods: invariant.EvictBarePods, plan.IgnoreBarePods: invariant.IgnoreBarePods,
}

// configured is what a configuration file says.
func configured(file string) *config.DrainerConfiguration {
	c := config.Default("")
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = config.Decode(file, text, c)
	}
	if err != nil {
		panic(err) // The test's own mistake.
	}
	return c
}

// limit adds the limits that a configuration file has for pools, each selected by
// one value of the same label, and for groups.
func limit(l *invariant.Limits, c *config.DrainerConfiguration) {
	p := c.Plan()
	l.Pools = map[string]invariant.Pool{}
	for i, pool := range p.Pools {
		for key, value := range c.Pools[i].NodeSelector.MatchLabels {
			l.PoolLabel = key
			own := invariant.Pool{Timeout: pool.Timeout}
			if !pool.MaxDraining.IsZero() {
				own.MaxDraining = pool.MaxDraining.Of
			}
			l.Pools[value] = own
		}
	}
	for _, g := range p.Groups {
		group := invariant.Group{Label: g.Label, MaxGroups: g.MaxGroups}
		if !g.MaxDraining.IsZero() {
			group.MaxDraining = g.MaxDraining.Of
		}
		l.Groups = append(l.Groups, group)
	}
}

var actions = map[plan.Action]invariant.Action{
	plan.EvictPod: invariant.Evicts, plan.IgnorePod: invariant.Ignores, plan.AwaitPod: invariant.Awaits, plan.BlockPod: invariant.Blocks,
}

// verdicts are those of a configuration file's rules, which match pods by one value
// of one label each.
func verdicts(rules []config.Rule) func(*corev1.Pod) invariant.Verdict {
	return func(p *corev1.Pod) invariant.Verdict {
		for _, r := range rules {
			for key, value := range r.Match.PodSelector.MatchLabels {
				if p.Labels[key] != value {
					continue
				}
				v := invariant.Verdict{Action: actions[r.Action], Order: r.Order}
				if r.AtMost != nil {
					v.AtMost = r.AtMost.Duration
				}
				if r.DeleteAfter != nil {
					v.DeleteAfter = r.DeleteAfter.Duration
				}
				return v
			}
		}
		return invariant.Verdict{}
	}
}

// marked are rules for marked nodes. For how long a node has been marked is not judged:
// it may have been before anybody watched.
func marked(requests []plan.MarkRule) []invariant.MarkRule {
	var rules []invariant.MarkRule
	for _, r := range requests {
		rules = append(rules, invariant.MarkRule{
			Name: r.Key(), MaxNodes: r.MaxNodes, WhenCleared: r.ReleaseWhenCleared, Paused: r.StartPaused,
			Marks: func(n *corev1.Node) invariant.Marked { return markOf(&r, n) },
		})
	}
	return rules
}

func markOf(r *plan.MarkRule, n *corev1.Node) invariant.Marked {
	is := r.Kind == plan.LabelMark && n.Labels[r.Name] == r.Value ||
		r.Kind == plan.TaintMark && slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == r.Name }) ||
		r.Kind == plan.ConditionMark && slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return string(c.Type) == r.Name && c.Status == corev1.ConditionTrue
		})
	if is {
		return invariant.IsMarked
	}
	return invariant.Unmarked
}

// rulesOf is what drainer was told: by its flags, and about pods and limits also by
// its configuration file.
func rulesOf(flags []string) invariant.Rules {
	rules := invariant.Rules{Patience: patience, PodLag: patience, NodeLag: 100 * time.Millisecond}
	for _, flag := range flags {
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		switch name {
		case "max-draining":
			share, err := plan.ParseShare(value)
			if err != nil {
				panic(err) // The test's own mistake.
			}
			rules.MaxDraining = share.Of
		case "max-unavailable":
			share, err := plan.ParseShare(value)
			if err != nil {
				panic(err) // The test's own mistake.
			}
			rules.MaxUnavailable = share.Of
		case "allow-last-node":
			rules.AllowLastNode = value != "false"
		case "bare-pods":
			rules.BarePods = barePods[plan.BarePods(value)]
		case "empty-dir":
			rules.BlockEmptyDir = value == "Block"
		case "drain-timeout":
			rules.Timeout, _ = time.ParseDuration(value)
		case "allow-delete":
			rules.AllowDelete = value != "false"
		case "never-delete-namespaces":
			rules.NeverDelete = strings.Split(value, ",")
		case "on-timeout":
			rules.OnTimeout = api.OnTimeout(value)
		case "config":
			c := configured(value)
			rules.BarePods, rules.YieldAfter = barePods[c.BarePods], c.YieldAfter.Duration
			rules.UnreachableAfter = c.Plan().IgnoreUnreachableAfter
			limit(&rules.Limits, c)
			rules.Pods, rules.AllowDelete = verdicts(c.Rules), c.AllowDelete
			rules.Marked = marked(c.Plan().Requests)
		case "node-selector":
			key, want, _ := strings.Cut(value, "=")
			rules.Served = func(n *corev1.Node) bool { return n.Labels[key] == want }
		}
	}
	return rules
}
