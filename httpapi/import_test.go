package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"freshet/httpapi/client"
)

// importLine is a line of an import, of an app that the platform takes.
func importLine(name string) string {
	return `{"name":"` + name + `","provider":"platform","credentials":{"secret":"` + appSecret + `"}}` + "\n"
}

// shortly is an answer as tests compare it.
func shortly(a client.ImportAnswer) string {
	switch t := a.Totals; {
	case t != nil && t.Error != nil:
		return fmt.Sprintf("%d+%d+%d done, %d refused, %s", t.Created, t.Updated, t.Unchanged, t.Refused, t.Error.Code)
	case t != nil:
		return fmt.Sprintf("%d+%d+%d done, %d refused", t.Created, t.Updated, t.Unchanged, t.Refused)
	case a.Problem != nil:
		return strings.Join(strings.Fields(fmt.Sprintf("%d %s %s", a.Line, a.App, a.Problem.Code)), " ")
	}
	return fmt.Sprintf("%d %s %s", a.Line, a.App, a.Change)
}

// imported is an answer that is read to its end.
type imported struct {
	test    *testing.T
	status  int
	text    string
	answers []client.ImportAnswer
}

func readImport(t *testing.T, resp *http.Response, err error) imported {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer after %q: %v", text, err)
	}
	i := imported{test: t, status: resp.StatusCode, text: string(text)}
	if resp.Header.Get("Content-Type") != client.NDJSON {
		return i
	}
	for line := range strings.Lines(i.text) {
		var answer client.ImportAnswer
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&answer); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		i.answers = append(i.answers, answer)
	}
	return i
}

// is checks the answers, one after the other.
func (i imported) is(want ...string) {
	i.test.Helper()
	var got []string
	for _, answer := range i.answers {
		got = append(got, shortly(answer))
	}
	if i.status != http.StatusOK || strings.Join(got, "\n") != strings.Join(want, "\n") {
		i.test.Errorf("status %d, answers\n%s\nwant\n%s\n%s", i.status, strings.Join(got, "\n"), strings.Join(want, "\n"), i.text)
	}
}

// says checks what is said of a line.
func (i imported) says(line int, want string) {
	i.test.Helper()
	for _, answer := range i.answers {
		if answer.Line == line && answer.Problem != nil && strings.Contains(answer.Problem.Detail, want) {
			return
		}
	}
	i.test.Errorf("line %d is not told %q: %s", line, want, i.text)
}

// serveSynced is serve, of a node that has read what there is.
func serveSynced(t *testing.T) *served {
	t.Helper()
	s := serve(t)
	for {
		moved := s.node.Moved()
		if s.node.Health().Synced {
			return s
		}
		<-moved
	}
}

func importRequest(ctx context.Context, url, key string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", client.NDJSON)
	return req
}

func (s *served) importAll(t *testing.T, query, body string) imported {
	t.Helper()
	resp, err := http.DefaultClient.Do(importRequest(t.Context(), s.url+"/v1/import"+query, bootstrapKey, strings.NewReader(body))) //nolint:bodyclose // readImport does
	return readImport(t, resp, err)
}

func TestAnImportAnswersEachLine(t *testing.T) {
	s := serveSynced(t)
	const secret = "canary-in-a-line"
	body := "\ufeff" + importLine("shop") +
		"\r\n" +
		strings.TrimSpace(importLine("till")) + "\r\n" +
		`{"name":"half","credentials":{"secret":"` + secret + "\n" +
		`{"name":"odd","provider":"platform","credentials":{"secret":"` + secret + `"},"colour":"red"}` + "\n" +
		`{"name":"odd","name":"even","credentials":{"secret":"` + secret + `"}}` + "\n" +
		`{"provider":"platform","credentials":{"secret":"` + secret + `"}}` + "\n" +
		`{"name":"../x","provider":"platform","credentials":{"secret":"` + secret + `"}}` + "\n" +
		`["` + secret + `"]` + "\n" +
		`{"name":"early","parent":"corp"}` + "\n" +
		importLine("corp") +
		`   {"name":"late","parent":"corp"}` + "\n" +
		`{"name":"long","credentials":{"secret":"` + strings.Repeat(secret, 20_000) + `"}}` + "\n" +
		importLine("shop") +
		`{"name":"shop","provider":"platform","labels":{"team":"retail"}}` + "\n" +
		`{"name":"strange","provider":"nobody","credentials":{"secret":"` + secret + `"}}` + "\n" +
		`{"name":"number","provider":"platform","credentials":{"secret":7}}` + "\n" +
		`{"name":"last","parent":"corp"}`
	first := s.importAll(t, "", body)
	first.is(
		"1 shop created", "3 till created", "4 invalid_request", "5 odd invalid_request", "6 invalid_request", "7 invalid_request",
		"8 invalid_request", "9 invalid_request", "10 early invalid_request", "11 corp created", "12 late created", "13 body_too_large",
		"14 shop unchanged", "15 shop updated", "16 strange invalid_request", "17 number invalid_request", "18 last created", "5+1+1 done, 10 refused",
	)
	first.says(4, "the line is not one JSON object")
	first.says(5, `unknown field "colour"`)
	first.says(6, `field "name" is given twice`)
	first.says(7, `the line names no app: give it a field "name"`)
	first.says(10, `app "early" has the parent "corp", which does not exist: apply the parent first`)
	first.says(13, "the line is longer than 256 KiB")
	first.says(16, `provider "nobody" is not known`)
	if app, _ := s.node.App("late"); app.Owner != "api:bootstrap" || app.Parent != "corp" {
		t.Errorf("applied %+v", app)
	}
	again := s.importAll(t, "", importLine("till")+`{"name":"early","parent":"corp"}`+"\n"+importLine("corp"))
	again.is("1 till unchanged", "2 early created", "3 corp unchanged", "1+0+2 done, 0 refused")
	for _, text := range []string{first.text, again.text, s.log.String()} {
		if strings.Contains(text, "canary") {
			t.Errorf("a secret is told: %s", text)
		}
	}
	s.importAll(t, "", "").is("0+0+0 done, 0 refused")
}

func TestADryRunOfAnImportWritesNothing(t *testing.T) {
	s := serveSynced(t)
	s.importAll(t, "", importLine("shop")).is("1 shop created", "1+0+0 done, 0 refused")
	got := s.importAll(t, "?dry_run=1", importLine("shop")+importLine("corp")+
		`{"name":"agent","parent":"corp"}`+"\n"+`{"name":"below","parent":"agent"}`+"\n"+`{"name":"lost","parent":"nobody"}`+"\n"+
		`{"name":"shop","provider":"platform","labels":{"a":"b"}}`)
	got.is("1 shop unchanged", "2 corp created", "3 agent created", "4 below created", "5 lost invalid_request", "6 shop updated", "3+1+1 done, 1 refused")
	for i, unchecked := range []bool{false, false, true, true} {
		if got.answers[i].Unchecked != unchecked {
			t.Errorf("line %d is told as unchecked: %v", i+1, !unchecked)
		}
	}
	if apps := s.node.Apps(); len(apps) != 1 || len(apps[0].Labels) > 0 || !got.answers[6].Totals.DryRun {
		t.Errorf("a dry run left %v, and says %s", apps, got.text)
	}
}

// A dry run of any number of lines remembers a bounded number of them.
func TestADryRunRemembersNotAllItWouldMake(t *testing.T) {
	s := serveSynced(t)
	var body strings.Builder
	for n := range 10_000 {
		fmt.Fprintf(&body, `{"name":"app-%d","provider":"static"}`+"\n", n)
		if n == 9_998 {
			body.WriteString(`{"name":"lost","parent":"nobody"}` + "\n")
		}
	}
	got := s.importAll(t, "?dry_run=1", body.String()+`{"name":"late","parent":"one-of-many"}`)
	last := got.answers[len(got.answers)-2:]
	if got.answers[9_999].Problem == nil || !last[0].Unchecked || shortly(last[1]) != "10001+0+0 done, 1 refused" {
		t.Errorf("told %+v, %+v and %s", got.answers[9_999], last[0], shortly(last[1]))
	}
}

// Many lines are answered while they are being sent: the sender waits for the answer
// to each before it sends the next, and then sends the others at once.
func TestAnImportIsAnsweredWhileItIsSent(t *testing.T) {
	s := serveSynced(t)
	const together, many = 200, 5000
	out, in := io.Pipe()
	answered := make(chan struct{})
	go func() {
		for n := range many {
			if _, err := io.WriteString(in, fmt.Sprintf(`{"name":"app-%d","provider":"static","paused":true}`+"\n", n)); err != nil {
				return
			}
			if n < together {
				<-answered
			}
		}
		_ = in.Close()
	}()
	n := 0
	for answer, err := range s.client(t, bootstrapKey).Import(t.Context(), out, client.ApplyOptions{}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case answer.Totals != nil:
			if answer.Totals.Created != many || n != many {
				t.Errorf("after %d answers: %s", n, shortly(answer))
			}
		case shortly(answer) != fmt.Sprintf("%d app-%d created", n+1, n):
			t.Fatalf("answer %d: %s", n+1, shortly(answer))
		default:
			if n < together {
				answered <- struct{}{}
			}
			n++
		}
	}
	if apps := s.node.Apps(); len(apps) != many {
		t.Errorf("there are %d apps", len(apps))
	}
}

func TestAnImportWantsRightsAndLines(t *testing.T) {
	s := serveSynced(t)
	admin := s.client(t, bootstrapKey)
	key := func(name string, can map[string][]string) string {
		t.Helper()
		made, err := admin.AddClient(t.Context(), client.ClientBody{Name: name, Can: can})
		if err != nil {
			t.Fatal(err)
		}
		return made.Key
	}
	reader := key("reader", map[string][]string{"read": {"**"}, "refresh": {"**"}, "push": {"**"}, "view": {"**"}})
	some := key("some", map[string][]string{"admin": {"crm-*/*"}})
	ask := func(key, media, query string) imported {
		req := importRequest(t.Context(), s.url+"/v1/import"+query, key, strings.NewReader(importLine("crm-1")+importLine("shop")+`{"name":"crm-2","parent":"shop"}`))
		req.Header.Set("Content-Type", media)
		resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // readImport does
		return readImport(t, resp, err)
	}
	for _, c := range []struct {
		key, media, query string
		status            int
		want              string
	}{
		{reader, client.NDJSON, "", 403, "forbidden"},
		{"no-key", client.NDJSON, "", 401, "unauthenticated"},
		{some, "application/json", "", 415, "Content-Type: application/x-ndjson"},
		{some, "", "", 415, "unsupported_media_type"},
		{some, client.NDJSON, "?dry_run=perhaps", 400, "dry_run"},
		{some, client.NDJSON, "?replace_grant=perhaps", 400, "replace_grant"},
		{some, client.NDJSON, "?prune=1", 400, "prune"},
	} {
		if got := ask(c.key, c.media, c.query); got.status != c.status || !strings.Contains(got.text, c.want) {
			t.Errorf("%+v: status %d: %s", c, got.status, got.text)
		}
	}
	if apps := s.node.Apps(); len(apps) > 0 {
		t.Errorf("what was refused made %v", apps)
	}
	ask(some, client.NDJSON+"; charset=utf-8", "").is("1 crm-1 created", "2 shop forbidden", "3 crm-2 forbidden", "1+0+0 done, 2 refused")
}
