package client

import (
	"testing"
	"time"
)

func TestALifeCountsByWhatTheNodeSaidIsLeft(t *testing.T) {
	came := now()
	wrongClock := newHeld(Token{ExpiresIn: 3600, ExpiresAt: time.Now().Add(-24 * time.Hour)}, came)
	if left := wrongClock.left(came); left != time.Hour {
		t.Errorf("%s are left", left)
	}
	later := instant{monotonic: came.monotonic.Add(50 * time.Minute), wall: came.wall}
	slept := instant{monotonic: came.monotonic, wall: came.wall.Add(time.Hour)}
	setBack := instant{monotonic: came.monotonic.Add(time.Hour), wall: came.wall.Add(-24 * time.Hour)}
	for name, test := range map[string]struct {
		at   instant
		want time.Duration
	}{
		"time passed":                      {later, 10 * time.Minute},
		"the machine slept":                {slept, 0},
		"the clock was set back meanwhile": {setBack, 0},
	} {
		if left := wrongClock.left(test.at); left != test.want {
			t.Errorf("%s: %s are left, want %s", name, left, test.want)
		}
	}
}

// TestAnEventThatWasHeldUpHasLessLifeLeft uses a node whose clock is an hour off.
func TestAnEventThatWasHeldUpHasLessLifeLeft(t *testing.T) {
	start := time.Now()
	write := func(after time.Duration) *Token {
		expires := start.Add(2 * time.Hour)
		return &Token{ExpiresAt: expires.Add(-time.Hour), ExpiresIn: int64((2*time.Hour - after) / time.Second)}
	}
	var clock lateness
	for _, test := range []struct{ written, came, want time.Duration }{
		{0, 2 * time.Second, 2 * time.Hour}, // nothing is known yet
		{time.Minute, time.Minute, 119 * time.Minute},
		{2 * time.Minute, 2*time.Minute + 30*time.Second, 117*time.Minute + 30*time.Second},
		{3 * time.Minute, 3 * time.Minute, 117 * time.Minute},
		{time.Hour, 3 * time.Hour, 0},
	} {
		token := write(test.written)
		clock.correct(token, start.Add(test.came))
		if left := time.Duration(token.ExpiresIn) * time.Second; left != test.want {
			t.Errorf("written at %s and come at %s: %s are left, want %s", test.written, test.came, left, test.want)
		}
	}
}

func TestEditionsOfAToken(t *testing.T) {
	at := time.Now()
	held := editionOf(7, at)
	for name, test := range map[string]struct {
		other edition
		want  bool
	}{
		"the next":                         {editionOf(8, at.Add(time.Hour)), true},
		"the next, of a clock that lags":   {editionOf(8, at.Add(-time.Hour)), true},
		"itself":                           {held, false},
		"the one before":                   {editionOf(6, at.Add(-time.Hour)), false},
		"the one before, of another clock": {editionOf(6, at.Add(30*time.Second)), false},
		"the first of a new count":         {editionOf(1, at.Add(time.Hour)), true},
	} {
		if got := held.before(test.other); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAStateOfAnOlderValueSaysNothingOfANewerOne has a stream at a node that lags
// behind another one, of which the newer value was read.
func TestAStateOfAnOlderValueSaysNothingOfANewerOne(t *testing.T) {
	cache, err := NewCache(clientOf(t, nil, "x"), CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	cache.keep(newHeld(Token{App: "shop", Token: "access_token", Value: "v", State: "fresh", Version: 2, IssuedAt: time.Now(), ExpiresIn: 3600}, now()))
	cache.apply(Event{Kind: EventState, Name: "shop/access_token", State: State{State: "expired", Version: 1, IssuedAt: time.Now()}})
	if all := cache.All(); all["shop/access_token"].State != "fresh" {
		t.Errorf("held are %v", all)
	}
}
