package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"freshet/httpapi/client"
)

// A value that is pushed through the API is read through it, and what somebody
// must do is told on every way.
func TestAPushedValueIsServed(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	s.ready(t, admin)
	if _, err := admin.PutApp(t.Context(), "legacy", client.App{Provider: "static", Tokens: map[string]client.TokenSettings{"access_token": {}}}, client.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := admin.Token(t.Context(), "legacy", client.TokenOptions{})
	if !isProblem(err, client.CodeTokenPending) || !strings.Contains(err.Error(), "freshet push legacy/access_token") {
		t.Errorf("before the first push: %v", err)
	}
	pushed, err := admin.Push(t.Context(), "legacy", client.PushBody{Value: "canary-pushed", ExpiresIn: 7200, TokenType: "Bearer"})
	if err != nil || pushed.Version != 1 || pushed.After != 0 || pushed.Name() != "legacy/access_token" || pushed.Paused {
		t.Fatalf("%+v, %v", pushed, err)
	}
	served, err := admin.Token(t.Context(), "legacy", client.TokenOptions{After: pushed.After, Wait: 30 * time.Second})
	if err != nil || served.Value != "canary-pushed" || served.Version != 1 || served.TokenType != "Bearer" || !served.ExpiresAt.Equal(pushed.ExpiresAt) {
		t.Errorf("%v %q %v, %v", served, served.Value, served.ExpiresAt, err)
	}
	_, err = admin.Refresh(t.Context(), "legacy", client.RefreshBody{Wait: client.Duration(30 * time.Second)})
	if !isProblem(err, client.CodeNoNewerToken) || !strings.Contains(err.Error(), "freshet push legacy/access_token") {
		t.Errorf("a refresh: %v", err)
	}
	report, err := admin.Report(t.Context(), "legacy", client.ReportBody{Version: 1})
	if err != nil || report.Verdict != client.VerdictFailed || report.Reason != "reported_dead" || report.State != "blocked" {
		t.Errorf("a report: %+v, %v", report, err)
	}
	state, err := admin.State(t.Context(), "legacy/access_token")
	if err != nil || !strings.Contains(state.Todo, "reported dead") || state.Outcomes[0].Message != "pushed by bootstrap" {
		t.Errorf("its state: %+v, %v", state, err)
	}
	if _, err := admin.Push(t.Context(), "shop", client.PushBody{Value: "canary-pushed", ExpiresIn: 60}); !isProblem(err, client.CodeInvalidRequest) {
		t.Errorf("pushing to an app that is refreshed: %v", err)
	}
	if text := s.log.String(); strings.Contains(text, "canary-pushed") {
		t.Errorf("a pushed value was logged:\n%s", text)
	}
}

// The answer to a push is cut off, and somebody else pushes before the client asks
// the next node: what is sent again there does not replace the later value.
func TestAPushWhoseAnswerIsCutOffIsTakenOnce(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	s.ready(t, admin)
	if _, err := admin.PutApp(t.Context(), "legacy", client.App{Provider: "static"}, client.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	push := func(c *client.Client, text string) int64 {
		t.Helper()
		pushed, err := c.Push(t.Context(), "legacy", client.PushBody{Value: text, ExpiresIn: 7200})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Token(t.Context(), "legacy", client.TokenOptions{After: pushed.After, Wait: 30 * time.Second}); err != nil {
			t.Fatal(err)
		}
		return pushed.Version
	}
	cut := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.handler.ServeHTTP(httptest.NewRecorder(), r)
		if _, err := admin.Token(r.Context(), "legacy", client.TokenOptions{Wait: 30 * time.Second}); err != nil {
			t.Error(err)
		}
		push(admin, "later")
		panic(http.ErrAbortHandler)
	}))
	defer cut.Close()
	c, err := client.New(client.Config{Addresses: []string{cut.URL, s.url}, Key: bootstrapKey})
	if err != nil {
		t.Fatal(err)
	}
	if version := push(c, "earlier"); version != 1 {
		t.Errorf("the push is told to be version %d", version)
	}
	held, err := admin.Token(t.Context(), "legacy", client.TokenOptions{})
	if err != nil || held.Value != "later" || held.Version != 2 {
		t.Errorf("%q is served as version %d, error %v", held.Value, held.Version, err)
	}
}
