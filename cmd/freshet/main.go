// Command freshet keeps third-party access tokens fresh for a cluster.
//
// `freshet dev` shows it within ten seconds on a bare machine; `freshet serve`
// runs a node; the other verbs talk to a cluster. Each verb has a file of its
// own here and a page of its own behind --help.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), processTerminal(), os.Args[1:]))
}
