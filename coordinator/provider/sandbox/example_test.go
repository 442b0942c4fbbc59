package sandbox_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"freshet/coordinator/provider/sandbox"
)

// A program under test loses the answer of a call that the platform obeyed.
func Example() {
	sb, err := sandbox.New(sandbox.Config{Apps: []sandbox.App{{AppID: "wx1", Secret: "s3cret"}}})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(sb) // or sb.Client(), without sockets
	defer server.Close()
	if err := sb.AddFault(sandbox.Fault{App: "wx1", Do: sandbox.Reset, When: sandbox.After, Count: 1}); err != nil {
		panic(err)
	}

	fetch := func() (answer string, err error) {
		url := server.URL + "/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=s3cret"
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		if err != nil {
			return "", err
		}
		response, err := server.Client().Do(r)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	_, err = fetch()
	fmt.Println("first answer lost:", err != nil)
	answer, err := fetch()
	fmt.Println("second answered:", strings.HasPrefix(answer, `{"access_token":`), err)

	app := sb.Oracle().Apps["wx1"]
	fmt.Println("tokens issued:", app.Issued[sandbox.LinePlain], "most calls at once:", app.Minting.Peak)
	// Output:
	// first answer lost: true
	// second answered: true <nil>
	// tokens issued: 2 most calls at once: 1
}
