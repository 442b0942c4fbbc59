package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"freshet/httpapi/client"
)

// writeVariable writes openapi.json anew: FRESHET_WRITE_OPENAPI=1 go test ./httpapi -run OpenAPI.
const writeVariable = "FRESHET_WRITE_OPENAPI"

// The document is what the table of operations and the wire types say, field
// for field, and it is valid.
func TestOpenAPIDocument(t *testing.T) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(document(t)); err != nil {
		t.Fatal(err)
	}
	if os.Getenv(writeVariable) != "" {
		if err := os.WriteFile("openapi.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	now, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(now), "\n"), strings.Split(text.String(), "\n")); diff != "" {
		t.Errorf("openapi.json is not what routes and types say; write it anew with "+writeVariable+"=1 (-is +should be):\n%s", diff)
	}
	read, err := openapi3.NewLoader().LoadFromData(now)
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if !read.IsOpenAPI31OrLater() {
		t.Errorf("it is a document of version %s", read.OpenAPI)
	}
}

// document builds the description of the API.
func document(t *testing.T) object {
	t.Helper()
	s := newSchemas(t)
	paths := object{}
	for _, o := range operations() {
		path, _ := paths[o.route].(object)
		if path == nil {
			path = object{}
			paths[o.route] = path
		}
		path[strings.ToLower(o.method)] = o.describe(s)
	}
	for _, event := range []any{client.StreamDeleted{}, client.StreamSynced{}, client.StreamEnd{}} {
		s.of(reflect.TypeOf(event))
	}
	problem := s.of(reflect.TypeFor[client.Problem]())
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Freshet", "version": "1",
			"description": "Third-party access tokens, kept fresh for a whole cluster. Any node answers. Every GET answers HEAD too. Errors are problem documents (RFC 9457) with a stable code.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths":    paths,
		"security": []any{object{"client_key": []string{}}},
		"components": object{
			"securitySchemes": object{"client_key": object{"type": "http", "scheme": "bearer", "description": "a client key"}},
			"schemas":         s.made,
			"responses": object{"problem": object{
				"description": "Why not. With Retry-After where asking again helps.",
				"content":     object{"application/problem+json": object{"schema": problem}},
			}},
		},
	}
}

var inRoute = regexp.MustCompile(`\{([a-z]+)\}`)

// describe describes one operation.
func (o operation) describe(s *schemas) object {
	about := object{"operationId": o.id, "summary": o.summary, "tags": []string{o.tag}, "responses": o.responses(s)}
	if o.needs == "" {
		about["security"] = []any{}
	} else {
		about["description"] = "Needs the permission " + o.needs + "."
	}
	var all []any
	for _, match := range inRoute.FindAllStringSubmatch(o.route, -1) {
		all = append(all, object{"name": match[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, name := range o.query {
		p, ok := parameters()[name]
		if !ok {
			s.test.Fatalf("parameter %q of %s is not described", name, o.id)
		}
		all = append(all, object{"name": name, "in": "query", "description": p.description, "schema": p.schema})
	}
	if header, ok := headers()[o.id]; ok {
		all = append(all, object{"name": header, "in": "header", "description": aboutHeaders()[header], "schema": object{"type": "string"}})
	}
	if all != nil {
		about["parameters"] = all
	}
	if o.body != nil {
		about["requestBody"] = object{"content": contentOf(s, o.body)}
	}
	return about
}

// contentOf describes a body under its media type.
func contentOf(s *schemas, body any) object {
	media := "application/json"
	if lines, ok := body.(lined); ok {
		media, body = client.NDJSON, lines.of
	}
	return object{media: object{"schema": s.of(reflect.TypeOf(body))}}
}

func (o operation) responses(s *schemas) object {
	responses := object{"default": object{"$ref": "#/components/responses/problem"}}
	for status, body := range o.replies {
		reply := object{"description": http.StatusText(status)}
		content := object{}
		if body == any(streamed{}) {
			content["text/event-stream"] = object{"schema": object{"type": "string"}}
		} else if body != nil {
			content = contentOf(s, body)
		}
		if body != nil {
			for _, media := range o.media {
				content[media] = object{"schema": object{"type": "string"}}
			}
			reply["content"] = content
		}
		responses[strconv.Itoa(status)] = reply
	}
	return responses
}

// Every route is described, and every description is served.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	a, _ := newAPI(t, newFake().root())
	engine, ok := a.Handler().(*gin.Engine)
	if !ok {
		t.Fatalf("the handler is a %T", a.Handler())
	}
	served, described := map[string]bool{}, map[string]bool{}
	for _, route := range engine.Routes() {
		foreign := slices.ContainsFunc(notDescribed(), func(prefix string) bool { return strings.HasPrefix(route.Path, prefix) })
		if route.Method != http.MethodHead && !foreign {
			served[route.Method+" "+regexp.MustCompile(`:([a-z]+)`).ReplaceAllString(route.Path, "{$1}")] = true
		}
	}
	for _, o := range operations() {
		described[o.method+" "+o.route] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(described))); diff != "" {
		t.Errorf("routes (-served +described):\n%s", diff)
	}
}

// A route names the parameters that it knows when it is sent another one.
func TestOpenAPIDescribesEveryParameter(t *testing.T) {
	a, _ := newAPI(t, newFake().root())
	h := a.Handler()
	for _, o := range operations() {
		target := inRoute.ReplaceAllString(o.route, "x")
		p := refused(t, do(t, h, ask{method: o.method, target: target + "?unheardof=1"}), 400, "invalid_request")
		_, known, _ := strings.Cut(p.Detail, "known: ")
		if want := nameList(o.query); known != want {
			t.Errorf("%s %s knows %s, and is described with %s", o.method, o.route, known, want)
		}
	}
}

// Every problem that a client can meet has a code that is described.
func TestOpenAPIDescribesEveryCode(t *testing.T) {
	described := newSchemas(t).enums["Code"]
	if len(described) < 20 {
		t.Errorf("only %d codes are described: %v", len(described), described)
	}
	for _, p := range problems() {
		if !slices.Contains(described, p.code) {
			t.Errorf("code %q is not described", p.code)
		}
	}
}

// What is described with a key asks for one, and nothing else does.
func TestOpenAPISaysWhatIsOpen(t *testing.T) {
	a, _ := newAPI(t, newFake().root())
	for _, o := range operations() {
		target := inRoute.ReplaceAllString(o.route, "x")
		w := do(t, a.Handler(), ask{method: o.method, target: target, key: "-"})
		if closed := w.Code == http.StatusUnauthorized; closed != (o.needs != "") {
			t.Errorf("%s %s without a key: status %d", o.method, o.route, w.Code)
		}
	}
}

func TestOpenAPIDocumentIsServedToEverybody(t *testing.T) {
	a, _ := newAPI(t, newFake())
	w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/openapi.json", key: "-"})
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || !bytes.Equal(w.Body.Bytes(), openAPIDocument) ||
		w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		t.Errorf("status %d, headers %v, %d bytes", w.Code, w.Header(), w.Body.Len())
	}
}
