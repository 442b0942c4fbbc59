package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// streamOf answers each request with the next of these texts, and then with none.
type streamOf struct {
	texts []io.Reader
	from  []string // the Last-Event-ID of each request
}

func (s *streamOf) RoundTrip(r *http.Request) (*http.Response, error) {
	s.from = append(s.from, r.Header.Get("Last-Event-ID"))
	if len(s.texts) == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	body := io.NopCloser(s.texts[0])
	s.texts = s.texts[1:]
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}, nil
}

func tokenEvent(version int64, issued, expires time.Time, left time.Duration) string {
	return fmt.Sprintf("id: %d\nevent: token\ndata: {\"app\":\"shop\",\"token\":\"access_token\",\"value\":\"v\",\"version\":%d,\"issued_at\":%q,\"expires_at\":%q,\"expires_in\":%d}\n\n",
		version, version, issued.Format(time.RFC3339), expires.Format(time.RFC3339), left/time.Second)
}

// TestASecondSnapshotOnOneConnectionIsTakenUpAnew is what a node does when the
// client's permissions have changed.
func TestASecondSnapshotOnOneConnectionIsTakenUpAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		synced := "id: 9\nevent: synced\ndata: {\"resumed\":false}\n\n"
		s := &streamOf{texts: []io.Reader{
			strings.NewReader(tokenEvent(1, now, now.Add(time.Hour), time.Hour) + synced + synced + "event: deleted\ndata: {\"app\":\"not\",\"token\":\"read\"}\n\n"),
			strings.NewReader(synced),
		}}
		var got []string
		for event, err := range clientOf(t, s, "x").Stream(t.Context()) {
			if err != nil {
				break
			}
			got = append(got, strings.TrimSpace(event.Kind+" "+event.Name))
		}
		if want := "token shop/access_token, synced, deleted shop/access_token, synced"; strings.Join(got, ", ") != want || strings.Join(s.from, ",") != "," {
			t.Errorf("told %v, went on from %q", got, s.from)
		}
	})
}

// TestASnapshotThatBrokeOffCountsForNothing has a token deleted while a stream
// goes on at the second node, after the first one died in the midst of its snapshot.
func TestASnapshotThatBrokeOffCountsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		synced := "id: 9\nevent: synced\ndata: {\"resumed\":false}\n\n"
		s := &streamOf{texts: []io.Reader{
			strings.NewReader(tokenEvent(1, now, now.Add(time.Hour), time.Hour)),
			strings.NewReader(synced),
		}}
		var got []string
		for event, err := range clientOf(t, s, "x", "y").Stream(t.Context()) {
			if err != nil {
				break
			}
			got = append(got, strings.TrimSpace(event.Kind+" "+event.Name))
		}
		if want := "token shop/access_token, deleted shop/access_token, synced"; strings.Join(got, ", ") != want {
			t.Errorf("told %v, want %s", got, want)
		}
	})
}

// TestANodeWithoutStreamsEndsNoStreamThatAnotherMayHave meets, in the midst of an
// upgrade, a node that is away and one of a build that knows no streams.
func TestANodeWithoutStreamsEndsNoStreamThatAnotherMayHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		nodes := answering(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.Host == "old":
				w := httptest.NewRecorder()
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.WriteString(`{"code":"not_found"}`)
				return w.Result(), nil
			case time.Since(began) < time.Minute:
				return nil, errors.New("not there")
			}
			return (&streamOf{texts: []io.Reader{strings.NewReader("event: synced\ndata: {\"resumed\":false}\n\n")}}).RoundTrip(r)
		})
		for event, err := range clientOf(t, nodes, "new", "old").Stream(t.Context()) {
			if err == nil && event.Kind == EventSynced {
				return
			}
		}
		t.Error("the stream ended")
	})
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// TestAnEndThatMovesIsTold is what a node tells when the same value is pushed
// again with another end, or its platform names a sooner one.
func TestAnEndThatMovesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		state := func(ends time.Duration) string {
			return fmt.Sprintf("event: state\ndata: {\"app\":\"shop\",\"token\":\"access_token\",\"state\":\"fresh\",\"version\":1,\"issued_at\":%q,\"expires_at\":%q,\"expires_in\":%d}\n\n",
				now.Format(time.RFC3339), now.Add(ends).Format(time.RFC3339), ends/time.Second)
		}
		fresh := func(event string) string { return strings.ReplaceAll(event, `"version"`, `"state":"fresh","version"`) }
		resumed := "id: 9\nevent: synced\ndata: {\"resumed\":true}\n\n"
		s := &streamOf{texts: []io.Reader{
			strings.NewReader(fresh(tokenEvent(1, now, now.Add(time.Hour), time.Hour)) +
				resumed + state(time.Minute) + state(time.Minute)),
			strings.NewReader(fresh(tokenEvent(1, now, now.Add(2*time.Hour), 2*time.Hour)) + resumed),
		}}
		cache, err := NewCache(clientOf(t, s, "x"), CacheConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var lives []time.Duration
		for event, err := range cache.client.Stream(t.Context()) {
			if err != nil {
				if len(s.texts) == 0 {
					break
				}
				continue
			}
			cache.apply(event)
			if event.Kind != EventSynced {
				lives = append(lives, cache.held["shop/access_token"].left(instant{time.Now(), time.Now()}))
			}
		}
		if want := []time.Duration{time.Hour, time.Minute, 2 * time.Hour}; !slices.Equal(lives, want) {
			t.Errorf("it lives for %v, want %v", lives, want)
		}
	})
}

// TestALateEventLivesShorter has an event held up for half a minute.
func TestALateEventLivesShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		late := readerFunc(func(p []byte) (int, error) {
			time.Sleep(30 * time.Second)
			return strings.NewReader(tokenEvent(2, start, start.Add(time.Hour), time.Hour)).Read(p)
		})
		s := &streamOf{texts: []io.Reader{io.MultiReader(strings.NewReader(tokenEvent(1, start, start.Add(time.Hour), time.Hour)), late)}}
		for event, err := range clientOf(t, s, "x").Stream(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Token.Version == 1 {
				continue
			}
			if event.Token.ExpiresIn != 3570 {
				t.Errorf("it lives for %d s", event.Token.ExpiresIn)
			}
			break
		}
	})
}

func FuzzEvents(f *testing.F) {
	for _, seed := range [][2]string{{EventToken, `{"app":"a","token":"b","value":"c","version":1}`}, {EventState, `{}`}, {EventSynced, `{"resumed":true}`}, {"later", ``}, {EventEnd, `[]`}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, kind, data string) {
		event, err := parseEvent(frame{event: kind, data: []byte(data)})
		if token, ok := event.(*Token); ok && (err != nil || token.Value == "" || token.Name() == "/" || token.Version < 1) {
			t.Errorf("%q is read as %v", data, token)
		}
		if err != nil && data != "" && len(data) > 20 && strings.Contains(err.Error(), data) {
			t.Errorf("the error repeats what was read: %v", err)
		}
	})
}
