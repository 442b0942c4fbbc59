package store

import (
	"context"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

var shop = coordinator.Name{App: "shop", Token: "access_token"} //nolint:gochecknoglobals // a constant

// leader is a node that leads until it is stopped.
type leader struct {
	coordinator.Leadership
	ctx  context.Context //nolint:containedctx // the one lead was given, to see its end
	stop func()          // ends Lead and waits for it
}

// run runs f until the test ends or stop is called.
func run(t *testing.T, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// campaign lets a node campaign; each leadership is told on the channel and
// lasts, without beats where mute, until it is lost.
func campaign(t *testing.T, s *Store, mute bool) (elected <-chan *leader, stop func()) {
	ch := make(chan *leader, 8)
	stop = run(t, func(ctx context.Context) {
		_ = s.Lead(ctx, "n", func(ctx context.Context, l coordinator.Leadership) error {
			ch <- &leader{Leadership: l, ctx: ctx}
			ticker := time.NewTicker(testTTL / 4)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-ticker.C:
					if !mute {
						_ = s.Beat(ctx, coordinator.Heartbeat{Epoch: l.Epoch})
					}
				}
			}
		})
	})
	return ch, stop
}

// elect lets a node lead.
func elect(t *testing.T, s *Store) *leader {
	t.Helper()
	elected, stop := campaign(t, s, false)
	l := await(t, "an election", elected)
	l.stop = stop
	return l
}

// await waits for a channel to yield or to be closed.
func await[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-soon(t).Done():
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}

// must stops the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pendingState() coordinator.State {
	return coordinator.State{Name: shop, Incarnation: 1, Status: coordinator.StatusPending}
}

// putShop makes the app that tests work on, and returns its group as read.
func putShop(t *testing.T, s *Store) {
	t.Helper()
	must(t, s.PutApp(soon(t), coordinator.AppChange{
		App: coordinator.App{
			Name: "shop", Provider: "wechat", Incarnation: 1,
			Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret("s")},
		},
		States: []coordinator.State{pendingState()},
	}))
}

func look(t *testing.T, s *Store, epoch coordinator.Epoch) coordinator.Situation {
	t.Helper()
	now, err := s.Read(soon(t), coordinator.Query{
		Epoch: epoch, App: "shop", Group: "g", Tokens: []string{shop.Token}, Lineage: []string{"shop"},
		Budgets: []string{"day/token"}, Account: "shop",
	})
	must(t, err)
	return now
}

func opening(now coordinator.Situation, epoch coordinator.Epoch, attempt string) coordinator.Opening {
	return coordinator.Opening{
		Epoch:  epoch,
		Intent: coordinator.Intent{App: "shop", Group: "g", Attempt: attempt, Epoch: epoch, Timeout: time.Second},
		States: now.States, Lineage: now.Lineage,
		Budgets: []coordinator.Budget{{
			App: "shop", Window: "day/token", Calls: now.Budgets[0].Calls + 1, Ends: time.Now().Add(time.Hour), Revision: now.Budgets[0].Revision,
		}},
	}
}

func publication(now coordinator.Situation, epoch coordinator.Epoch) coordinator.Publication {
	i, state := *now.Intent, now.States[0]
	state.Version++
	state = state.WithOutcome(coordinator.Outcome{Attempt: i.Attempt, Result: coordinator.ResultPublished, Version: state.Version})
	return coordinator.Publication{
		Epoch: epoch, Intent: i, States: []coordinator.State{state}, Lineage: now.Lineage,
		Tokens: []coordinator.Token{{
			Name: shop, Value: coordinator.NewSecret("value of " + i.Attempt), Version: state.Version, Expires: time.Now().Add(time.Hour),
		}},
	}
}

// at returns what a key holds; nil for nothing.
func at(t *testing.T, c *clientv3.Client, key string) *clientv3.GetResponse {
	t.Helper()
	resp, err := c.Get(soon(t), key)
	must(t, err)
	return resp
}

// rotation is a publication with a new grant in place of the one that was read.
func rotation(now coordinator.Situation, epoch coordinator.Epoch) coordinator.Publication {
	p := publication(now, epoch)
	p.Spent = &coordinator.Grant{App: "shop", Incarnation: 1}
	if now.Grant != nil {
		p.Spent = now.Grant
	}
	next := *p.Spent
	next.Generation++
	next.Current, next.Previous = coordinator.NewSecret("rotated"), p.Spent.Current
	p.Grant = &next
	return p
}
