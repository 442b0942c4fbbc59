package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"freshet/httpapi/client"
)

// importer serves imports as one handler says.
func importer(t *testing.T, serve func(w http.ResponseWriter, body string)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method+r.URL.Path != "POST/v1/import" || r.Header.Get("Content-Type") != client.NDJSON {
			http.Error(w, "no such thing", http.StatusTeapot)
			return
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		serve(w, r.URL.RawQuery+"|"+string(text))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// imports makes an import and returns its answers in short, and its error.
func imports(t *testing.T, opts client.ApplyOptions, addresses ...string) (got []string, err error) {
	t.Helper()
	c, err := client.New(client.Config{Addresses: addresses, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	for answer, failed := range c.Import(t.Context(), strings.NewReader("the lines"), opts) {
		if err != nil {
			t.Errorf("after %v: %+v, %v", err, answer, failed)
		}
		if err = failed; err != nil {
			continue
		}
		text := fmt.Sprintf("%d %s", answer.Line, answer.Change)
		if answer.Totals != nil {
			text = fmt.Sprintf("totals %d", answer.Totals.Done())
		}
		got = append(got, text)
	}
	return got, err
}

const twoAnswers = `{"line":1,"app":"a","change":"created"}` + "\n" + `{"line":2,"app":"b","change":"unchanged"}` + "\n"

func answersWith(t *testing.T, text string) string {
	t.Helper()
	return importer(t, func(w http.ResponseWriter, body string) {
		if body != "dry_run=1&replace_grant=1|the lines" {
			t.Errorf("sent was %q", body)
		}
		w.Header().Set("Content-Type", client.NDJSON)
		_, _ = io.WriteString(w, text)
	})
}

func TestAnImportYieldsItsAnswers(t *testing.T) {
	all := client.ApplyOptions{DryRun: true, ReplaceGrant: true}
	got, err := imports(t, all, answersWith(t, twoAnswers+`{"totals":{"created":1,"updated":0,"unchanged":1,"refused":0}}`+"\n"))
	if err != nil || strings.Join(got, ", ") != "1 created, 2 unchanged, totals 2" {
		t.Errorf("got %q, %v", got, err)
	}
	// An answer that was cut off is never taken for the whole.
	for _, cut := range []string{"", twoAnswers, twoAnswers + `{"totals":{"created":1,"upd`, twoAnswers[:60]} {
		got, err := imports(t, all, answersWith(t, cut))
		if err == nil || !strings.Contains(err.Error(), "broke off before its end") || len(got) > 2 {
			t.Errorf("cut to %q: got %q, %v", cut, got, err)
		}
	}
}

func TestAnImportGoesToANodeThatTakesIt(t *testing.T) {
	refuses := func(status int, code string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"code":"`+code+`"}`)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	asked := 0
	takes := importer(t, func(w http.ResponseWriter, body string) {
		asked++
		if body != "|the lines" {
			t.Errorf("sent was %q", body)
		}
		w.Header().Set("Content-Type", client.NDJSON)
		_, _ = io.WriteString(w, `{"totals":{}}`)
	})
	got, err := imports(t, client.ApplyOptions{}, "127.0.0.1:1", refuses(503, client.CodeDraining), refuses(503, client.CodeNotSynced), takes)
	if err != nil || len(got) != 1 || asked != 1 {
		t.Errorf("got %q, %v, after %d imports", got, err, asked)
	}
	_, err = imports(t, client.ApplyOptions{}, refuses(403, client.CodeForbidden), takes)
	if p, ok := errors.AsType[*client.Problem](err); !ok || p.Code != client.CodeForbidden || asked != 1 {
		t.Errorf("a refusal of the client: %v, after %d imports", err, asked)
	}
}

// A node that breaks off, or refuses, after it has begun to read has had the lines: they cannot
// be sent to another one.
func TestAnImportThatBrokeOffIsNotMadeByHalves(t *testing.T) {
	asked := false
	next := importer(t, func(http.ResponseWriter, string) { asked = true })
	for how, serve := range map[string]func(w http.ResponseWriter, body string){
		"breaks off": func(http.ResponseWriter, string) { panic(http.ErrAbortHandler) },
		"drains": func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"code":"`+client.CodeDraining+`"}`)
		},
	} {
		if got, err := imports(t, client.ApplyOptions{}, importer(t, serve), next); err == nil || len(got) > 0 || asked {
			t.Errorf("a node %s: got %q, %v; the next one was asked: %v", how, got, err, asked)
		}
	}
}

func TestAnImportEndsWithItsContext(t *testing.T) {
	block := make(chan struct{})
	url := importer(t, func(w http.ResponseWriter, _ string) {
		w.Header().Set("Content-Type", client.NDJSON)
		_, _ = io.WriteString(w, twoAnswers)
		_ = http.NewResponseController(w).Flush()
		<-block
	})
	defer close(block)
	c, err := client.New(client.Config{Addresses: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var last error
	for _, last = range c.Import(ctx, strings.NewReader("x"), client.ApplyOptions{}) {
		leave()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("it ended with %v", last)
	}
}
