package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
)

// exampleNode stands for a node of a real cluster.
func exampleNode() (*clienttest.Cluster, *httptest.Server) {
	cluster := clienttest.New()
	cluster.Set("shop", "value-of-shop", time.Hour)
	return cluster, httptest.NewServer(cluster.Handler())
}

// A program that needs one token now and then asks for it.
func ExampleClient_Token() {
	_, node := exampleNode()
	defer node.Close()

	c, err := client.New(client.Config{Addresses: []string{node.URL}, Key: clienttest.Key})
	if err != nil {
		log.Fatal(err)
	}
	token, err := c.Token(context.Background(), "shop", client.TokenOptions{MinTTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token, token.Value) // only the field shows the value
	// Output: shop/access_token version 1 (fresh) value-of-shop
}

// A program that needs tokens often keeps a copy, and reads from memory.
func ExampleCache() {
	_, node := exampleNode()
	defer node.Close()
	c, err := client.New(client.Config{Addresses: []string{node.URL}, Key: clienttest.Key})
	if err != nil {
		log.Fatal(err)
	}

	cache, err := client.NewCache(c, client.CacheConfig{Names: []string{"shop/*"}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- cache.Run(ctx) }()
	<-cache.Synced()

	token, err := cache.Token(ctx, "shop", client.TokenOptions{})
	fmt.Println(token, err)
	cancel()
	fmt.Println(<-ended)
	// Output:
	// shop/access_token version 1 (fresh) <nil>
	// <nil>
}

// A Transport puts the token into each call, and heals what a dead one breaks.
// WeChat says in the body that a token is dead, and takes it as a parameter.
func ExampleTransport() {
	cluster, node := exampleNode()
	defer node.Close()
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !cluster.Accepts("shop", r.FormValue("access_token")) {
			_, _ = io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
			return
		}
		_, _ = io.WriteString(w, `{"errcode":0}`)
	}))
	defer platform.Close()

	c, err := client.New(client.Config{Addresses: []string{node.URL}, Key: clienttest.Key})
	if err != nil {
		log.Fatal(err)
	}
	transport, err := client.NewTransport(client.TransportConfig{
		Reader: c,
		Name:   "shop",
		Query:  "access_token",
		Dead: func(_ int, _ http.Header, body []byte) (string, bool) {
			return "40001", strings.Contains(string(body), `"errcode":40001`)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	api := &http.Client{Transport: transport}

	cluster.Kill("shop") // somebody else fetched a token, which killed ours
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, platform.URL+"/cgi-bin/menu/get", http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := api.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(string(text), cluster.Reports("shop"), "report")
	// Output: {"errcode":0} 1 report
}
