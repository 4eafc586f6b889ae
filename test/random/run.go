package random

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/test/invariant"
	"drainer.dev/drainer/test/scenario"
)

const (
	latency = 5 * time.Millisecond
	// patience is how long after everything has calmed down drains may take: a
	// few times the longest wait of drainer, five minutes.
	patience = 30 * time.Minute
	// foresees is how long after that nodes that are queued may take to say what would
	// keep their drains from their end.
	foresees = 20 * time.Minute
)

// run is one scenario under way.
type run struct {
	*scenario.Scenario
	loop    *forecast.Loop
	checker *invariant.Checker
	faulty  *scenario.Faulty
	// writer is who made the version of a node.
	writer map[string]invariant.Actor
	// counters are what drainer counts.
	counters map[string]int
	outcome  Outcome
	log      func(string, ...any)
}

// Outcome is the result of a scenario.
type Outcome struct {
	Violations []invariant.Violation
	// Admitted and Refused count the answers to evictions, Drained the nodes that
	// drainer reported drained.
	Admitted, Refused, Drained int
	// Deleted counts the pods deleted past their budgets.
	Deleted int
}

// Judge runs a scenario to its end. It tells log, if that is not nil, what
// happens.
func Judge(s *scenario.Scenario, log func(format string, args ...any)) Outcome {
	r := &run{
		Scenario: s, checker: invariant.New(s.Rules(latency)), faulty: s.Faulty(),
		writer: map[string]invariant.Actor{}, counters: map[string]int{}, log: log,
	}
	r.loop = forecast.New(sim.New(s.Options), r.options())
	for _, step := range s.Steps {
		if step.After == 0 {
			step.Do(hands{r})
			continue
		}
		r.loop.After(step.After, func() {
			r.say("%s", step.Text)
			step.Do(hands{r})
		})
	}
	r.start()
	r.loop.Run(s.Start.Add(s.Calm), nil)
	if !r.loop.Running() {
		r.start()
	}
	r.finish()
	r.outcome.Violations = r.checker.Violations()
	return r.outcome
}

// finish waits until everything that can be is drained or released, or long
// enough. What cannot be drained at present may be a little later.
func (r *run) finish() {
	end := r.loop.Now().Add(patience)
	for idle := 0; idle < 6 && r.loop.Now().Before(end); idle++ {
		r.loop.Run(r.loop.Now().Add(10*time.Second), nil)
		if r.checker.Unfinished(r.loop.Now()) != "" {
			idle = 0
		}
	}
	for last := r.loop.Now().Add(foresees); r.checker.Outdated(r.loop.Now()) && r.loop.Now().Before(last); {
		r.loop.Run(r.loop.Now().Add(time.Minute), nil)
	}
	r.checker.Finish(r.loop.Now())
	r.checker.Counted(r.loop.Now(), r.counters)
}

func (r *run) start() {
	r.loop.Start()
	r.checker.Started()
	r.counters = map[string]int{}
}

func (r *run) say(format string, args ...any) {
	if r.log != nil {
		r.log("%8v "+format, append([]any{r.after()}, args...)...)
	}
}

func (r *run) after() time.Duration { return r.loop.Now().Sub(r.Start) }

// hands are those of the loop.
type hands struct{ *run }

func (h hands) Annotate(node, key, value string)    { h.loop.Annotate(node, key, value) }
func (h hands) Unannotate(node, key string)         { h.loop.Unannotate(node, key) }
func (h hands) Cordon(node, manager string)         { h.loop.Cordon(node, manager) }
func (h hands) Uncordon(node, manager string)       { h.loop.Uncordon(node, manager) }
func (h hands) Cluster(change func(c *sim.Cluster)) { change(h.loop.Cluster()) }
func (h hands) Crash()                              { h.loop.Crash() }
func (h hands) Start()                              { h.start() }

// options configure drainer as the scenario says, and let the checker look.
func (r *run) options() forecast.Options {
	config := plan.Config{
		AllowDelete: r.AllowDelete, NeverDelete: r.NeverDelete,
		AllowLastNode: r.AllowLastNode, Settle: 5 * time.Second, StuckAfter: 5 * time.Minute,
		IgnoreUnreachableAfter: r.UnreachableAfter, Requests: r.ForNodes, PaceWithoutBudget: r.Paces,
		Timeout: r.Timeout, OnTimeout: r.OnTimeout, BarePods: plan.BarePods(r.BarePods), EmptyDir: plan.EmptyDir(r.EmptyDir),
	}
	r.Limit(&config)
	config.Windows, config.Freezes = r.Times()
	selectors := r.Selectors()
	config.Rules = r.PodRules()
	selectors.Windows, selectors.Rules, selectors.Requests = config.Windows, config.Rules, config.Requests
	return forecast.Options{
		Config: config, Selectors: selectors, Foresees: true, RequestsMarked: true, QPS: 50, Burst: 100, Workers: 10, EvictionTimeout: 40 * time.Second, Latency: latency, WatchLag: latency,
		Hooks: forecast.Hooks{
			Request: r.fault, Received: r.received, Handled: r.handled, Answered: r.answered, Evicted: r.evicted, Changed: r.changed,
			Lag: func(c sim.Change) time.Duration { return r.LagOf(r.after(), c.Resource) },
		},
	}
}

// fault is what goes wrong with a request.
func (r *run) fault(q forecast.Request) forecast.Fault {
	class := scenario.Writes
	switch q.Verb {
	case forecast.Evict, forecast.Delete:
		class = scenario.Evictions
	case forecast.GetPod, forecast.GetBudget, forecast.GetNode, forecast.ListPods, forecast.ForeseePods, forecast.ListSiblings, forecast.GetScale:
		class = scenario.Reads
	}
	f := r.faulty.Of(r.after(), class)
	if f == nil {
		return forecast.Fault{}
	}
	fault := forecast.Fault{Delay: f.Delay, Wait: f.Wait, Error: f.Error, CarriedOut: f.CarriedOut}
	if f.Lost {
		fault.Error = errors.New("connection reset by peer")
	}
	r.say("%s %s: %s", q.Verb, q.Object, f.Text)
	return fault
}

func (r *run) actor(q forecast.Request) invariant.Actor {
	if q.Daemon == r.loop.Daemons() && r.loop.Running() {
		return invariant.Daemon
	}
	return invariant.Late
}

func (r *run) eviction(q forecast.Request) invariant.Eviction {
	e := invariant.Eviction{Pod: q.Object, UID: q.UID, By: r.actor(q)}
	if d := q.Grant.Deletion; d != nil {
		e.Deletes, e.Grace = true, d.GracePeriod
	}
	return e
}

func (r *run) received(q forecast.Request) {
	if q.Verb == forecast.Evict || q.Verb == forecast.Delete {
		r.checker.Received(r.loop.Now(), r.eviction(q))
	}
}

func (r *run) handled(q forecast.Request, err error) {
	r.say("%s %s: %v", q.Verb, q.Object, err)
	switch q.Verb {
	case forecast.Delete:
		if err == nil {
			r.outcome.Deleted++
		}
		r.checker.Handled(r.loop.Now(), r.eviction(q), codeOf(err))
	case forecast.Evict:
		r.checker.Handled(r.loop.Now(), r.eviction(q), codeOf(err))
	case forecast.ListPods:
		r.checker.Listed(r.loop.Now(), q.Object.Name)
	case forecast.GetPod, forecast.GetBudget, forecast.GetNode, forecast.ForeseePods, forecast.ListSiblings, forecast.GetScale:
	default:
		if n := r.loop.Cluster().Node(q.Object.Name); n != nil && err == nil {
			r.writer[n.ResourceVersion] = r.actor(q)
		}
	}
}

// answered is what drainer was answered, by the code on the wire.
func (r *run) answered(q forecast.Request, err error) {
	if q.Verb != forecast.Evict {
		return
	}
	code := "error"
	if n := codeOf(err); n != 0 {
		code = strconv.Itoa(n)
	}
	r.checker.Answered(code)
}

// codeOf is the HTTP status of an answer; 0 if there was none.
func codeOf(err error) int {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return http.StatusCreated
	case errors.As(err, &status):
		return int(status.Status().Code)
	default:
		return 0
	}
}

func (r *run) evicted(a plan.Answered) {
	r.counters[a.Outcome.Code]++
	if a.Outcome.Reason == plan.Admitted {
		r.outcome.Admitted++
	} else {
		r.outcome.Refused++
	}
}

func (r *run) changed(c sim.Change) {
	now, deleted := r.loop.Now(), c.Type == watch.Deleted
	switch o := c.Object.(type) {
	case *corev1.Node:
		r.checker.Node(now, o, deleted, r.writer[o.ResourceVersion])
		if c.Was != nil && c.Was.GetAnnotations()[api.DrainedAnnotation] == "" && o.Annotations[api.DrainedAnnotation] != "" {
			r.outcome.Drained++
		}
		r.say("node %s: unschedulable %v, %v", o.Name, o.Spec.Unschedulable, o.Annotations)
	case *corev1.ConfigMap:
		r.checker.Paused(now, !deleted)
		r.say("ConfigMap %s: %s %v", o.Name, c.Type, o.Data)
	case *corev1.Pod:
		r.checker.Pod(now, o, deleted)
		if c.Was == nil || deleted || o.Spec.NodeName != c.Was.(*corev1.Pod).Spec.NodeName || o.DeletionTimestamp != nil {
			r.say("pod %s/%s on %s: %s %s", o.Namespace, o.Name, o.Spec.NodeName, c.Type, o.Status.Phase)
		}
	case *policyv1.PodDisruptionBudget:
		r.checker.Budget(o, deleted)
	case *appsv1.DaemonSet:
		r.checker.DaemonSet(now, o.UID, !deleted)
	}
}
