package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "after=7", "after=7&after=8", "wait=30s&min_ttl=5m", "a=%zz", "after=1;b=2", "%61fter=1", "after"} {
		f.Add(seed)
	}
	a, err := New(Config{Node: newFake()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw, []string{"after", "wait", "min_ttl"})
		if err == nil {
			var w coordinator.Want
			if w, err = a.want(q); err == nil && (w.Above < 0 || w.MinTTL < 0 || w.Wait < 0 || w.Wait > DefaultMaxWait) {
				t.Errorf("%q is read as %+v", raw, w)
			}
		}
		if err != nil && !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%q: %v is not a mistake of the caller", raw, err)
		}
	})
}

func FuzzAppBody(f *testing.F) {
	for _, seed := range []string{shopBody, `{}`, `{"tokens":{"a":{"window":"30m"}}}`, `{"refresh":{"window":"33%"},"refresh":{}}`, `[`, `{"a":[[[[`, `{"paused":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var body client.App
		err := decodeStrict("the body", data, &body)
		if err == nil {
			var app coordinator.App
			if app, err = AppFromWire("shop", body); err == nil {
				checkReadBack(t, app)
			}
		}
		if err != nil && !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%q: %v is not a mistake of the caller", data, err)
		}
	})
}

// checkReadBack checks that what is shown of an app could be applied again.
func checkReadBack(t *testing.T, app coordinator.App) {
	t.Helper()
	if _, err := AppFromWire(app.Name, wireApp(app)); err != nil {
		t.Errorf("%+v cannot be read back: %v", app, err)
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"shop", "shop/*,web", "**", "a,,b", "a,a", "[", "a/b/c", ",", "***", "crm-*/ticket,\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q := query{"names": text}
		single, err := q.tokenNames()
		if err == nil && (len(single) == 0 || len(single) > maxNames) {
			t.Errorf("%q is read as %d names", text, len(single))
		}
		if err != nil && !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%q: %v is not a mistake of the caller", text, err)
		}
		entries, _, listErr := q.names()
		if listErr != nil {
			return
		}
		names, listErr := coordinator.ParseNames(entries)
		if listErr != nil && !errors.Is(listErr, coordinator.ErrInvalid) {
			t.Errorf("%q: %v is not a mistake of the caller", text, listErr)
		}
		for _, name := range single {
			if err == nil && !names.Has(name) {
				t.Errorf("%q as a list has %s, and as a set it has not: %v", text, name, listErr)
			}
		}
	})
}

func FuzzLastEventID(f *testing.F) {
	for _, seed := range []string{"", "0.0", "1.2", "cbf29ce484222325.42", "\r\n", "1.9223372036854775808"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := lastEventID(http.Header{"Last-Event-Id": {text}})
		if err != nil || p != (coordinator.Position{}) && p.String() != text {
			t.Errorf("%q is read as %s, %v", text, p, err)
		}
		if _, err := lastEventID(http.Header{"Last-Event-Id": {text, text}}); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%q given twice: %v", text, err)
		}
	})
}

func FuzzImportLine(f *testing.F) {
	for _, seed := range []string{
		`{"name":"shop",` + shopBody[1:], "{}", "\ufeff{\"name\":\"a\"}\r\n\r\n", `{"name":"a"}{"name":"b"}`, "\n\n\n", `{"name":7}`, `{"Name":"a"}`, `{"name":"../a","colour":1}`, strings.Repeat("x", 300),
	} {
		f.Add([]byte(seed))
	}
	const most = 256
	f.Fuzz(func(t *testing.T, data []byte) {
		read := newLines(bytes.NewReader(data), most)
		for {
			line, err := read.next()
			switch {
			case errors.Is(err, io.EOF):
				if ends := bytes.Count(data, []byte("\n")); read.number-1 != ends && read.number-1 != ends+1 {
					t.Errorf("%q: %d lines", data, read.number-1)
				}
				return
			case errors.Is(err, errLongLine):
				continue
			case err != nil || len(line) > most || bytes.ContainsRune(line, '\n'):
				t.Fatalf("%q: line %q, %v", data, line, err)
			}
			name, body, err := readLine(line)
			if err == nil {
				_, err = AppFromWire(name, body)
			}
			if err != nil && !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("%q: %v is not a mistake of the caller", line, err)
			}
			if name != "" && coordinator.CheckAppName(name) != nil {
				t.Errorf("%q: the name %q is told", line, name)
			}
		}
	})
}
