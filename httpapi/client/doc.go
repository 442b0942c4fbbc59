// Package client is the Go client of Freshet's HTTP API, and holds the types
// that travel over it.
//
// A program that needs one token now and then asks a node, which costs the node
// a look into its memory:
//
//	c, err := client.New(client.Config{Addresses: []string{"http://127.0.0.1:7480"}, Key: key})
//	token, err := c.Token(ctx, "shop/access_token", client.TokenOptions{MinTTL: time.Minute})
//
// One that needs tokens often keeps a [Cache]: one stream fills it, reads cost a
// look into memory, and the last value is served until its expiry where no node
// answers.
//
// When the platform refuses the value, a program reports the version it used and
// asks for a newer one:
//
//	answer, err := c.Report(ctx, token.Name(), client.ReportBody{Version: token.Version, Code: "40001"})
//	token, err = c.Token(ctx, token.Name(), client.TokenOptions{After: answer.After, Wait: 10 * time.Second})
//
// A [Transport] does all of that below an http.Client: it puts the value into
// each request, reports a dead one, and sends the request again. Package
// tokensource is for programs that take an oauth2.TokenSource, and package
// clienttest is a cluster in memory for tests.
//
// # Several nodes
//
// Any node answers. A client stays with the one that answered last. Where that
// fails the next one is asked, and the one that failed is left alone for a
// while, a second at first, half a minute at last, unless no other answers.
// [Client.Watch] (a long poll, which every node understands) and
// [Client.Stream] (one connection for any number of tokens) go on on the next
// node from the version, or the position, that was reached: none is repeated,
// and the newest is not missed. Versions in between may be, where several came
// while nobody listened.
//
// # Errors and secrets
//
// Refusals are a *[Problem] with a stable code; any other error means that no
// node answered. Neither the client key nor a value stands in an error, and
// printing a type of this package shows none, with the exception of encodings
// as JSON, which are what travels.
package client
