package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"freshet/httpapi/client"
)

// ran is what a command line did.
type ran struct {
	code     int
	out, err string
}

// runFreshet carries out a command line in this process.
func runFreshet(ctx context.Context, env map[string]string, args ...string) ran {
	var out, errs bytes.Buffer
	code := run(ctx, &terminal{in: strings.NewReader(""), out: &out, err: &errs, env: given(env)}, args)
	return ran{code, out.String(), errs.String()}
}

func TestRefusalsAreToldWithTheirExitCode(t *testing.T) {
	tests := map[string]struct {
		problem client.Problem
		code    int
		want    string
	}{
		"unknown key":    {client.Problem{Status: 401, Code: client.CodeUnauthenticated}, exitRefused, "the cluster does not know this client key"},
		"forbidden":      {client.Problem{Status: 403, Code: client.CodeForbidden, Detail: "no read on shop"}, exitRefused, "the client key may not do this: no read on shop"},
		"unknown token":  {client.Problem{Status: 404, Code: client.CodeUnknownToken, Title: "no such token"}, exitRefused, "no such token; freshet status shows"},
		"unknown app":    {client.Problem{Status: 404, Code: client.CodeUnknownApp, Title: "no such app"}, exitRefused, "no such app; freshet apps list shows"},
		"unknown client": {client.Problem{Status: 404, Code: client.CodeUnknownClient, Title: "no such client"}, exitRefused, "no such client; freshet clients list shows"},
		"etcd away":      {client.Problem{Status: 503, Code: client.CodeUnavailable, Detail: "etcd did not answer in time: try again"}, exitUnreachable, "freshet: etcd did not answer in time: try again\n"},
		"pending":        {client.Problem{Status: 503, Code: client.CodeTokenPending, Detail: "no value yet", State: "blocked", Reason: "invalid_secret"}, exitNoToken, "no value yet: invalid_secret (state blocked); ask again in 7s"},
		"expired":        {client.Problem{Status: 503, Code: client.CodeNoValidToken, Detail: "gone"}, exitNoToken, "gone"},
		"not newer":      {client.Problem{Status: 503, Code: client.CodeNoNewerToken, Detail: "none"}, exitNoToken, "none"},
		"reauthorize":    {client.Problem{Status: 424, Code: client.CodeReauthorize, Detail: "again"}, exitNoToken, "again"},
		"budget":         {client.Problem{Status: 429, Code: client.CodeBudgetExhausted, Detail: "spent"}, exitNoToken, "spent"},
		"bad request":    {client.Problem{Status: 400, Code: client.CodeInvalidRequest, Detail: "min_ttl is odd"}, exitUsage, "min_ttl is odd"},
		"cut off":        {client.Problem{Status: 503, Code: client.CodeStale, Detail: "nothing heard: try again"}, exitUnreachable, "freshet: nothing heard: try again\n"},
		"not synced":     {client.Problem{Status: 503, Code: client.CodeNotSynced, Detail: "just started"}, exitUnreachable, "just started; try again, or another node"},
		"no route":       {client.Problem{Status: 404, Code: client.CodeNotFound}, exitUnreachable, "is it the port of the API?"},
		"internal error": {client.Problem{Status: 500, Code: client.CodeInternal, Title: "internal error"}, exitFailure, "internal error"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/problem+json")
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(test.problem.Status)
				_ = json.NewEncoder(w).Encode(test.problem)
			}))
			defer server.Close()
			got := runFreshet(t.Context(), map[string]string{"FRESHET_ADDR": server.URL, "FRESHET_KEY": "CANARY"}, "get", "shop")
			if got.code != test.code || !strings.Contains(got.err, test.want) {
				t.Errorf("exit code %d and %q, want %d and %q", got.code, got.err, test.code, test.want)
			}
			if strings.Contains(got.err+got.out, "CANARY") {
				t.Errorf("the client key is shown: %s", got.err)
			}
		})
	}
}

func TestAKeyThatIsMissingIsAskedFor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if auth := r.Header.Get("Authorization"); auth != "" {
			t.Errorf("a key was sent: %q", auth)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"code":"unauthenticated","status":401}`)
	}))
	defer server.Close()
	got := runFreshet(t.Context(), nil, "get", "shop", "--addr", server.URL)
	if got.code != exitRefused || !strings.Contains(got.err, "a client key is needed: set FRESHET_KEY, or name a file with --key-file") {
		t.Errorf("exit code %d and %q", got.code, got.err)
	}
}

func TestWhatIsNotFreshetIsTold(t *testing.T) {
	pages := map[string]http.HandlerFunc{
		"a page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>welcome</html>") },
		"a refusal": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", http.StatusTeapot) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example", http.StatusFound)
		},
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(page)
			defer server.Close()
			got := runFreshet(t.Context(), map[string]string{"FRESHET_KEY": "k"}, "get", "shop", "--addr", server.URL)
			if got.code != exitUnreachable || !strings.Contains(got.err, "is not freshet's API") {
				t.Errorf("exit code %d and %q", got.code, got.err)
			}
		})
	}
}

func TestTheNextAddressIsAskedWhereOneIsSilent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer of-the-file" {
			t.Errorf("key sent: %q", got)
		}
		_, _ = fmt.Fprint(w, `{"app":"shop","token":"access_token","value":"v-1","version":1}`)
	}))
	defer server.Close()
	file := written(t, "key", "of-the-file\n")
	got := runFreshet(t.Context(), map[string]string{"FRESHET_ADDR": "http://127.0.0.1:1," + server.URL, "FRESHET_KEY_FILE": file}, "get", "shop", "-o", "value")
	if got.code != exitOK || got.out != "v-1\n" {
		t.Errorf("exit code %d, output %q, errors %q", got.code, got.out, got.err)
	}
}

func TestColoursShowOnlyOnATerminal(t *testing.T) {
	plain, coloured := &terminal{}, &terminal{color: true}
	if got := plain.state("blocked"); got != "blocked" {
		t.Errorf("without colours: %q", got)
	}
	if got := coloured.state("blocked"); got != red+"blocked"+reset {
		t.Errorf("with colours: %q", got)
	}
}

func TestColumnsLineUpUnderColours(t *testing.T) {
	var out bytes.Buffer
	term := &terminal{out: &out, color: true}
	term.table([][]string{{"A", "B"}, {term.paint(red, "blöcked"), "x"}, {"ok", "y"}})
	want := "A        B\n" + red + "blöcked" + reset + "  x\nok       y\n"
	if out.String() != want {
		t.Errorf("table %q, want %q", out.String(), want)
	}
}

func TestProblemsSayWhatToDo(t *testing.T) {
	all := overview{
		Status: client.Status{Node: "n2", Refresher: "n1", Stale: true, WatchAgeSeconds: 42, SkewSeconds: 3, Paused: true},
		Nodes:  []client.Node{{Name: "n2"}},
		States: []client.State{
			{App: "a", Token: "t", State: "fresh"},
			{App: "b", Token: "t", State: "blocked", Reason: "invalid_secret", Todo: "correct the secret"},
			{App: "c", Token: "t", State: "reauthorize", Reason: "grant gone", Todo: "authorise it again"},
			{App: "d", Token: "t", State: "pending"},
		},
	}
	got := strings.Join(problemsOf(all), "\n")
	for _, want := range []string{
		"no node refreshes", "n2 has heard nothing from etcd for 42s", "the clock of n2 is 3.0 s behind", "paused for the whole cluster",
		"b/t is blocked: correct the secret", "c/t is reauthorize: authorise it again",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("problems:\n%s\nwant one with %q", got, want)
		}
	}
	if strings.Contains(got, "a/t") || strings.Contains(got, "d/t") {
		t.Errorf("a token without a problem is named:\n%s", got)
	}
}

func TestANodeOnItsSnapshotBlamesNobodyElse(t *testing.T) {
	all := overview{Status: client.Status{Node: "n2", Stale: true, Source: client.SourceSnapshot, WatchAgeSeconds: 42}}
	got := problemsOf(all)
	if len(got) != 1 || !strings.Contains(got[0], "n2 started while etcd was away and serves what its disk held 42s ago") {
		t.Errorf("problems %q", got)
	}
	if text := answeredBy(all.Status); !strings.Contains(text, "from the snapshot on its disk") {
		t.Error(text)
	}
}

func TestWatchTellsItsEndOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"code":"forbidden","status":403,"detail":"no read on shop"}`)
	}))
	defer server.Close()
	got := runFreshet(t.Context(), map[string]string{"FRESHET_KEY": "k"}, "watch", "shop", "--addr", server.URL)
	if got.code != exitRefused || strings.Count(got.err, "no read on shop") != 1 {
		t.Errorf("exit code %d and %q", got.code, got.err)
	}
}

func TestAnInterruptEndsWatchWellAndNothingElse(t *testing.T) {
	for verb, want := range map[string]int{"watch": exitOK, "get": exitInterrupted} {
		t.Run(verb, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				interrupt()
				<-r.Context().Done()
			}))
			defer server.Close()
			got := runFreshet(ctx, map[string]string{"FRESHET_KEY": "k"}, verb, "shop", "--addr", server.URL)
			if got.code != want || got.err != "" {
				t.Errorf("exit code %d and %q, want %d and nothing", got.code, got.err, want)
			}
		})
	}
}

func TestAReportWithoutAVersionIsOfTheOneHeld(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprint(w, `{"app":"shop","token":"access_token","value":"v-7","version":7}`)
			return
		}
		var body client.ReportBody
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Version != 7 {
			t.Errorf("version %d was reported (%v), want 7", body.Version, err)
		}
		_, _ = fmt.Fprint(w, `{"app":"shop","token":"access_token","verdict":"alive","version":7,"after":7}`)
	}))
	defer server.Close()
	got := runFreshet(t.Context(), map[string]string{"FRESHET_KEY": "k"}, "report", "shop", "--addr", server.URL)
	if got.code != exitOK || !strings.HasPrefix(got.out, "alive: the platform accepts version 7") {
		t.Errorf("exit code %d, output %q, errors %q", got.code, got.out, got.err)
	}
}

func TestWhatTheServerSaysOfAPermissionIsSaidOnce(t *testing.T) {
	got := whyForbidden(&client.Problem{Detail: "this client may not do this, or not to this name"})
	if want := "the client key may not do this, or not to this name"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}
