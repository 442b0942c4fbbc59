package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/httpapi/client"
)

func TestStreamEndsWhereTheClientMayNotStay(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		n.apply("web")
		c := n.client(0, time.Time{}, "shop/*", "web/*")
		every, one := n.follow(ordersKey, "", ""), n.follow(ordersKey, "?names=web", "")
		every.synced(false, "token shop value-1", "token web value-2")
		one.synced(false, "token web value-2")

		c = n.client(c.Revision, time.Time{}, "shop/*")
		one.is("end forbidden")
		one.ended()
		every.synced(false, "token shop value-1") // so web is dropped
		n.refresh("web")
		n.refresh("shop")
		every.is("token shop value-4")

		c = n.client(c.Revision, time.Time{}, "**")
		every.synced(false, "token shop value-4", "token web value-3")
		ends := time.Now().Add(time.Minute)
		n.client(c.Revision, ends, "**")
		every.synced(false, "token shop value-4", "token web value-3")
		every.is("end unauthenticated")
		if late := time.Since(ends); late < 0 || late > time.Second {
			s.Errorf("ended %s after the key", late)
		}
	})
}

func TestStreamEndsWhenItsClientIsDeleted(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		n.client(0, time.Time{}, "shop/*")
		r := n.follow(ordersKey, "", "")
		r.synced(false, "token shop value-1")
		s.must(n.RemoveClient(s.Context(), "api:test", "orders"))
		r.is("end unauthenticated")
		r.ended()
	})
}

func TestStreamTellsOfTheNamesAskedFor(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		for _, app := range []string{"shop", "shop2", "web"} {
			n.apply(app)
		}
		n.client(0, time.Time{}, "shop/*", "web/*")
		for query, want := range map[string][]string{
			"":                                  {"token shop value-1", "token web value-3"},
			"?names=**":                         {"token shop value-1", "token web value-3"},
			"?names=shop":                       {"token shop value-1"},
			"?names=shop/access_token,web":      {"token shop value-1", "token web value-3"},
			"?names=shop*/*":                    {"token shop value-1"},
			"?names=s%2a/%2A":                   {"token shop value-1"},
			"?names=w?b/access_token":           {"token web value-3"},
			"?names=shop2/*":                    {},
			"?names=shop/nothere,shop/access_*": {"token shop value-1"},
		} {
			n.follow(ordersKey, query, "").synced(false, want...)
		}
		r := n.follow(ordersKey, "?names=shop/*", "")
		r.synced(false, "token shop value-1")
		n.refresh("web")
		n.refresh("shop2")
		n.refresh("shop")
		r.is("token shop value-6")
	})
}

func TestStreamRefusesWhatItCannotTell(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		n.client(0, time.Time{}, "shop/*")
		many := strings.Repeat("shop/a*,", 600)
		for query, want := range map[string]string{
			"?names=shop2":           client.CodeForbidden,
			"?names=shop,shop2/x":    client.CodeForbidden,
			"?names=":                client.CodeInvalidRequest,
			"?names=shop,":           client.CodeInvalidRequest,
			"?names=shop,shop":       client.CodeInvalidRequest,
			"?names=a/b/c":           client.CodeInvalidRequest,
			"?names=[":               client.CodeInvalidRequest,
			"?names=" + many:         client.CodeInvalidRequest,
			"?name=shop":             client.CodeInvalidRequest,
			"?last_event_id=1.1":     client.CodeInvalidRequest,
			"?names=shop&names=shop": client.CodeInvalidRequest,
		} {
			resp := n.ask(ordersKey, query, "")
			var p client.Problem
			s.must(json.NewDecoder(resp.body).Decode(&p))
			if p.Code != want {
				s.Errorf("%.40s: %d %+v, want %s", query, resp.status, p, want)
			}
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	inBubble(t, func(s *streaming) {
		s.change = func(c *httpapi.Config) { c.ClientStreams, c.Streams = 2, 3 }
		n := s.join("n1")
		n.apply("shop")
		n.client(0, time.Time{}, "shop/*")
		first, second := n.follow(ordersKey, "", ""), n.follow(ordersKey, "", "")
		refuse := func(key string) {
			s.Helper()
			if resp := n.ask(key, "", ""); resp.status != http.StatusTooManyRequests || resp.header.Get("Retry-After") == "" {
				s.Errorf("one more: status %d, headers %v", resp.status, resp.header)
			}
		}
		refuse(ordersKey)
		n.follow(bootstrapKey, "", "")
		refuse(bootstrapKey)
		first.leave()
		second.leave()
		settle()
		n.follow(ordersKey, "", "")
	})
}

func TestStreamOfANodeThatKnowsNothingYetIsRefused(t *testing.T) {
	inBubble(t, func(s *streaming) {
		away := s.join("n2", func(c *coordinator.Config) { c.Store.(interface{ Partition() }).Partition() })
		resp := away.ask(bootstrapKey, "", "")
		if body := resp.rest(); resp.status != http.StatusServiceUnavailable || !strings.Contains(body, client.CodeNotSynced) {
			s.Errorf("status %d: %s", resp.status, body)
		}
	})
}
