package clienttest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
)

// A test of a program that reports what the platform refused.
func Example() {
	cluster := clienttest.New()
	cluster.Set("shop", "first", time.Hour)
	node := httptest.NewServer(cluster.Handler()) // in a test: cluster.Start(t)
	defer node.Close()
	c, err := client.New(client.Config{Addresses: []string{node.URL}, Key: clienttest.Key})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	cluster.Kill("shop")
	answer, err := c.Report(ctx, "shop", client.ReportBody{Version: 1, Code: "40001"})
	fmt.Println(answer.Verdict, err)
	token, err := c.Token(ctx, "shop", client.TokenOptions{After: answer.After, Wait: time.Second})
	fmt.Println(token, err, cluster.Accepts("shop", token.Value), cluster.Reports("shop"))
	// Output:
	// refreshing <nil>
	// shop/access_token version 2 (fresh) <nil> true 1
}

func TestAClusterAnswersLikeARealOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "first", time.Hour)
		first, second := cluster.StartInMemory(t), cluster.StartInMemory(t)
		c, err := client.New(cluster.Config(first, second))
		if err != nil {
			t.Fatal(err)
		}
		code := func(err error) string {
			p, _ := errors.AsType[*client.Problem](err)
			if p == nil {
				return fmt.Sprint(err)
			}
			return p.Code
		}
		get := func(name string, opts client.TokenOptions) string {
			token, err := c.Token(t.Context(), name, opts)
			if err != nil {
				return code(err)
			}
			return fmt.Sprint(token.Version)
		}
		report := func(body client.ReportBody) string {
			answer, err := c.Report(t.Context(), "shop", body)
			return answer.Verdict + " " + code(err)
		}
		began := time.Now()
		for _, test := range []struct{ what, got, want string }{
			{"read", get("shop", client.TokenOptions{}), "1"},
			{"unknown", get("nobody", client.TokenOptions{}), client.CodeUnknownToken},
			{"too long", get("shop", client.TokenOptions{MinTTL: 2 * time.Hour}), client.CodeNoNewerToken},
			{"not yet", get("shop", client.TokenOptions{After: 1, Wait: time.Minute}), client.CodeNoNewerToken},
			{"alive", report(client.ReportBody{Version: 1}), "alive <nil>"},
		} {
			if test.got != test.want {
				t.Errorf("%s: %s, want %s", test.what, test.got, test.want)
			}
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %s", waited)
		}
		if all, err := c.Tokens(t.Context(), []string{"nobody", "shop"}, client.TokensOptions{}); err != nil || len(all) != 2 ||
			all[0].Problem == nil || all[0].Problem.Code != client.CodeUnknownToken || all[1].Token == nil || all[1].Token.Version != 1 {
			t.Errorf("many at once: %v, %v", all, err)
		}
		if answer, err := c.Refresh(t.Context(), "shop", client.RefreshBody{}); err != nil || answer.Version != 2 || cluster.Refreshes("shop") != 1 {
			t.Errorf("refresh: %v, %v", answer, err)
		}
		if got := report(client.ReportBody{Version: 1}); got != "replaced <nil>" || cluster.Version("shop") != 2 {
			t.Errorf("report of the version before: %s", got)
		}
		first.Drain()
		cluster.Expire("shop")
		if got := get("shop", client.TokenOptions{}); got != client.CodeNoValidToken {
			t.Errorf("expired: %s", got)
		}
		second.Stop()
		if got := get("shop", client.TokenOptions{}); got != client.CodeDraining {
			t.Errorf("no node is left: %s", got)
		}
	})
}
