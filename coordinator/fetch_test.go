package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// counting is a provider that answers nothing and counts the calls.
type counting struct {
	Provider
	calls int
}

// Fetch counts.
func (p *counting) Fetch(context.Context, Call) (Yield, error) {
	p.calls++
	return Yield{}, nil
}

// What is looked at last before a call: whoever may not make it any more does not.
func TestCallIsNotBegun(t *testing.T) {
	const timeout = 10 * time.Second
	tests := map[string]struct {
		held  bool
		ended bool
		age   time.Duration // of the intent
		calls int
	}{
		"InTime":          {held: true, age: timeout - time.Second, calls: 1},
		"AfterItsTime":    {held: true, age: timeout},
		"WithoutTheLease": {age: time.Second},
		"AfterTheEnd":     {held: true, ended: true, age: time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &counting{}
			n, err := New(Config{Name: "n1", Store: noStore{}, Providers: map[string]Provider{"counting": p}})
			if err != nil {
				t.Fatal(err)
			}
			a := &attempt{
				node: n, log: slog.New(slog.DiscardHandler), began: time.Now().Add(-test.age),
				held: Leadership{Epoch: 1, Held: func() bool { return test.held }},
				task: task{app: App{Name: "shop", Provider: "counting", Refresh: RefreshSettings{Timeout: timeout}}, pass: &pass{heard: func(error) {}}},
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.ended {
				cancel()
			}
			_, err = a.fetch(ctx)
			if p.calls != test.calls || errors.Is(err, errNotCalled) != (test.calls == 0) {
				t.Errorf("%d calls, want %d; %v", p.calls, test.calls, err)
			}
		})
	}
}
