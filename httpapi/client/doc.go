// Package client is the Go client of Freshet's HTTP API, and holds the types
// that travel over it.
//
// A program that needs one token asks for it when it needs it, which costs the
// node a look into its memory:
//
//	c, err := client.New(client.Config{Addresses: []string{"http://127.0.0.1:7480"}, Key: key})
//	token, err := c.Token(ctx, "shop/access_token", client.TokenOptions{MinTTL: time.Minute})
//
// When the platform refuses the value, it reports the version it used and asks
// for a newer one:
//
//	answer, err := c.Report(ctx, token.Name(), client.ReportBody{Version: token.Version, Code: "40001"})
//	token, err = c.Token(ctx, token.Name(), client.TokenOptions{After: answer.After, Wait: 10 * time.Second})
//
// Refusals are a *[Problem] with a stable code. Neither the client key nor a
// value stands in an error.
package client
