package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// importTo makes an import of two apps and returns its answers, one a line.
func importTo(t *testing.T, a *API) []string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/import", strings.NewReader(`{"name":"shop"}`+"\n"+`{"name":"crm"}`+"\n"))
	r.Header.Set("Authorization", "Bearer "+rootKey)
	r.Header.Set("Content-Type", client.NDJSON)
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	return strings.Split(strings.TrimSpace(w.Body.String()), "\n")
}

// What is wrong with one line is answered, and the next one is tried. What is wrong
// with the store or the node would be so with every line.
func TestAFaultOfTheStoreEndsAnImport(t *testing.T) {
	for err, code := range map[error]string{
		coordinator.ErrConflict:                     client.CodeConflict,
		coordinator.Invalidf("it is wrong"):         client.CodeInvalidRequest,
		fmt.Errorf("x: %w", coordinator.ErrInvalid): client.CodeInvalidRequest,
	} {
		node := newFake().root()
		node.err = err
		a, _ := newAPI(t, node)
		got := importTo(t, a)
		if len(got) != 3 || !strings.Contains(got[1], code) || got[2] != `{"totals":{"created":0,"updated":0,"unchanged":0,"refused":2}}` {
			t.Errorf("%v: %q", err, got)
		}
	}
	for err, code := range map[error]string{
		fmt.Errorf("writing: %w", coordinator.ErrAmbiguous): client.CodeOutcomeUnknown,
		context.DeadlineExceeded:                            client.CodeUnavailable,
		coordinator.ErrNotSynced:                            client.CodeNotSynced,
		errors.New("canary of our inside"):                  client.CodeInternal,
	} {
		node := newFake().root()
		node.err = err
		a, logged := newAPI(t, node)
		got := importTo(t, a)
		if len(got) != 2 || !strings.Contains(got[0], code) || !strings.Contains(got[1], `"refused":1,"error":{`) || !strings.Contains(got[1], code) {
			t.Errorf("%v: %q", err, got)
		}
		if strings.Contains(strings.Join(got, ""), "canary") || strings.Contains(logged.String(), "canary") != (code == client.CodeInternal) {
			t.Errorf("%v: answered %q, logged %s", err, got, logged)
		}
	}
}
