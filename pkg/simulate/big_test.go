package simulate_test

import (
	"fmt"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/simulate"
)

// BenchmarkBig forecasts the drain of a tenth of a large cluster: 30 pods on
// each node, in Deployments of 50 under a budget of 5.
func BenchmarkBig(b *testing.B) {
	for _, nodes := range []int{500, 2000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			names := make([]string, nodes)
			for i := range names {
				names[i] = fmt.Sprintf("n-%04d", i)
			}
			c := newCluster(names...)
			for app := range nodes * 30 / 50 {
				on := make([]string, 50)
				for i := range on {
					on[i] = names[(app*50+i)%nodes]
				}
				name := fmt.Sprintf("app-%04d", app)
				c.deployment(name, 5*time.Second, on...)
				c.budget(name, name, 5)
			}
			for b.Loop() {
				o := options(names[:nodes/10]...)
				r, err := simulate.Run(&c.Objects, o)
				if err != nil || !r.Complete {
					b.Fatalf("%v, %+v", err, r)
				}
			}
		})
	}
}
