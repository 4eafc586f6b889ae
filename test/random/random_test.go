package random

import (
	"flag"
	"math/bits"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"drainer.dev/drainer/test/scenario"
)

var (
	clusters = flag.Int("clusters", 200, "how many clusters to try")
	seed     = flag.Uint64("seed", 1, "the seed from which all clusters follow")
	verbose  = flag.Bool("log", false, "print all requests and changes of a cluster in which something was violated")
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// What the clusters have to be like in the middle, and how many are tried, for
// the figures of docs/reliability.md to hold.
const (
	medianNodes, medianPods, medianBudgets = 8, 60, 5
	enough                                 = 100
)

// TestRandom: whatever a cluster, requests and faults are like, drainer violates
// no invariant. What fails is made as simple as possible, and kept in testdata,
// where it is tried first from then on.
func TestRandom(t *testing.T) {
	begun, shards := time.Now(), runtime.GOMAXPROCS(0)
	var all tally
	repeats := false
	flag.Visit(func(f *flag.Flag) { repeats = repeats || f.Name == "rapid.seed" || f.Name == "rapid.failfile" })
	t.Run("shard", func(t *testing.T) {
		for i := range shards {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				checks := (*clusters + i) / shards
				if repeats {
					checks = 1
				}
				check(t, checks, *seed+uint64(i)<<32, !repeats, &all)
			})
		}
	})
	if repeats || t.Failed() {
		return
	}
	took := time.Since(begun)
	t.Logf("seed %d: %d clusters in %.0f s on %d processors, %.1f per second; in the middle %d nodes, %d pods, %d budgets", *seed,
		len(all.nodes), took.Seconds(), shards, float64(len(all.nodes))/took.Seconds(), median(all.nodes), median(all.pods), median(all.budgets))
	t.Logf("%d evictions were admitted, %d were not; %d pods were deleted; %d times a node was drained", all.Admitted, all.Refused, all.Deleted, all.Drained)
	if len(all.nodes) < *clusters {
		t.Errorf("%d clusters were tried, want %d", len(all.nodes), *clusters)
	}
	if *clusters >= enough && (median(all.nodes) < medianNodes || median(all.pods) < medianPods || median(all.budgets) < medianBudgets) {
		t.Errorf("the clusters are too small, want %d nodes, %d pods and %d budgets in the middle", medianNodes, medianPods, medianBudgets)
	}
}

// tally is what all clusters that were tried come to.
type tally struct {
	sync.Mutex
	nodes, pods, budgets []int
	Outcome
}

func (t *tally) add(s *scenario.Scenario, o Outcome) {
	t.Lock()
	defer t.Unlock()
	t.nodes, t.pods, t.budgets = append(t.nodes, len(s.Nodes)), append(t.pods, s.Pods), append(t.budgets, s.Budgets)
	t.Admitted, t.Refused, t.Drained = t.Admitted+o.Admitted, t.Refused+o.Refused, t.Drained+o.Drained
	t.Deleted += o.Deleted
}

func median(list []int) int {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// settings are the flags of rapid, which it reads when a check begins.
var settings sync.Mutex

// check tries some clusters, which follow from the seed if it is set.
func check(t *testing.T, checks int, seed uint64, set bool, all *tally) {
	settings.Lock()
	read := sync.OnceFunc(settings.Unlock)
	defer read()
	flags := map[string]string{"rapid.checks": strconv.Itoa(checks)}
	if set {
		flags["rapid.seed"] = strconv.FormatUint(seed, 10)
	}
	for name, value := range flags {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		read()
		s := generator.Draw(t, "scenario").Scenario
		o := Judge(s, nil)
		all.add(s, o)
		if len(o.Violations) > 0 && *verbose {
			Judge(s, t.Logf)
		}
		for _, v := range o.Violations {
			t.Errorf("%s", v)
		}
	})
}

// shown is a scenario that rapid prints for people.
type shown struct{ *scenario.Scenario }

// GoString implements fmt.GoStringer.
func (s shown) GoString() string { return "\n" + s.String() }

var generator = rapid.Custom(func(t *rapid.T) shown { return shown{scenario.Generate(source{t}, noon)} })

// source draws numbers from rapid.
type source struct{ *rapid.T }

// IntN implements scenario.Draw, bit by bit: the numbers that rapid draws itself
// are mostly small.
func (s source) IntN(name string, n int) int {
	number := 0
	for range bits.Len(uint(n)) + 2 {
		number *= 2
		if coin.Draw(s.T, name) {
			number++
		}
	}
	return number % n
}

var coin = rapid.Bool()
