package client

import (
	"fmt"
	"io"
	"net/http"
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
