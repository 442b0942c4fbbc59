package httpapi_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi"
	"freshet/httpapi/client"
	"freshet/store/memory"
)

// besieged is a town whose many clients all meet each dead value at once.
type besieged struct {
	*town

	http  *http.Client
	keys  []string // of the clients
	tries atomic.Int64
	early atomic.Int64 // reads that came before the next value was there
}

// besiege runs a town with so many apps, app0, app1 …, and clients that may read them.
func besiege(t *testing.T, apps, clients int) *besieged {
	t.Helper()
	config := sandbox.Config{TokenPrefix: canary}
	for i := range apps {
		config.Apps = append(config.Apps, sandbox.App{AppID: besiegedID(i), Secret: appSecret})
	}
	platforms, err := sandbox.New(config)
	if err != nil {
		t.Fatal(err)
	}
	b := &besieged{town: &town{platforms: platforms, upstream: upstreamOf(t, platforms), log: &safeText{}}}
	cluster := memory.New(memory.Config{})
	for _, name := range []string{"n1", "n2", "n3"} {
		b.urls = append(b.urls, b.run(t, name, cluster, nil))
	}
	if b.admin, err = client.New(client.Config{Addresses: b.urls[:1], Key: bootstrapKey}); err != nil {
		t.Fatal(err)
	}
	for i := range apps {
		b.apply(t, fmt.Sprintf("app%d", i), client.App{
			Provider: "wechat", Upstream: b.upstream, Options: map[string]string{"mode": "plain"},
			Credentials: client.Credentials{"appid": besiegedID(i), "secret": appSecret},
			Tokens:      map[string]client.TokenSettings{"access_token": {}},
		})
	}
	for i := range clients {
		added, err := b.admin.AddClient(t.Context(), client.ClientBody{Name: fmt.Sprintf("c%d", i), Can: client.Permissions{"read": {"**"}}})
		if err != nil {
			t.Fatal(err)
		}
		b.keys = append(b.keys, added.Key)
	}
	transport := &http.Transport{MaxConnsPerHost: 100, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	b.http = &http.Client{Transport: transport}
	for node := range b.urls {
		b.knowsClients(t, node)
	}
	return b
}

// knowsClients waits until a node has followed the store to the newest client.
func (b *besieged) knowsClients(t *testing.T, node int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for status := http.StatusUnauthorized; status == http.StatusUnauthorized; {
		var err error
		if status, err = b.ask(ctx, node, b.keys[len(b.keys)-1], http.MethodGet, "/v1/tokens/app0", "", new(told)); err != nil {
			t.Fatal(err)
		}
	}
}

func besiegedID(app int) string { return fmt.Sprintf("wx%016d", app+1) }

// ask makes one call of a client and decodes what a node answers.
func (b *besieged) ask(ctx context.Context, node int, key, method, path, body string, out any) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, method, b.urls[node%len(b.urls)]+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := b.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(out)
}

// told is what a node says of a token, or why it says nothing.
type told struct {
	Verdict, Value, Code string
	Version, After       int64
}

// try reports a dead value on one node and reads the next one on another.
func (b *besieged) try(ctx context.Context, node int, key, app string, dead told) error {
	var report, got told
	status, err := b.ask(ctx, node, key, http.MethodPost, "/v1/tokens/"+app+"/access_token/report",
		fmt.Sprintf(`{"version":%d,"code":"40001"}`, dead.Version), &report)
	if err != nil || status != http.StatusOK || report.After != dead.Version {
		return fmt.Errorf("report of version %d: status %d, %+v, %w", dead.Version, status, report, err)
	}
	b.tries.Add(1)
	for _, wait := range []string{"0s", "30s", "30s"} {
		query := url.Values{"after": {fmt.Sprint(report.After)}, "wait": {wait}}
		got = told{}
		status, err = b.ask(ctx, node+1, key, http.MethodGet, "/v1/tokens/"+app+"?"+query.Encode(), "", &got)
		switch {
		case got.Value == dead.Value || status == http.StatusOK && got.Version <= dead.Version:
			return fmt.Errorf("version %d was answered after a report of version %d", got.Version, dead.Version)
		case status == http.StatusOK:
			return err
		}
		b.early.Add(1)
	}
	return fmt.Errorf("no newer version: status %d, %+v, %w", status, got, err)
}

// storm kills the token of an app, and lets every client meet that.
func (b *besieged) storm(ctx context.Context, app, round int) error {
	var dead told
	name := fmt.Sprintf("app%d", app)
	for node := range b.urls {
		// Every node has the value of the round before, or who reads there again is
		// not told from who is told the dead one.
		var held told
		status, err := b.ask(ctx, node, bootstrapKey, http.MethodGet, fmt.Sprintf("/v1/tokens/%s?after=%d&wait=30s", name, round), "", &held)
		if err != nil || status != http.StatusOK || held.Version != cmp.Or(dead.Version, held.Version) {
			return fmt.Errorf("%s on node %d before round %d: status %d, %+v, %w", name, node, round, status, held.Version, err)
		}
		dead = held
	}
	if !b.platforms.KillToken(dead.Value) {
		return fmt.Errorf("%s: version %d is dead already", name, dead.Version)
	}
	failed := make(chan error, len(b.keys))
	var group sync.WaitGroup
	for i, key := range b.keys {
		group.Go(func() { failed <- b.try(ctx, i+round, key, name, dead) })
	}
	group.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return fmt.Errorf("%s, round %d: %w", name, round, err)
		}
	}
	return nil
}

// Who has reported a value asks any node for a version above it, and is never
// given the dead one again: it waits, or is told that there is none yet.
func TestADeadValueIsNeverReadAfterItsReport(t *testing.T) {
	apps, clients, kills := 10, 100, 10 // as many as a client may report at once
	if httpapi.RaceEnabled || testing.Short() {
		apps, clients, kills = 3, 10, 3
	}
	b := besiege(t, apps, clients)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for app := range apps {
		group.Go(func() {
			for round := range kills {
				if err := b.storm(ctx, app, round); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if got := b.tries.Load(); !t.Failed() && got != int64(apps*clients*kills) {
		t.Errorf("%d tries", got)
	}
	for app := range apps {
		if got := b.platforms.Oracle().Apps[besiegedID(app)].Issued[sandbox.LinePlain]; !t.Failed() && got != kills+1 {
			t.Errorf("app%d was refreshed %d times for %d kills", app, got-1, kills)
		}
	}
	t.Logf("%d tries, %d reads came before the next value", b.tries.Load(), b.early.Load())
}

func upstreamOf(t *testing.T, platforms http.Handler) string {
	t.Helper()
	server := httptest.NewServer(platforms)
	t.Cleanup(server.Close)
	return server.URL
}
