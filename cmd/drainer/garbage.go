package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// garbageRoom is how much a small process may allocate between two
	// collections. By default, Go lets the heap double: that is little for a small
	// heap, which is then collected constantly, and a lot for one of 100 MiB.
	garbageRoom = 32 << 20
	// Every heapShare bytes in use take one byte from that room: if a lot is in use,
	// the container's memory limit matters more.
	heapShare = 4
	// leastPercent and mostPercent bound the room as a percentage of the heap.
	leastPercent, mostPercent = 20, 400
	// percentInterval is how often the heap is measured.
	percentInterval = time.Second
)

// keepGarbageRoom gives the garbage collector room that fits the size of the
// heap, until ctx ends. It does nothing if the environment sets GOGC.
// The limit that GOMEMLIMIT sets holds in any case.
func keepGarbageRoom(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	ticker := time.NewTicker(percentInterval)
	defer ticker.Stop()
	for last := 100; ; {
		metrics.Read(used)
		if percent := garbagePercent(used[0].Value.Uint64() + used[1].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// garbagePercent is GOGC for a process with so many bytes in use, in steps of a
// tenth of it.
func garbagePercent(used uint64) int {
	room := garbageRoom - min(garbageRoom, used/heapShare)
	percent := int(min(mostPercent, room*100/max(1, used)))
	return max(leastPercent, percent-percent%max(1, percent/10))
}
