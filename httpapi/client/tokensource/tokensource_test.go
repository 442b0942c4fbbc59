package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
	"freshet/httpapi/client/tokensource"
)

// Calls of an API through golang.org/x/oauth2, with the token of the app "crm".
func ExampleNew() {
	cluster := clienttest.New()
	cluster.Set("crm", "value-of-crm", time.Hour)
	node := httptest.NewServer(cluster.Handler())
	defer node.Close()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, "called with", r.Header.Get("Authorization"))
	}))
	defer api.Close()

	c, err := client.New(client.Config{Addresses: []string{node.URL}, Key: clienttest.Key})
	if err != nil {
		log.Fatal(err)
	}
	source := tokensource.New(context.Background(), c, "crm")
	caller := &http.Client{Transport: &oauth2.Transport{Source: source}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, api.URL, http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := caller.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Print(string(text))
	// Output: called with Bearer value-of-crm
}

func TestASourceGivesWhatTheReaderHas(t *testing.T) {
	expires := time.Now().Add(-time.Hour) // by a clock that is wrong
	from := reader{token: client.Token{
		App: "crm", Token: "access_token", Value: "v", TokenType: "Bearer", Scope: "a b",
		ExpiresAt: expires, ExpiresIn: 600, Extra: map[string]string{"instance_url": "https://x.test"},
	}}
	token, err := tokensource.New(t.Context(), from, "crm").Token()
	if err != nil {
		t.Fatal(err)
	}
	left := time.Until(token.Expiry)
	if token.AccessToken != "v" || token.Type() != "Bearer" || token.Extra("scope") != "a b" || token.Extra("instance_url") != "https://x.test" || !token.Valid() || left > 600*time.Second || left < 500*time.Second {
		t.Errorf("got %s, expiry in %s", token.Type(), left)
	}
	from.err = errors.New("nobody is there")
	if _, err := tokensource.New(t.Context(), from, "crm").Token(); !errors.Is(err, from.err) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tokensource.New(ctx, reader{}, "crm").Token(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

type reader struct {
	token client.Token
	err   error
}

func (r reader) Token(ctx context.Context, _ string, _ client.TokenOptions) (client.Token, error) {
	return r.token, errors.Join(ctx.Err(), r.err)
}

func (r reader) Report(context.Context, string, client.ReportBody) (client.ReportAnswer, error) {
	return client.ReportAnswer{}, nil
}
