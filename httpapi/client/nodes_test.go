package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// asked counts requests by host, and answers for those that are alive.
type asked struct {
	counts map[string]int
	alive  map[string]bool
	hang   time.Duration // of those that are not, before they break
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.counts[r.URL.Host]++
	if !a.alive[r.URL.Host] {
		select {
		case <-time.After(a.hang):
			return nil, errors.New("broken")
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	w := httptest.NewRecorder()
	answers(7)(w, r)
	return w.Result(), nil
}

func clientOf(t *testing.T, transport http.RoundTripper, addresses ...string) *Client {
	t.Helper()
	c, err := New(Config{Addresses: addresses, Key: key, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestANodeThatFailedIsLeftAloneForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{counts: map[string]int{}, alive: map[string]bool{"b": true}}
		c := clientOf(t, a, "a", "b")
		read := func(want error) {
			t.Helper()
			if _, err := c.Token(t.Context(), "shop", TokenOptions{}); (err == nil) != (want == nil) {
				t.Fatal(err)
			}
		}
		// While b answers it is asked, and then, when it fails, a again, though it rests.
		for range 100 {
			read(nil)
		}
		if a.counts["a"] != 1 || a.counts["b"] != 100 {
			t.Fatalf("asked %v", a.counts)
		}
		a.alive = map[string]bool{"a": true}
		read(nil)
		a.alive = nil
		for range 10 {
			read(errors.ErrUnsupported)
		}
		// Both have failed often: the one that is back is found, whichever it is.
		a.alive = map[string]bool{"b": true}
		read(nil)

		// When its rest is over, it is still not asked before one that answers.
		a.counts, a.alive = map[string]int{}, map[string]bool{"b": true}
		c = clientOf(t, a, "a", "b")
		read(nil)
		time.Sleep(time.Hour)
		read(nil)
		if a.counts["a"] != 1 {
			t.Errorf("asked %v", a.counts)
		}

		// A node that hangs costs one caller its patience, not each of them.
		a.counts, a.hang = map[string]int{}, time.Hour
		c = clientOf(t, a, "a", "b")
		began := time.Now()
		for range 20 {
			read(nil)
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took > attemptTimeout+time.Second || a.counts["a"] != 1 {
			t.Errorf("took %s, asked %v", took, a.counts)
		}
	})
}

func TestTheOrderOfNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNodes([]string{"a", "b", "c"})
		expect := func(what string, want ...int) {
			t.Helper()
			if got := n.inOrder(); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		expect("at first", 0, 1, 2)
		n.failed(1)
		expect("one rests", 0, 2, 1)
		n.failed(0)
		if got := n.inOrder(); got[0] != 2 {
			t.Errorf("two rest: %v", got)
		}
		time.Sleep(time.Hour)
		expect("none rests, and the first has failed", 1, 2, 0)
		n.worked(2)
		expect("one works", 2, 0, 1)
		for range 10 {
			n.failed(2)
		}
		time.Sleep(5 * time.Second)
		expect("one has failed often", 0, 1, 2)
		n.worked(2)
		n.failed(2)
		time.Sleep(restMin)
		n.worked(1)
		expect("one has failed once since", 1, 2, 0)
	})
}

func TestACallerInAHurryGetsToTheNextNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{counts: map[string]int{}, alive: map[string]bool{"c": true}, hang: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := clientOf(t, a, "a", "b", "c").Token(ctx, "shop", TokenOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// However long a caller would wait, a node answers after a minute, or hangs.
func TestALongWaitDoesNotOutlastANodeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{counts: map[string]int{}, alive: map[string]bool{"b": true}, hang: 24 * time.Hour}
		began := time.Now()
		_, err := clientOf(t, a, "a", "b").Token(t.Context(), "shop", TokenOptions{After: 6, Wait: 10 * time.Hour})
		if took := time.Since(began); err != nil || took != maxWait+attemptTimeout {
			t.Errorf("the next node was asked after %s, %v", took, err)
		}
	})
}

func TestACallerWhoGoesAwayBlamesNoNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{counts: map[string]int{}, hang: time.Second}
		c := clientOf(t, a, "a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if _, err := c.Token(ctx, "shop", TokenOptions{}); err == nil {
			t.Fatal("no error")
		}
		if order := c.nodes.inOrder(); order[0] != 0 {
			t.Error("the first node rests")
		}
	})
}

func TestBackoffGrowsAndEnds(t *testing.T) {
	for failures, want := range map[int]time.Duration{0: restMin, 1: 2 * restMin, 3: 8 * restMin, 5: restMax, 1000: restMax} {
		if got := backoff(failures); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
	for range 100 {
		if got := jittered(restMax); got > restMax || got < restMax/2 {
			t.Errorf("jittered to %s", got)
		}
	}
}
