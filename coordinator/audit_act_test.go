package coordinator_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/store/memory"
)

// many returns apps of one owner, shop-0 to shop-(n-1).
func many(n int) (apps []coordinator.App) {
	for i := range n {
		app := by("api:ann", shop("plain"))
		app.Name = fmt.Sprintf("shop-%d", i)
		app.Credentials["appid"] = coordinator.NewSecret(fmt.Sprintf("wx%016d", i+100))
		app.Paused = true
		apps = append(apps, app)
	}
	return apps
}

func TestTheChangesOfOneActShareRecords(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		m := c.nodes[0]
		how := coordinator.Applying{Act: &coordinator.Act{}}
		apply := func(app coordinator.App) error {
			_, err := m.Apply(c.Context(), app, how)
			return err
		}
		apps := many(70)
		for i, app := range apps {
			if c.must(apply(app)); i == 10 { // changes of another kind, in between
				app.Labels = map[string]string{"team": "retail"}
				c.must(apply(app))
			}
		}
		records := c.audited(m)
		if len(records) != 3 {
			c.Fatalf("%d records of one act, want 3", len(records))
		}
		named := map[string]int{}
		for _, r := range records {
			if r.By != "api:ann" || len(r.Objects) > 64 {
				c.Errorf("a record by %q names %d apps", r.By, len(r.Objects))
			}
			for _, app := range r.Objects {
				named[string(r.Action)+" "+app]++
			}
		}
		for _, app := range apps {
			if n := named["app_created "+app.Name]; n != 1 {
				c.Errorf("the creation of %q is recorded %d times", app.Name, n)
			}
		}
		if n := named["app_updated shop-10"]; n != 1 || len(named) != 71 {
			c.Errorf("the update is recorded %d times, and %d changes in all; want 1, 71", n, len(named))
		}
		found, _, err := m.Audit(c.Context(), coordinator.AuditQuery{Limit: 9, App: "shop-69"})
		if err != nil || len(found) != 1 {
			c.Errorf("the records about one app of an act: %+v, %v", found, err)
		}
	})
}

// An older build took labels of any name, also one made to fool who reads the records.
func TestTheNamesInARecordAreShortAndOfOneLine(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		m, apps := c.nodes[0], many(64)
		how := coordinator.Applying{Act: &coordinator.Act{}}
		for i, app := range apps {
			c.must(second(m.Apply(c.Context(), app, how)))
			old, _ := m.App(app.Name)
			old.Labels = map[string]string{fmt.Sprintf("%d\x1b[1A\nnow  api:eve  client_added  ", i) + strings.Repeat("ö", 100_000): ""}
			c.must(m.store.PutApp(c.Context(), coordinator.AppChange{App: old, Seen: m.Status().Revision}))
			synctest.Wait()
			c.must(second(m.Apply(c.Context(), app, how)))
		}
		for _, r := range c.audited(m) {
			if r.Action != coordinator.ActionAppUpdated {
				continue
			}
			if text := strings.Join(r.Changed, ""); len(r.Changed) != 40 || len(text) > 40*3*80 || strings.ContainsAny(text, "\x1b\n") {
				c.Errorf("%d names of %d bytes: %.100q", len(r.Changed), len(text), text)
			}
		}
	})
}

// Whether a change was made whose outcome is unknown, its record says, and no
// later change of the act writes over that.
func TestAnUnknownOutcomeWithinAnActIsNotWrittenOver(t *testing.T) {
	for _, persist := range []bool{true, false} {
		bubble(t, 1, func(c *cluster) {
			m, apps := c.nodes[0], many(4)
			how := coordinator.Applying{Act: &coordinator.Act{}}
			c.must(second(m.Apply(c.Context(), apps[0], how)))
			m.store.FailNext(memory.OpPutApp, 1, persist, coordinator.ErrAmbiguous)
			if _, err := m.Apply(c.Context(), apps[1], how); !errors.Is(err, coordinator.ErrAmbiguous) {
				c.Errorf("error %v, want %v", err, coordinator.ErrAmbiguous)
			}
			synctest.Wait()
			c.must(second(m.Apply(c.Context(), apps[2], how)))
			m.store.FailNext(memory.OpPutApp, 1, false, coordinator.ErrConflict)
			c.must(second(m.Apply(c.Context(), apps[3], how))) // after a conflict the act goes on with its record
			want := [][]string{{"shop-2", "shop-3"}, {"shop-0"}}
			if persist {
				want[1] = []string{"shop-0", "shop-1"}
			}
			var got [][]string
			for _, r := range c.audited(m) {
				got = append(got, r.Objects)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				c.Errorf("persisted %v (-want +got):\n%s", persist, diff)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestAnAppsFileIsRecordedAsOneAct(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		key := coordinator.DigestOf(coordinator.NewSecret("a-client-key-of-some-length"))
		orders := coordinator.Client{Name: "orders", Digest: key, Can: map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*"}}}
		c.seed = &coordinator.Seed{File: "apps.yaml", Hash: "1", Apps: many(3), Clients: []coordinator.Client{orders}}
		first := c.join("n1")
		time.Sleep(time.Minute)
		all := ": credentials.appid credentials.secret options.mode owner paused provider tokens.access_token"
		want := []string{
			"file:apps.yaml client_added orders",
			"file:apps.yaml app_created shop-0,shop-1,shop-2" + all,
			"file:apps.yaml apps_file_applied apps.yaml",
		}
		c.wantDeeds(first, want...)
		first.stop()

		// Another content, of which one client is all that differs.
		changed := orders
		changed.Note = "changed"
		c.seed = &coordinator.Seed{File: "apps.yaml", Hash: "2", Apps: many(3), Clients: []coordinator.Client{orders, changed}[1:]}
		next := c.join("n2")
		time.Sleep(time.Minute)
		want = append(want, "file:apps.yaml client_updated orders", "file:apps.yaml apps_file_applied apps.yaml")
		c.wantDeeds(next, want...)
		next.stop()
		c.seed = &coordinator.Seed{File: "apps.yaml", Hash: "3", Apps: many(3), Clients: []coordinator.Client{changed}}
		last := c.join("n3")
		time.Sleep(time.Minute)
		c.wantDeeds(last, append(want, "file:apps.yaml apps_file_applied apps.yaml")...)
	})
}
