package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
)

// methodsOf lists the methods that each described route answers.
func methodsOf() map[string][]string {
	methods := map[string][]string{}
	for _, o := range operations() {
		methods[o.route] = append(methods[o.route], o.method)
		if o.method == http.MethodGet {
			methods[o.route] = append(methods[o.route], http.MethodHead)
		}
	}
	return methods
}

func TestEveryRouteNamesTheMethodsItAnswers(t *testing.T) {
	a, _ := newAPI(t, newFake().root())
	for route, methods := range methodsOf() {
		w := do(t, a.Handler(), ask{method: "BREW", target: inRoute.ReplaceAllString(route, "x")})
		refused(t, w, 405, "method_not_allowed")
		allowed := strings.Split(w.Header().Get("Allow"), ", ")
		slices.Sort(allowed)
		slices.Sort(methods)
		if diff := cmp.Diff(methods, allowed); diff != "" {
			t.Errorf("%s (-described +allowed):\n%s", route, diff)
		}
	}
}

func TestEveryGetAnswersHead(t *testing.T) {
	node := newFake().root().hold(token("x", 7, "v"), token("x/x", 3, "w"))
	node.apps["x"] = coordinator.App{Name: "x"}
	a, _ := newAPI(t, node)
	for _, o := range operations() {
		if o.method != http.MethodGet {
			continue
		}
		target := inRoute.ReplaceAllString(o.route, "x")
		if o.id == "getTokens" {
			target += "?names=x,x/x"
		}
		head := do(t, a.Handler(), ask{method: http.MethodHead, target: target})
		if o.id == "stream" { // a GET does not end
			if head.Code != http.StatusOK || head.Header().Get("Content-Type") != "text/event-stream" {
				t.Errorf("HEAD of a stream: status %d, headers %v", head.Code, head.Header())
			}
			continue
		}
		full := do(t, a.Handler(), ask{method: http.MethodGet, target: target})
		if head.Code != full.Code {
			t.Errorf("HEAD %s: status %d, want %d", target, head.Code, full.Code)
		}
		if diff := cmp.Diff(full.Header(), head.Header()); diff != "" {
			t.Errorf("HEAD %s (-GET +HEAD):\n%s", target, diff)
		}
	}
}

// What a reader must know of how old an answer may be stands in every answer.
func TestEveryAnswerSaysHowFreshItIs(t *testing.T) {
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "v")))
	for _, target := range []string{
		"/v1/tokens/shop", "/v1/tokens?names=shop", "/v1/tokens/nothere", "/v1/tokens/shop?after=7", "/v1/states/shop",
		"/nowhere", "/livez", "/v1/openapi.json", "/v1/tokens/shop?x=1",
	} {
		header := get(t, a.Handler(), target).Header()
		for name, want := range map[string]string{
			"Freshet-Watch-Age": "1", "Freshet-Node": "n1", "Cache-Control": "no-store", "Vary": "Accept, Authorization",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}

// Who has lost the way is told where the routes stand.
func TestWhatIsNoRouteNamesTheDescription(t *testing.T) {
	a, _ := newAPI(t, newFake().root())
	w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/nowhere"})
	refused(t, w, 404, "not_found")
	if !strings.Contains(w.Body.String(), "/v1/openapi.json") {
		t.Errorf("it does not say where the routes stand: %s", w.Body)
	}
}
