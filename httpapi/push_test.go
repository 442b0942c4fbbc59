package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func push(t *testing.T, a *API, body string) (status int, answer string) {
	t.Helper()
	w := do(t, a.Handler(), ask{method: http.MethodPut, target: "/v1/tokens/shop/access_token", body: body})
	return w.Code, w.Body.String()
}

func TestPushAnswersTheVersionToWaitFor(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "v"))
	a, _ := newAPI(t, node)
	body := `{"value":"canary","expires_in":7200,"token_type":"Bearer","scope":"a b","extra":{"instance_url":"https://x"}}`
	w := do(t, a.Handler(), ask{method: http.MethodPut, target: "/v1/tokens/shop/access_token", body: body})
	want := client.PushAnswer{App: "shop", Token: "access_token", Version: 8, After: 7, ExpiresAt: time.Unix(1_900_000_000, 0).UTC()}
	if diff := cmp.Diff(want, decode[client.PushAnswer](t, w)); diff != "" || w.Code != http.StatusAccepted {
		t.Errorf("status %d (-want +got):\n%s", w.Code, diff)
	}
	p := node.pushes[0]
	if p.Value.Reveal() != "canary" || p.Lifetime != 2*time.Hour || !p.Expires.IsZero() || p.Type != "Bearer" || p.Scope != "a b" ||
		p.Extra["instance_url"] != "https://x" || p.By != "root" {
		t.Errorf("pushed %+v", p)
	}
	if status, text := push(t, a, `{"value":"v","expires_at":"2030-01-31T12:00:00+02:00"}`); status != http.StatusAccepted {
		t.Errorf("status %d: %s", status, text)
	}
	if p := node.pushes[1]; p.Lifetime != 0 || !p.Expires.Equal(time.Date(2030, 1, 31, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("pushed %+v", p)
	}
}

func TestAPushMayHaveAnIdempotencyKey(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "v"))
	a, _ := newAPI(t, node)
	for _, c := range []struct {
		header []string
		status int
		want   string
	}{
		{nil, http.StatusAccepted, ""},
		{[]string{"a-1"}, http.StatusAccepted, "a-1"},
		{[]string{""}, http.StatusBadRequest, ""},
		{[]string{"a", "b"}, http.StatusBadRequest, ""},
	} {
		node.pushes = nil
		w := do(t, a.Handler(), ask{
			method: http.MethodPut, target: "/v1/tokens/shop/access_token", body: `{"value":"v","expires_in":60}`,
			header: http.Header{"Idempotency-Key": c.header},
		})
		if w.Code != c.status {
			t.Errorf("%q: status %d, %s", c.header, w.Code, w.Body)
		}
		if taken := w.Code == http.StatusAccepted; taken != (len(node.pushes) == 1) || taken && node.pushes[0].IdempotencyKey != c.want {
			t.Errorf("%q: pushed %+v", c.header, node.pushes)
		}
	}
}

// What does not fit into a length of time is told as too much, not taken for something else.
func TestPushedLifetimesAreCut(t *testing.T) {
	for seconds, want := range map[int64]func(time.Duration) bool{
		1 << 62:    func(d time.Duration) bool { return d > coordinator.MostPush },
		-(1 << 62): func(d time.Duration) bool { return d < 0 },
		-1:         func(d time.Duration) bool { return d < 0 },
		60:         func(d time.Duration) bool { return d == time.Minute },
	} {
		p, err := pushBody{PushBody: client.PushBody{Value: "v", ExpiresIn: seconds}}.push()
		if err != nil || !want(p.Lifetime) {
			t.Errorf("%d seconds are read as %s, %v", seconds, p.Lifetime, err)
		}
	}
}

func TestPushThatCannotBeReadIsRefused(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "v"))
	a, logged := newAPI(t, node)
	for body, says := range map[string]string{
		``:                                  `by either "expires_in"`,
		`{"value":"canary"}`:                `by either "expires_in"`,
		`{"value":"canary","expires_in":0}`: `by either "expires_in"`,
		`{"value":"canary","expires_in":60,"expires_at":"2030-01-31T12:00:00Z"}`: `by either "expires_in"`,
		`{"value":"v","expires_at":"canary"}`:                                    `write a time like`,
		`{"value":"v","expires_at":60}`:                                          `"expires_at": a JSON text is expected`,
		`{"value":"v","expires_in":"canary"}`:                                    `expires_in": a JSON whole number is expected`,
		`{"value":"v","expires_in":1.5}`:                                         `expires_in": a JSON whole number is expected`,
		`{"value":7,"expires_in":60}`:                                            `value": a JSON text is expected`,
		`{"value":"canary","expires_in":60,"expires":60}`:                        `unknown field "expires"`,
		`{"value":"canary","value":"other","expires_in":60}`:                     `"value" is given twice`,
		`{"value":"v","expires_in":60,"extra":{"a":1}}`:                          `a JSON text is expected`,
		`canary`: `not one JSON object`,
	} {
		status, text := push(t, a, body)
		if status != http.StatusBadRequest || !strings.Contains(strings.ReplaceAll(text, `\"`, `"`), says) || strings.Contains(text, "canary") {
			t.Errorf("%s: status %d, %s; want one that says %s", body, status, text, says)
		}
	}
	if status, text := push(t, a, `{"value":"`+strings.Repeat("c", maxPushBody)+`","expires_in":60}`); status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %s", status, text)
	}
	if len(node.pushes) > 0 || strings.Contains(logged.String(), "canary") {
		t.Errorf("%d pushes; logged:\n%s", len(node.pushes), logged)
	}
}

func TestPushIsRefusedInTheWordsOfTheNode(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "v"))
	a, _ := newAPI(t, node)
	for err, code := range map[error]string{
		coordinator.Invalidf("push to static"): client.CodeInvalidRequest, coordinator.ErrAmbiguous: client.CodeOutcomeUnknown,
		coordinator.ErrUnknownToken: client.CodeUnknownToken, coordinator.ErrConflict: client.CodeConflict,
	} {
		node.err = err
		if status, text := push(t, a, `{"value":"v","expires_in":60}`); !strings.Contains(text, code) {
			t.Errorf("%v: status %d, %s", err, status, text)
		}
	}
}

// Where a pushed value is to be replaced, the platform is no way out.
func TestRefreshOfAPushedValueNamesNoForce(t *testing.T) {
	v := token("shop", 7, "v")
	v.State.Outcomes = []coordinator.Outcome{{Result: coordinator.ResultSame}}
	node := newFake().root().hold(v)
	node.refusals = map[coordinator.Name]error{v.Name: &coordinator.NoValueError{Err: coordinator.ErrNoNewerToken, View: v, Todo: "push one"}}
	a, _ := newAPI(t, node)
	w := do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/tokens/shop/access_token/refresh", body: `{"wait":"1s"}`})
	if p := refused(t, w, http.StatusServiceUnavailable, "no_newer_token"); !strings.Contains(p.Detail, "push one") || strings.Contains(p.Detail, "force") {
		t.Errorf("detail %q", p.Detail)
	}
}

func FuzzPushBody(f *testing.F) {
	for _, seed := range []string{`{"value":"v","expires_in":60}`, `{"value":"v","expires_at":"2030-01-31T12:00:00Z"}`, `{"extra":{"a":"b"}}`, `{"expires_in":1e3}`, `[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var body pushBody
		if decodeStrict("the body", data, &body) != nil {
			return
		}
		p, err := body.push()
		if err == nil && (p.Lifetime == 0) == p.Expires.IsZero() {
			t.Errorf("%q is read as %+v", data, p)
		}
		if text := fmt.Sprintf("%v %+v %#v", body.PushBody, body.PushBody, body.PushBody); body.Value != "" && strings.Contains(text, "Value") {
			t.Errorf("a body is printed as %s", text)
		}
	})
}
