package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestListenersOfSurfacesFollowTheRulesOfTheAPI(t *testing.T) {
	for text, want := range map[string]string{
		"listen: {wechat: 127.0.0.1}":                           "listen.wechat: expected host:port",
		"listen: {oauth2: 0.0.0.0:7482}":                        "listen.oauth2: plain HTTP beyond this machine",
		"listen: {hub: 127.0.0.1:7480}":                         "listen.hub: listen.api has this address already",
		"listen: {hub: 127.0.0.1:7481}":                         "listen.hub: listen.ops has this address already",
		"listen: {wechat: 127.0.0.1:7482, hub: 127.0.0.1:7482}": "listen.wechat: listen.hub has this address already",
		"listen: {wecom: 127.0.0.1:7482}":                       "wecom",
		"compat: {min_expires_in: 1500}":                        "compat.min_expires_in: expected a positive duration",
		"compat: {min_expires: 5m}":                             "min_expires",
		"listen: {wechat: 127.0.0.1:0, hub: 127.0.0.1:0}":       "",
		"listen: {insecure: true, wechat: 0.0.0.0:7482}":        "",
	} {
		file := written(t, "freshet.yaml", "node: n1\n"+text+"\n")
		_, err := sources{file: file, env: given(nil), flags: given(nil)}.load()
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestASurfaceAnswersOnItsOwnListener(t *testing.T) {
	c := servedConfig(t, "http://127.0.0.1:1")
	c.Listen.WeChat, c.Listen.OAuth2, c.Listen.Hub = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	ctx, stop := context.WithCancel(t.Context())
	err := serve(ctx, c, nil, slog.New(slog.DiscardHandler), func(ctx context.Context, m machine) error {
		defer stop()
		for surface, c := range map[string]struct{ path, want string }{
			"wechat": {"/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=some-key", `{"errcode":-1,`}, // it does not know the keys yet
			"oauth2": {"/token", `"code":"method_not_allowed"`},
			"hub":    {"/wx1/access_token", `{"error":401,`},
		} {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.listeners.surfaces[surface].Addr().String()+c.path, nil)
			if err != nil {
				return err
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if err != nil || !strings.Contains(string(body), c.want) {
				t.Errorf("%s: status %d, %s, %v; want %s", surface, answer.StatusCode, body, err, c.want)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

func TestAListenerThatCannotOpenClosesTheOthers(t *testing.T) {
	first, err := openListeners(t.Context(), listenConfig{API: "127.0.0.1:0", Ops: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.close() }()
	taken := first.api.Addr().String()
	_, err = openListeners(t.Context(), listenConfig{API: "127.0.0.1:0", Ops: "127.0.0.1:0", OAuth2: "127.0.0.1:0", WeChat: taken})
	if err == nil || !strings.Contains(err.Error(), "the listener of the surface wechat cannot listen on "+taken) {
		t.Errorf("got %v", err)
	}
}
