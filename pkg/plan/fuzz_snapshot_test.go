package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// choices makes a fuzzer's bytes into decisions. When they are used up, it is
// always the first that is taken.
type choices struct{ left []byte }

func (c *choices) of(n int) int {
	if len(c.left) == 0 {
		return 0
	}
	b := c.left[0]
	c.left = c.left[1:]
	return int(b) % n
}

func (c *choices) yes() bool { return c.of(2) == 1 }

// rarely is true for one byte in eight.
func (c *choices) rarely() bool { return c.of(8) == 7 }

func pick[T any](c *choices, from ...T) T { return from[c.of(len(from))] }

func (c *choices) time() time.Time {
	return pick(c, time.Time{}, noon, noon.Add(-time.Second), noon.Add(-time.Minute), noon.Add(-10*time.Minute), noon.Add(-3*time.Hour),
		noon.Add(time.Second), noon.Add(time.Hour), time.Unix(1<<40, 0))
}

func (c *choices) duration() time.Duration {
	return pick(c, 0, time.Second, time.Minute, 5*time.Minute, time.Hour, 1<<62)
}

func (c *choices) share() Share {
	s, _ := ParseShare(pick(c, "100%", "1", "2", "10%", "50%"))
	return s
}

// everyHour opens at the same minute of every hour.
type everyHour struct{ at time.Duration }

func (e everyHour) Next(after time.Time) time.Time {
	t := after.Truncate(time.Hour).Add(e.at)
	if !t.After(after) {
		t = t.Add(time.Hour)
	}
	return t
}

// never does not open.
type never struct{}

func (never) Next(time.Time) time.Time { return time.Time{} }

// snapshotOf makes a snapshot as no cluster may ever have it. One node's status
// annotation is the text.
func snapshotOf(bytes []byte, status string) *Snapshot {
	c := &choices{left: bytes}
	s := newScene()
	s.Began, s.Throttled, s.Careful = c.time(), pick(c, time.Time{}, noon, noon.Add(time.Second)), c.rarely()
	c.config(&s.Config)
	if c.rarely() {
		s.Control = Control{Paused: "INC-42", Mistaken: c.yes()}
	}
	for i := range 2 + c.of(4) {
		c.node(s, fmt.Sprintf("n%d", i), status)
	}
	c.budgets(s)
	for i := range c.of(16) {
		c.pod(s, i)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Pods)) {
		slices.SortFunc(s.Pods[name], func(a, b *Entry) int { return cmp.Compare(a.Key(), b.Key()) })
		if c.rarely() {
			delete(s.Pods, name)
		}
	}
	s.DaemonSets["ds"] = c.yes()
	if !c.rarely() {
		s.NamespaceLabels = map[string]labels.Set{"ns": pick(c, labels.Set{}, labels.Set{"team": "a"})}
		s.Config.Rules = &Rules{TrustedLabels: mustSelect("team=a")}
	}
	s.Pending = c.of(3)
	s.Memory.Replica = ReplicaMemory{AskedAt: c.time(), AnsweredAt: c.time(), Name: pick(c, "", "drainer-1")}
	if c.yes() {
		Match(s.Pods, s.Budgets)
	}
	return s.Snapshot
}

func (c *choices) config(config *Config) {
	config.MaxDraining, config.Settle, config.StuckAfter, config.YieldAfter, config.Timeout = c.share(), c.duration(), c.duration(), c.duration(), c.duration()
	config.OnTimeout = pick(c, api.Wait, api.Stop, api.Release, api.Delete)
	config.AllowDelete, config.AllowLastNode, config.HandsOver = c.yes(), c.yes(), c.yes()
	config.BarePods, config.EmptyDir = pick(c, BlockBarePods, EvictBarePods, IgnoreBarePods), pick(c, EvictEmptyDir, BlockEmptyDir)
	config.OwnPod = pick[types.UID](c, "", "uid-p0")
	if c.yes() {
		config.MaxUnavailable = c.share()
	}
	if c.rarely() {
		pending := c.of(3)
		config.PendingPods, config.NeverDelete = &pending, []string{"ns"}
	}
	if c.rarely() {
		timeout := c.duration()
		config.Pools = []Pool{{Name: "gpu", MaxDraining: c.share(), MaxUnavailable: c.share(), Timeout: &timeout, OnTimeout: pick(c, "", api.Release, api.Delete)}}
	}
	if c.rarely() {
		config.Groups = []Group{{Label: "zone", MaxDraining: c.share(), MaxGroups: c.of(3)}}
	}
	if c.rarely() {
		config.Freezes = []Freeze{{From: c.time(), Until: c.time(), Reason: "holidays"}}
	}
	config.Windows = []Window{{
		Schedule: pick[Schedule](c, everyHour{0}, everyHour{time.Minute}, never{}), Duration: c.duration(), LatestStart: c.duration(),
		Pauses: c.yes(), Nodes: labels.Everything(),
	}}
}

func (c *choices) node(s scene, name, status string) {
	n := s.node(name)
	n.Served, n.Ready, n.Ignored, n.Deleting, n.Repelling = !c.rarely(), !c.rarely(), c.rarely(), c.rarely(), c.rarely()
	n.Unschedulable, n.OwnCordon, n.OwnStatus, n.QueuedTaint = c.yes(), c.yes(), c.yes(), c.rarely()
	n.Created, n.ReadySince, n.ResourceVersion = c.time(), c.time(), pick(c, "1", "9", "", "x")
	n.Pool, n.RemovalTaint = pick(c, "", "gpu", "gone"), pick(c, "", "", "", "", "", removalTaints[0])
	n.InProgress = Condition{pick(c, "", corev1.ConditionTrue, corev1.ConditionFalse), c.time()}
	n.Drained = Condition{pick(c, "", corev1.ConditionTrue, corev1.ConditionFalse), c.time()}
	if c.rarely() {
		n.Groups, n.Windows = []string{pick(c, "a", "b")}, []int{0}
	}
	c.annotations(n, status)
	if c.yes() {
		s.Memory.Nodes[n.UID] = c.nodeMemory(n)
	}
	if !c.rarely() {
		s.Pods[name] = []*Entry{}
	}
}

func (c *choices) annotations(n *Node, status string) {
	if c.rarely() {
		return
	}
	n.Annotations[api.DrainAnnotation] = pick(c, "r", "r", "q", "no", "ü")
	for range c.of(4) {
		key := pick(c, api.PausedAnnotation, api.NotBeforeAnnotation, api.TimeoutAnnotation, api.OnTimeoutAnnotation, api.GracePeriodAnnotation,
			api.DryRunAnnotation, api.DeadlineAnnotation, api.PriorityAnnotation, api.IgnoreWindowsAnnotation, api.DrainedAnnotation, api.StatusAnnotation)
		n.Annotations[key] = pick(c, "true", "false", "1s", "2000000h", "Delete", "Stop", "Release", "2030-01-31T13:00:00Z", "2030-01-31T12:00:10Z", "7", "-7", "r", status)
	}
}

func (c *choices) nodeMemory(n *Node) NodeMemory {
	m := NodeMemory{
		Request: pick(c, "r", "q"), RequestedAt: c.time(), StartedAt: c.time(), FinishedAt: pick(c, time.Time{}, time.Time{}, c.time()),
		PausedAt: pick(c, time.Time{}, time.Time{}, c.time()), PausedFor: c.duration(), ReleasedAt: pick(c, time.Time{}, time.Time{}, time.Time{}, c.time()),
		Gone: c.of(3), Phase: pick(c, api.Draining, api.Blocked, api.Queued), Result: pick(c, "", ResultDrained, ResultTimedOut),
		HeldSlot: c.yes(), Counted: c.yes(), CordonSeen: c.time(), Uncordons: c.of(200), RecordonAt: c.time(), IdleSince: c.time(),
		GrantedAt: c.time(), RetryConfirmAt: c.time(), Trouble: pick(c, "", "no"),
		Written: Written{Version: pick(c, "", "1", "5"), Text: n.Annotations[api.StatusAnnotation], At: c.time(), Since: c.time(), VersionAt: c.time()},
	}
	if c.rarely() {
		at := c.time()
		m.DryRun = &DryRun{Verdicts: api.Verdicts{At: pick(c, nil, &at), Refused: c.of(9)}, Kept: []api.Blocker{{Pod: "ns/p0", State: api.BlockedState}}}
	}
	if c.rarely() {
		m.Returns = map[types.UID]Return{"rs": {Count: c.of(200), SentAt: c.time(), AdmittedAt: c.time()}}
		m.Deletions = map[string]int{"ns/b0": c.of(3)}
	}
	return m
}

func (c *choices) budgets(s scene) {
	for i := range c.of(4) {
		b := s.budget(fmt.Sprintf("b%d", i), pick(c, "a", "b"), int32(c.of(4)), int32(c.of(6)), int32(c.of(6)), int32(c.of(6)))
		b.AlwaysAllow, b.ZeroBySpec, b.Observed = c.rarely(), c.rarely(), !c.rarely()
		b.SyncFailed, b.Controller = pick(c, "", "", "", "no"), pick(c, "", "", "Elasticsearch es")
		if c.rarely() {
			b.Disrupted = map[string]bool{"p1": true}
		}
		list := s.Budgets["ns"].List
		list[len(list)-1].Free = c.of(6) - 2
		if c.rarely() {
			s.Memory.Budgets[b.UID] = BudgetMemory{
				ProbedAt: c.time(), SeenVersion: pick(c, "", "1"), PollAt: c.time(), Polls: c.of(200),
				Forced: Forced{Pod: &Pod{Namespace: "ns", Name: "gone"}, Node: "n0", Until: c.time(), Healthy: int32(c.of(6)), Dipped: c.yes()},
			}
			s.Unconfirmed = append(s.Unconfirmed, Unconfirmed{Budget: b.Ref(), Since: c.time()})
		}
	}
}

func (c *choices) pod(s scene, i int) {
	p := s.pod(pick(c, "n0", "n0", "n1", "n2"), fmt.Sprintf("p%d", i), func(p *Pod) {
		p.Namespace, p.Labels = pick(c, "ns", "ns", "other"), LabelsOf(labels.Set{"app": pick(c, "a", "b", "c")})
		p.Controller = pick(c, Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "rs", UID: "rs"},
			Owner{}, Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "ds"})
		p.Phase = pick(c, corev1.PodRunning, corev1.PodRunning, corev1.PodPending, corev1.PodSucceeded, corev1.PodFailed)
		p.Ready, p.Static, p.EmptyDir, p.Stopped = !c.rarely(), c.rarely(), c.rarely(), c.rarely()
		if c.rarely() {
			p.Deadline, p.Grace, p.Finalizers = c.time(), c.duration(), pick(c, "", "f")
		}
		p.OwnGrace, p.Instructions = c.duration(), pick(c, nil, nil, []string{"drainer.dev/pod-action"})
		if c.rarely() {
			order := c.of(3)
			p.Claims = &Claims{Rules: pick(c, nil, []*Rule{{Name: "own", Action: pick(c, EvictPod, IgnorePod, AwaitPod), own: true}}), Order: pick(c, nil, &order)}
			p.Rules = []*Rule{{Name: "team", Match: PodMatch{NamespaceLabels: mustSelect("team=a")}, Action: pick(c, EvictPod, IgnorePod, BlockPod)}}
		}
	})
	if c.rarely() {
		s.InFlight[p.UID] = Post{Sent: c.time(), Probe: c.yes(), Slow: c.yes()}
	}
	if c.yes() {
		s.remember(p, c.podMemory())
	}
}

func (c *choices) podMemory() PodMemory {
	tries := Tries{
		Outcome: Outcome{Reason: pick(c, append([]Reason{""}, answerReasons()...)...), Message: pick(c, "", "no")},
		RetryAt: c.time(), Refusals: c.of(200), RefusedVersions: pick(c, "", "1"), RefusedBudgets: pick(c, "", "uid-b0 uid-b1 "),
		SentAt: c.time(), AdmittedAt: pick(c, time.Time{}, time.Time{}, c.time()), Uncertain: c.rarely(), LookupsLeft: c.of(3), LookupAt: c.time(),
	}
	// A pod waits because of a refusal.
	if tries.Outcome.Reason == "" {
		tries.RetryAt = time.Time{}
	}
	return PodMemory{
		FirstSeen: c.time(), Target: c.yes(), Late: c.yes(), TargetSince: c.time(), BlockedSince: c.time(),
		// What has been blocked has been so by something.
		BlockedBy:     pick(c, BlockedReasons()...),
		ConfirmedGone: c.rarely(), ToldBlocked: c.yes(), ToldStuck: c.yes(),
	}.with(tries)
}

// answerReasons are the reasons that an answer may be given.
func answerReasons() []Reason {
	var all []Reason
	for _, a := range KnownAnswers() {
		if !slices.Contains(all, a.Reason) {
			all = append(all, a.Reason)
		}
	}
	return all
}
