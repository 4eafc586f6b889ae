package bubble

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		Sleep(24 * time.Hour)
		if took := time.Since(begun); took != 24*time.Hour {
			t.Errorf("%v have passed, want a day", took)
		}
	})
}

// TestSleepOutside: no test waits in real time.
func TestSleepOutside(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("outside of a bubble it sleeps")
		}
	}()
	Sleep(time.Nanosecond)
}
