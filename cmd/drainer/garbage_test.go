package main

import (
	"context"
	"runtime/debug"
	"testing"
)

// TestGarbagePercent: what may be allocated between two collections is about the
// same for all heaps, but for very small and very large ones.
func TestGarbagePercent(t *testing.T) {
	for used, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 8 << 20: mostPercent, 16 << 20: 200, 32 << 20: 100, 64 << 20: 50, 1 << 30: leastPercent,
	} {
		if got := garbagePercent(used); got != want {
			t.Errorf("with %d bytes in use the percentage is %d, want %d", used, got, want)
		}
	}
	for used := uint64(9 << 20); used < 100<<20; used += 1 << 20 {
		if room := used * uint64(garbagePercent(used)) / 100; room > garbageRoom || room < garbageRoom*85/100 {
			t.Errorf("with %d bytes in use the room is %d", used, room)
		}
	}
}

// TestKeepGarbageRoom: the room is set at once, and not where the environment says
// how much there is to be.
func TestKeepGarbageRoom(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	const unlikely = 77
	defer debug.SetGCPercent(debug.SetGCPercent(unlikely))
	for gogc, kept := range map[string]bool{"": false, "50": true} {
		t.Setenv("GOGC", gogc)
		debug.SetGCPercent(unlikely)
		keepGarbageRoom(ended)
		if got := debug.SetGCPercent(unlikely); (got == unlikely) != kept {
			t.Errorf("with GOGC=%q in the environment the percentage becomes %d", gogc, got)
		}
	}
}
