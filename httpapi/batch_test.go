package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func TestManyTokensAreReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pending := token("pay", 0, "x")
		pending.Token, pending.State.Status = nil, coordinator.StatusPending
		short := token("short", 2, "soon-over")
		short.Token.Expires = time.Now().Add(time.Minute)
		node := newFake().hold(token("shop", 7, "va\"l<ue"), token("shop/ticket", 3, "the-ticket"), token("other", 1, "not-for-them"), pending, short)
		node.person("k", map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*", "pay/*", "nothere/*", "short/*"}})
		a, _ := newAPI(t, node)
		ask := ask{method: http.MethodGet, target: "/v1/tokens?names=shop/ticket,pay,other,nothere/x,shop,short&min_ttl=5m", key: "k"}
		w := do(t, a.Handler(), ask)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("status %d, headers %v", w.Code, w.Header())
		}
		if strings.Contains(w.Body.String(), "not-for-them") {
			t.Errorf("it tells a value that the client may not read: %s", w.Body)
		}
		var raw struct {
			Tokens []struct{ Token json.RawMessage }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &raw); err != nil {
			t.Fatal(err)
		}
		for i, target := range map[int]string{0: "/v1/tokens/shop/ticket", 4: "/v1/tokens/shop"} {
			ask.target = target
			if one := do(t, a.Handler(), ask).Body.String(); one != string(raw.Tokens[i].Token)+"\n" {
				t.Errorf("%s is %s alone, and %s among others", target, one, raw.Tokens[i].Token)
			}
		}
		want := []string{"shop/ticket 3", "pay/access_token token_pending", "other/access_token forbidden", "nothere/x unknown_token", "shop/access_token 7", "short/access_token no_newer_token"}
		got := decode[client.TokenList](t, w).Tokens
		for i, one := range got {
			text := one.Name
			if one.Token != nil {
				text += fmt.Sprint(" ", one.Token.Version)
			}
			if one.Problem != nil {
				text += " " + one.Problem.Code
				if one.Problem.App+"/"+one.Problem.Token != one.Name || one.Problem.Status == 0 {
					t.Errorf("the problem of %s: %+v", one.Name, one.Problem)
				}
			}
			if len(got) != len(want) || text != want[i] {
				t.Errorf("result %d of %d is %q, want %q", i, len(got), text, want[i])
			}
		}
	})
}

func TestListsOfNamesThatCannotBeReadAreRefused(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "v"))
	a, _ := newAPI(t, node)
	var many []string
	for i := range 501 {
		many = append(many, fmt.Sprint("a", i))
	}
	if w := get(t, a.Handler(), "/v1/tokens?names="+strings.Join(many[:500], ",")); w.Code != http.StatusOK {
		t.Errorf("500 names: status %d", w.Code)
	}
	for query, want := range map[string]string{
		"":                                      "names is missing",
		"?names=":                               "one is empty",
		"?names=shop,,crm":                      "one is empty",
		"?names=shop,crm,shop":                  `"shop" is given twice`,
		"?names=shop,shop/access_token":         `"shop/access_token" is given twice`,
		"?names=shop/*":                         "patterns are for streams",
		"?names=shop/a/b":                       `"a/b"`,
		"?names=shop&wait=1s":                   `"wait" is unknown here`,
		"?names=shop&min_ttl=1":                 "min_ttl",
		"?names=" + strings.Join(many, ","):     "at most 500",
		"?names=" + strings.Repeat("a", 17<<10): "longer than",
	} {
		p := refused(t, get(t, a.Handler(), "/v1/tokens"+query), 400, "invalid_request")
		if !strings.Contains(p.Detail, want) {
			t.Errorf("%.60s: %q does not say %q", query, p.Detail, want)
		}
	}
}
