package schedule_test

import (
	"testing"
	"time"

	"freshet/coordinator/schedule"
)

//nolint:gochecknoglobals // an instant, never changed
var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func share(s float64) func(time.Duration) time.Duration {
	return func(lifetime time.Duration) time.Duration { return time.Duration(float64(lifetime) * s) }
}

func TestDue(t *testing.T) {
	tests := []struct {
		name     string
		lifetime time.Duration
		policy   schedule.Policy
		chance   float64
		want     time.Duration // after start
	}{
		{"last third", 7200 * time.Second, schedule.Policy{Window: share(1.0 / 3)}, 0.5, 4800 * time.Second},
		{"jitter narrows the window", 7200 * time.Second, schedule.Policy{Window: share(1.0 / 3)}, 0, 5040 * time.Second},
		{"jitter widens the window", 7200 * time.Second, schedule.Policy{Window: share(1.0 / 3)}, 1, 4560 * time.Second},
		{"never before the platform renews", 7200 * time.Second, schedule.Policy{Window: share(1.0 / 3), Earliest: 5 * time.Minute}, 0, 6900 * time.Second},
		{"jitter inside the part that renews", 7200 * time.Second, schedule.Policy{Window: share(1.0 / 3), Earliest: 5 * time.Minute}, 1, 6930 * time.Second},
		{"a narrow window stands inside it", 7200 * time.Second, schedule.Policy{Window: share(0.01), Earliest: 5 * time.Minute}, 0.5, 7128 * time.Second},
		{"a window of the whole life leaves a tenth", 100 * time.Second, schedule.Policy{Window: share(1)}, 1, 10 * time.Second},
		{"the least interval", 100 * time.Second, schedule.Policy{Window: share(1), Interval: 30 * time.Second}, 0.5, 30 * time.Second},
		{"a life already over", -time.Second, schedule.Policy{Window: share(0.5)}, 0.5, -time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := schedule.Due(start, start.Add(tt.lifetime), tt.policy, tt.chance).Sub(start); got != tt.want {
				t.Errorf("due after %v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzDueLiesInTheLife(f *testing.F) {
	f.Add(int64(7200), 0.33, int64(300), int64(0), 0.3)
	f.Fuzz(func(t *testing.T, life int64, window float64, earliest, interval int64, chance float64) {
		if life < 1 || life > 1<<30 || window < 0 || window > 1 || earliest < 0 || earliest > 1<<30 || interval < 0 || interval > 1<<30 || !(chance >= 0 && chance < 1) {
			t.Skip()
		}
		p := schedule.Policy{Window: share(window), Earliest: time.Duration(earliest) * time.Second, Interval: time.Duration(interval) * time.Second}
		expires := start.Add(time.Duration(life) * time.Second)
		due := schedule.Due(start, expires, p, chance)
		if !due.After(start) || due.After(expires) {
			t.Errorf("due %v after start, of %d s", due.Sub(start), life)
		}
		if p.Earliest > 0 && due.Before(expires.Add(-p.Earliest)) {
			t.Errorf("due %v before the part that renews", expires.Add(-p.Earliest).Sub(due))
		}
		again := schedule.Again(due, start, expires, p, chance)
		if !again.After(due) {
			t.Errorf("again at %v, not after %v", again, due)
		}
	})
}

func TestAgainNeitherBurstsNorMissesTheEnd(t *testing.T) {
	p := schedule.Policy{Window: share(1.0 / 3)}
	expires := start.Add(7200 * time.Second)
	calls := 0
	for now := schedule.Due(start, expires, p, 0.5); now.Before(expires); now = schedule.Again(now, start, expires, p, 0.5) {
		calls++
	}
	if calls < 2 || calls > 4 {
		t.Errorf("asked %d times in one window", calls)
	}
}

func TestBackoffDoublesToTheMost(t *testing.T) {
	const least, most = 5 * time.Second, 5 * time.Minute
	for failures, want := range map[int]time.Duration{0: least, 1: least, 2: 10 * time.Second, 4: 40 * time.Second, 7: most, 1 << 20: most} {
		if got := schedule.Backoff(failures, least, most, 1); got != want {
			t.Errorf("%d failures: %v, want %v", failures, got, want)
		}
		if got := schedule.Backoff(failures, least, most, 0); got != want/2 {
			t.Errorf("%d failures, no luck: %v, want %v", failures, got, want/2)
		}
	}
}

func TestWithinKeepsTimeForMoreTries(t *testing.T) {
	for _, tt := range []struct{ wait, left, want time.Duration }{
		{time.Minute, 90 * time.Second, 30 * time.Second},
		{time.Minute, time.Hour, time.Minute},
		{time.Minute, time.Second, 5 * time.Second},
		{time.Minute, 0, time.Minute},
	} {
		if got := schedule.Within(tt.wait, tt.left, 5*time.Second); got != tt.want {
			t.Errorf("%v with %v left: %v, want %v", tt.wait, tt.left, got, tt.want)
		}
	}
}

func TestDayEndsAtMidnightOfItsZone(t *testing.T) {
	beijing := time.FixedZone("CST", 8*3600)
	name, ends := schedule.Day(time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC), beijing)
	if name != "2026-11-23" || !ends.Equal(time.Date(2026, 11, 23, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("%s ends %v", name, ends)
	}
	if name, _ := schedule.Day(start, nil); name != "2026-11-22" {
		t.Errorf("%s", name)
	}
}

func TestQueueYieldsByTime(t *testing.T) {
	var q schedule.Queue[string]
	q.Set("late", start.Add(3*time.Second))
	q.Set("soon", start.Add(1*time.Second))
	q.Set("moved", start.Add(9*time.Second))
	q.Set("gone", start)
	q.Set("moved", start.Add(2*time.Second))
	q.Remove("gone")
	q.Remove("never there")
	if _, ok := q.Pop(start); ok {
		t.Error("popped before it was due")
	}
	var got []string
	for now := start; q.Len() > 0; now = now.Add(time.Second) {
		if at, ok := q.Next(); !ok || at.Before(now.Add(-time.Second)) {
			t.Errorf("next at %v, %t", at, ok)
		}
		if key, ok := q.Pop(now); ok {
			got = append(got, key)
		}
	}
	if len(got) != 3 || got[0] != "soon" || got[1] != "moved" || got[2] != "late" {
		t.Errorf("order %v", got)
	}
}
