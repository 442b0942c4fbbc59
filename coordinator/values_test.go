package coordinator

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// valueBatch is a batch in which the token of an app has a value for an hour.
func valueBatch(app string, version, incarnation int64, value string) Batch {
	name := Name{App: app, Token: DefaultToken}
	expires := time.Now().Add(time.Hour)
	return Batch{Revision: 100 + version, Events: []Event{
		{Record: FingerprintKey{Key: NewSecret("key")}},
		{Record: App{Name: app, Tokens: map[string]TokenSettings{DefaultToken: {}}, Incarnation: incarnation}},
		{Record: State{Name: name, Version: version, Incarnation: incarnation, Status: StatusFresh, Expires: expires, Due: expires}},
		{Record: Token{Name: name, Version: version, Value: NewSecret(value), Expires: expires}},
	}}
}

// recognized returns the apps whose token a value is; empty where it is none of ours.
func recognized(n *Node, value string) string {
	var apps []string
	for _, name := range n.Recognize(NewSecret(value)) {
		apps = append(apps, name.App)
	}
	return strings.Join(apps, " ")
}

func TestValuesAreRecognizedUntilTheirLifeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := follower(t)
		n.apply(t.Context(), valueBatch("shop", 1, 1, "one"))
		time.Sleep(30 * time.Minute)
		n.apply(t.Context(), valueBatch("shop", 2, 1, "two"))
		for value, want := range map[string]string{"one": "shop", "two": "shop", "three": "", "": ""} {
			if got := recognized(n, value); got != want {
				t.Errorf("%q is recognized as %q, want %q", value, got, want)
			}
		}
		time.Sleep(30 * time.Minute)
		if recognized(n, "one") != "" || recognized(n, "two") == "" {
			t.Error("a former value is recognized past its life, or the newest is not within it")
		}
		time.Sleep(time.Hour)
		if recognized(n, "two") != "" {
			t.Error("a value that has expired is recognized")
		}
	})
}

func TestOnlyAFewFormerValuesAreRecognized(t *testing.T) {
	n := follower(t)
	for version := range int64(20) {
		n.apply(t.Context(), valueBatch("shop", version+1, 1, fmt.Sprint("value", version+1)))
	}
	kept := 0
	n.cache.values.known.Range(func(any, any) bool { kept++; return true })
	if kept != formerValues || recognized(n, "value17") == "" || recognized(n, "value16") != "" {
		t.Errorf("%d values are kept", kept)
	}
}

func TestANewLifeOfAnAppEndsItsFormerValues(t *testing.T) {
	n := follower(t)
	n.apply(t.Context(), valueBatch("shop", 1, 1, "one"))
	n.apply(t.Context(), valueBatch("crm", 1, 1, "other"))
	n.apply(t.Context(), valueBatch("shop", 2, 2, "two"))
	if recognized(n, "one") != "" || recognized(n, "two") == "" || recognized(n, "other") == "" {
		t.Error("a value of a former life is recognized, or one of this life is not")
	}
	name := Name{App: "shop", Token: DefaultToken}
	n.apply(t.Context(), Batch{Revision: 200, Events: []Event{
		{Record: App{Name: "shop"}, Deleted: true},
		{Record: State{Name: name, Version: 2, Deleted: true}},
		{Record: Token{Name: name}, Deleted: true},
	}})
	if recognized(n, "two") != "" || recognized(n, "other") == "" {
		t.Error("a value of an app that is gone is recognized, or one of another is not")
	}
}

// One token may mirror another. What becomes of either ends nothing of the other's.
func TestAValueOfSeveralTokensIsKnownForEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := follower(t)
		check := func(when, value, want string) {
			t.Helper()
			if got := recognized(n, value); got != want {
				t.Errorf("%s %q is recognized as %q, want %q", when, value, got, want)
			}
		}
		n.apply(t.Context(), valueBatch("shop", 1, 1, "one"))
		n.apply(t.Context(), valueBatch("mirror", 7, 1, "one"))
		check("held by both,", "one", "mirror shop")
		n.apply(t.Context(), valueBatch("mirror", 8, 1, "two"))
		check("held by the second,", "one", "shop mirror")
		n.apply(t.Context(), valueBatch("shop", 2, 1, "three"))
		check("held by none,", "one", "mirror shop")
		for version := range int64(formerValues) {
			n.apply(t.Context(), valueBatch("mirror", 9+version, 1, fmt.Sprint("later", version)))
		}
		check("held by one not long ago,", "one", "shop")
		n.apply(t.Context(), valueBatch("mirror", 20, 1, "three"))
		n.apply(t.Context(), valueBatch("mirror", 20, 2, "of a new life"))
		check("of a former life,", "three", "shop")

		time.Sleep(30 * time.Minute)
		n.apply(t.Context(), valueBatch("mirror", 21, 2, "three"))
		time.Sleep(30 * time.Minute)
		check("longer lived,", "three", "mirror")
		n.apply(t.Context(), valueBatch("shop", 3, 1, "four"))
		check("of one whose former value has ended,", "three", "mirror")
		if kept := n.cache.values.find(NewSecret("three")); len(kept) != 1 {
			t.Errorf("%+v are kept", kept)
		}
	})
}

// Another key, as of a cluster that was restored, makes every value be known anew.
func TestValuesAreRecognizedUnderANewKey(t *testing.T) {
	n := follower(t)
	n.apply(t.Context(), valueBatch("shop", 1, 1, "one"))
	n.apply(t.Context(), Batch{Revision: 300, Events: []Event{{Record: FingerprintKey{Key: NewSecret("another")}}}})
	if recognized(n, "one") == "" {
		t.Error("the value held is not recognized under the new key")
	}
}

// Recognizing waits for nobody: whoever follows may be in the midst of a batch.
func TestRecognizingTakesNoLockOfTheFollower(t *testing.T) {
	n := follower(t)
	n.apply(t.Context(), valueBatch("shop", 1, 1, "one"))
	n.following.Lock()
	defer n.following.Unlock()
	n.cache.mu.Lock()
	defer n.cache.mu.Unlock()
	done := make(chan string, 1)
	go func() { done <- recognized(n, "one") }()
	select {
	case got := <-done:
		if got == "" {
			t.Error("not recognized")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("recognizing waits for who follows")
	}
}

// named is a provider that knows apps by one of their options.
type named struct{ Provider }

func (named) Identity(app App) string { return app.Options["id"] }

// namedApp is an app of an identity; empty: it has its parent's, or none.
func namedApp(name, id, parent string) Event {
	app := App{Name: name, Provider: "named", Parent: parent}
	if id != "" {
		app.Options = map[string]string{"id": id}
	}
	return Event{Record: app}
}

func TestAppsAreIdentifiedAsTheirSettingsChange(t *testing.T) {
	n := follower(t)
	n.providers = map[string]Provider{"named": named{}}
	app := namedApp
	check := func(identity, want string) {
		t.Helper()
		if got, ok := n.Identified(identity); got != want || ok != (want != "") {
			t.Errorf("%q is app %q, want %q", identity, got, want)
		}
	}
	check("wx1", "")
	n.apply(t.Context(), Batch{Revision: 1, Snapshot: true, Events: []Event{app("shop", "wx1", ""), app("crm", "", ""), app("other", "", "unknown")}})
	check("wx1", "shop")
	check("", "")
	n.apply(t.Context(), Batch{Revision: 2, Events: []Event{app("crm", "wx2", "")}})
	check("wx2", "crm")
	n.apply(t.Context(), Batch{Revision: 3, Events: []Event{app("shop", "wx3", "")}})
	check("wx1", "")
	check("wx3", "shop")
	n.apply(t.Context(), Batch{Revision: 4, Events: []Event{{Record: App{Name: "shop"}, Deleted: true}}})
	check("wx3", "")

	n.apply(t.Context(), Batch{Revision: 5, Events: []Event{app("child", "", "crm"), app("grandchild", "wx4", "child")}})
	check("wx4", "grandchild")
	n.apply(t.Context(), Batch{Revision: 6, Events: []Event{app("crm", "wx5", "")}})
	check("wx2", "")
	n.apply(t.Context(), Batch{Revision: 7, Events: []Event{app("crm", "wx6", ""), app("child", "wx5", "crm")}})
	check("wx5", "child") // handed from one to another
	check("wx6", "crm")
	n.apply(t.Context(), Batch{Revision: 8, Snapshot: true, Events: []Event{app("crm", "wx7", "")}})
	for identity, want := range map[string]string{"wx4": "", "wx5": "", "wx6": "", "wx7": "crm"} {
		check(identity, want)
	}
}

// Many recognize while values come and go.
func TestRecognizingWhileValuesChange(t *testing.T) {
	n := follower(t)
	n.apply(t.Context(), valueBatch("shop", 1, 1, "value1"))
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if recognized(n, "value1") == "" { // an app that nobody changes
					t.Error("a value that lives is not recognized")
					return
				}
				recognized(n, "crm12")
			}
		})
	}
	for version := range int64(50) {
		n.apply(t.Context(), valueBatch("crm", version+1, 1+version/10, fmt.Sprint("crm", version+1)))
	}
	close(done)
	readers.Wait()
}
