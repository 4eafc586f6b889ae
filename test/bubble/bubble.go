// Package bubble lets time pass in tests that run on the simulated clock of
// testing/synctest, and only there.
package bubble

import (
	"fmt"
	"time"
)

// years bounds how far the clock of a bubble can have come: it begins with the year
// 2000 (package testing/synctest).
const years = 20

// Sleep lets time pass on the clock of the caller's bubble, where it takes no real
// time. It panics outside of a bubble: there, a test awaits an event.
func Sleep(d time.Duration) {
	if now := time.Now(); now.UTC().Year() >= 2000+years {
		panic(fmt.Sprintf("bubble.Sleep(%v) at %v, outside of a synctest bubble", d, now))
	}
	time.Sleep(d)
}
