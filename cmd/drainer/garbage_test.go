package main

import (
	"context"
	"runtime/debug"
	"testing"
)

// TestGarbagePercent: what may be allocated between two collections shrinks from
// 32 MiB to a fifth of what is in use.
func TestGarbagePercent(t *testing.T) {
	for used, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 7 << 20: mostPercent, 16 << 20: 170, 32 << 20: 70, 64 << 20: 24, 80 << 20: leastPercent, 1 << 30: leastPercent,
	} {
		if got := garbagePercent(used); got != want {
			t.Errorf("with %d bytes in use the percentage is %d, want %d", used, got, want)
		}
	}
	for used := uint64(8 << 20); used < 64<<20; used += 1 << 20 {
		most := 32<<20 - used/4
		if room := used * uint64(garbagePercent(used)) / 100; room > most || room < most*85/100 {
			t.Errorf("with %d bytes in use the room is %d, want about %d", used, room, most)
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
