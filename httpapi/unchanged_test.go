package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"freshet/httpapi/client"
)

// endUnless asks for a token unless it is as a tag says, and returns the tag that is
// told and when the value ends; empty: it is as the tag says.
func (s *served) endUnless(t *testing.T, app, tag string) (newTag, end string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/tokens/"+app, nil)
	r.Header = http.Header{"Authorization": {"Bearer " + bootstrapKey}, "If-None-Match": {tag}}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return w.Header().Get("Etag"), ""
	}
	var token client.Token
	if err := json.Unmarshal(w.Body.Bytes(), &token); err != nil {
		t.Fatal(err)
	}
	return w.Header().Get("Etag"), token.ExpiresAt.String()
}

// A reader who asks whether its copy is still the newest must be told when the
// value stays and only its end has moved, or it would keep the former end.
func TestAnEndThatMovedIsNotUnchanged(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	s.ready(t, admin)
	if _, err := admin.PutApp(t.Context(), "legacy", client.App{Provider: "static", Tokens: map[string]client.TokenSettings{"access_token": {}}}, client.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	push := func(lifetime int64) {
		t.Helper()
		pushed, err := admin.Push(t.Context(), "legacy", client.PushBody{Value: "canary-pushed", ExpiresIn: lifetime})
		if err != nil {
			t.Fatal(err)
		}
		for moved := s.node.Moved(); ; moved = s.node.Moved() {
			v, known := s.node.View(access("legacy"))
			if known && v.Token != nil && v.Token.Expires.Truncate(time.Second).Equal(pushed.ExpiresAt) {
				return
			}
			<-moved
		}
	}
	push(3600)
	for app, move := range map[string]func(again int){
		"legacy": func(again int) { push(7200 - 600*int64(again)) },
		"shop": func(again int) {
			s.platform.repeat(time.Hour - time.Duration(again)*time.Minute)
			_, err := admin.Refresh(t.Context(), "shop", client.RefreshBody{Wait: client.Duration(30 * time.Second)})
			if !isProblem(err, client.CodeNoNewerToken) {
				t.Fatalf("a refresh that yields the value held: %v", err)
			}
		},
	} {
		asked := func(tag string) (newTag, end string) { return s.endUnless(t, app, tag) }
		tag, end := asked("")
		if !strings.HasPrefix(tag, `W/"1-`) || strings.Count(tag, "-") != 1 {
			t.Errorf("%s: the tag of a value that has its first end is %s", app, tag)
		}
		for again := range 2 {
			move(again)
			newTag, newEnd := asked(tag)
			if newEnd == "" || newEnd == end || !strings.HasPrefix(newTag, `W/"1-`) {
				t.Errorf("%s: asked with %s, the end is told as %q after %q, with %s", app, tag, newEnd, end, newTag)
			}
			tag, end = newTag, newEnd
			if _, told := asked(tag); told != "" {
				t.Errorf("%s: what is told with the tag %s is not unchanged", app, tag)
			}
		}
	}
}
