package coordinator

import (
	"testing"
	"time"
)

// A forced refresh is not tried before the deadline of a call that may still be
// under way, however long a call may take.
func TestForcedRetryWaitsForTheLastDeadline(t *testing.T) {
	began := time.Now()
	state := State{Failures: 1, Due: began.Add(time.Hour), Outcomes: []Outcome{{Result: ResultFailed, Began: began}}}
	for timeout, want := range map[time.Duration]time.Duration{10 * time.Second: time.Minute, 3 * time.Minute: 3 * time.Minute} {
		slow := task{app: App{Refresh: RefreshSettings{Timeout: timeout}}}
		if got := retryFor(slow, ReasonForce, state).Sub(began); got != want {
			t.Errorf("with a timeout of %v it is tried %v after the last one began, want %v", timeout, got, want)
		}
	}
}

// A value that was issued in what is now the future lives as long as was granted.
func TestValueIssuedAheadOfTheClockEnds(t *testing.T) {
	now := time.Now()
	m := mark{at: now, wall: now.Round(0)}
	issued := now.Add(3 * time.Hour).Round(0)
	v := View{Token: &Token{Issued: issued, Expires: issued.Add(2 * time.Hour)}, seen: m.of(issued)}
	if lives := v.Lives(now, 0); lives != 2*time.Hour {
		t.Errorf("it lives for %v, two hours were granted", lives)
	}
	if lives := v.Lives(now.Add(2*time.Hour), 0); lives > 0 {
		t.Errorf("it lives for %v after its end", lives)
	}
}
