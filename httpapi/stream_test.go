package httpapi_test

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/httpapi/client"
)

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// body reads what a node answers to a GET.
func (n *station) body(target string) string {
	n.test.Helper()
	req, err := http.NewRequestWithContext(n.test.Context(), http.MethodGet, "http://node"+target, nil)
	n.test.must(err)
	req.Header.Set("Authorization", "Bearer "+bootstrapKey)
	resp, err := n.http.Do(req)
	n.test.must(err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	n.test.must(err)
	return string(body)
}

func TestStreamTellsWhatThereIsAndThenEachChange(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		r := n.follow(bootstrapKey, "", "")
		e := r.next()
		if e.name != "token" || e.data+"\n" != n.body("/v1/tokens/shop") {
			s.Errorf("event %s: %s, want what a read answers", e.name, e.data)
		}
		r.synced(false)

		n.refresh("shop")
		r.is("token shop value-2")
		s.must(n.PauseApp(s.Context(), "api:test", "shop", true))
		e = r.next()
		state := n.body("/v1/states/shop")
		if e.name != "state" || e.data+"\n" != state || !strings.Contains(state, `"state":"paused"`) {
			s.Errorf("event %s: %s, want the state %s", e.name, e.data, state)
		}
		s.must(n.PauseApp(s.Context(), "api:test", "shop", false))
		r.is("state shop fresh")
		// What changes at once after something was told comes together.
		s.must(n.PauseApp(s.Context(), "api:test", "shop", true))
		s.must(n.PauseApp(s.Context(), "api:test", "shop", false))
		r.is("state shop fresh")
		time.Sleep(time.Second)
		s.must(n.Remove(s.Context(), "api:test", "shop"))
		r.is("deleted shop")
		n.apply("crm")
		r.until("token")
	})
}

func TestStreamTellsWhatTheClockChanges(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		synctest.Wait() // a value that is numbered while a reader looks may be told twice
		r := n.follow(bootstrapKey, "", "")
		r.synced(false, "token shop value-1")
		n.store.Partition() // nothing is refreshed, and no revision comes
		v, _ := n.View(access("shop"))
		for _, turn := range []struct {
			at   time.Time
			want string
		}{
			{v.State.Due, "state shop due"},
			{v.State.Expires.Add(-n.Margin()), "state shop due"}, // no value that is served
			{v.State.Expires, "state shop expired"},
		} {
			r.is(turn.want)
			if late := time.Since(turn.at); late < 0 || late > time.Second {
				s.Errorf("%s was told %s after it was so", turn.want, late)
			}
		}
		n.store.Heal()
		r.until("token")
	})
}

func TestStreamBeatsAndOutlivesTheLimitsOfRequests(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		r := n.follow(bootstrapKey, "", "")
		r.synced(false, "token shop value-1")
		time.AfterFunc(20*time.Minute, n.Drain)
		r.is("end draining")
		r.ended()
		if r.beats < 79 || r.beats > 80 {
			s.Errorf("%d beats in 20 minutes", r.beats)
		}
		resp := n.ask(bootstrapKey, "", "")
		if body := resp.rest(); resp.status != http.StatusServiceUnavailable || !strings.Contains(body, client.CodeDraining) {
			s.Errorf("a stream of a node that drains: status %d: %s", resp.status, body)
		}
	})
}

// Over HTTP/2 the time limit of a write ends the stream also while nothing is written.
func TestStreamBeatsOverHTTP2(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		n.overHTTP2()
		r := n.follow(bootstrapKey, "", "")
		r.synced(false, "token shop value-1")
		time.AfterFunc(20*time.Minute, n.Drain)
		r.is("end draining")
		r.ended()
		if r.beats < 79 || r.beats > 80 {
			s.Errorf("%d beats in 20 minutes", r.beats)
		}
	})
}

// settle lets so many heartbeats pass that positions can be told apart.
func settle() { time.Sleep(time.Minute) }

func TestStreamGoesOnWhereItEndedOnAnyNode(t *testing.T) {
	inBubble(t, func(s *streaming) {
		a, b := s.join("n1"), s.join("n2")
		for _, app := range []string{"crm", "pay", "shop", "web"} {
			a.apply(app)
		}
		settle()
		r := a.follow(bootstrapKey, "", "")
		r.synced(false, "token crm value-1", "token pay value-2", "token shop value-3", "token web value-4")
		r.leave()
		settle()
		a.refresh("shop")
		s.must(a.Remove(s.Context(), "api:test", "crm"))
		s.must(a.PauseApp(s.Context(), "api:test", "pay", true))
		for _, n := range []*station{a, b} {
			settle()
			again := n.follow(bootstrapKey, "", r.last)
			again.synced(true, "token shop value-5", "deleted crm", "state pay paused")
			again.leave()
			settle()
			same := n.follow(bootstrapKey, "", again.last)
			same.synced(true)
		}
	})
}

func TestStreamGoesOnAtANodeThatLagsForAMoment(t *testing.T) {
	inBubble(t, func(s *streaming) {
		a, b := s.join("n1"), s.join("n2")
		a.apply("shop")
		settle()
		b.store.Partition()
		time.Sleep(7 * time.Second)
		r := a.follow(bootstrapKey, "", "")
		r.synced(false, "token shop value-1")
		r.leave()
		time.AfterFunc(time.Second, b.store.Heal)
		b.follow(bootstrapKey, "", r.last).synced(true)
	})
}

func TestStreamIsToldEverythingWhereItCannotGoOn(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		settle()
		r := n.follow(bootstrapKey, "", "")
		_, e := r.until(client.EventSynced)
		position, ok := coordinator.ParsePosition(e.id)
		if !ok || position.Revision == 0 {
			s.Fatalf("id %q", e.id)
		}
		other, ahead := position, position
		other.Incarnation++
		ahead.Revision += 1 << 40
		for name, id := range map[string]string{
			"no id of ours": "7", "no position": "0.0", "another history": other.String(), "ahead of us": ahead.String(), "not read at all": "\u00fc.x",
		} {
			began := time.Now()
			again := n.follow(bootstrapKey, "", id)
			if got, e := again.until(client.EventSynced); len(got) != 1 || !strings.Contains(e.data, `"resumed":false`) {
				s.Errorf("%s: told %q, then %s", name, got, e.data)
			}
			if took := time.Since(began); took > 3*time.Second {
				s.Errorf("%s: took %s", name, took)
			}
		}
		fresh := s.join("n2")
		fresh.follow(bootstrapKey, "", e.id).synced(false, "token shop value-1")
	})
}

// A reader that is broken off in the middle of what it is told must not go on
// from behind what it was not told.
func TestStreamThatBreaksInTheMiddleLosesNothing(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		n.apply("web")
		settle()
		first := n.follow(bootstrapKey, "", "")
		first.next()
		first.leave()
		n.follow(bootstrapKey, "", first.last).synced(false, "token shop value-1", "token web value-2")
		unsynced := n.follow(bootstrapKey, "", "")
		unsynced.next()
		unsynced.next() // all there is, but it does not know that
		unsynced.leave()
		n.follow(bootstrapKey, "", unsynced.last).synced(false, "token shop value-1", "token web value-2")

		r := n.follow(bootstrapKey, "", "")
		r.until(client.EventSynced)
		synced := r.last
		settle()
		time.Sleep(time.Second)
		n.refresh("shop")
		n.refresh("web")
		r.leave()
		half := n.follow(bootstrapKey, "", synced)
		half.next()
		half.leave()
		n.follow(bootstrapKey, "", half.last).synced(true, "token shop value-3", "token web value-4")
	})
}

func TestStreamNeverGoesOnInAHistoryThatEndedWithARestore(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		settle()
		restore := s.memory.Backup()
		n.apply("web")
		n.refresh("shop")
		settle()
		r := n.follow(bootstrapKey, "", "")
		r.synced(false, "token shop value-3", "token web value-2")
		open := n.follow(bootstrapKey, "", r.last)
		open.synced(true)
		r.leave()
		restore()
		open.until("deleted")
		time.Sleep(10 * time.Minute) // revisions are past the former ones again
		for _, m := range []*station{n, s.join("n2")} {
			settle()
			again := m.follow(bootstrapKey, "", r.last)
			if got, e := again.until(client.EventSynced); len(got) != 1 || !strings.Contains(e.data, `"resumed":false`) {
				s.Errorf("%s told %q, then %s", m.Name(), got, e.data)
			}
		}
	})
}

// The slowest tenth reads nothing for a minute.
func TestStreamTellsASlowReaderOnlyTheNewest(t *testing.T) {
	inBubble(t, func(s *streaming) {
		s.change = func(c *httpapi.Config) { c.StreamWrite = time.Hour }
		n := s.join("n1")
		n.apply("shop")
		var readers []*reader
		for range 50 {
			r := n.follow(bootstrapKey, "", "")
			r.synced(false, "token shop value-1")
			readers = append(readers, r)
		}
		slow, quick := readers[:5], readers[5:]
		for version := 2; version <= 7; version++ {
			time.Sleep(10 * time.Second)
			began := time.Now()
			n.refresh("shop")
			for _, r := range quick {
				r.is("token shop value-" + strconv.Itoa(version))
			}
			if took := time.Since(began); took > time.Second {
				s.Errorf("version %d took %s beside readers that read nothing", version, took)
			}
		}
		for _, r := range slow {
			var told []string
			for len(told) == 0 || told[len(told)-1] != "token shop value-7" {
				told = append(told, r.short(r.next()))
			}
			if len(told) > 2 {
				s.Errorf("told %q, though only the newest counts", told)
			}
		}
	})
}

func TestStreamReaderThatTakesNothingIsCutOffAndHoldsUpNobody(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		slow, quick := n.follow(bootstrapKey, "", ""), n.follow(bootstrapKey, "", "")
		slow.synced(false, "token shop value-1")
		quick.synced(false, "token shop value-1")
		for _, want := range []string{"token shop value-2", "token shop value-3"} {
			began := time.Now()
			go n.refresh("shop")
			quick.is(want)
			if took := time.Since(began); took > time.Second {
				s.Errorf("%s took %s beside one that reads nothing", want, took)
			}
		}
		time.Sleep(httpapi.DefaultStreamWrite + beatEvery)
		if e := slow.next(); e.name != "" && slow.next().name != "" {
			s.Errorf("one that read nothing goes on with %v", e)
		}
		quick.leave()
	})
}

const beatEvery = 15 * time.Second
