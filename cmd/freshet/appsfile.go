package main

import (
	"encoding"
	"path"
	"path/filepath"
	"slices"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// appsFile is what a file of apps and clients says, with its secrets.
type appsFile struct {
	file    string
	doc     *document
	apps    []coordinator.App    // in the order of the file
	clients []coordinator.Client // in the order of the file
}

// owner marks what this file made in the cluster.
func (f *appsFile) owner() string { return "file:" + filepath.Base(f.file) }

func (f *appsFile) has(app string) bool {
	return slices.ContainsFunc(f.apps, func(a coordinator.App) bool { return a.Name == app })
}

// readAppsFile reads a file of apps and clients; what is wrong with it is kept
// in its document, so that more can be checked.
func readAppsFile(file string, env func(string) (string, bool)) *appsFile {
	doc, root := openDocument(file, env)
	f := &appsFile{file: file, doc: doc}
	f.read(root, f.readClient)
	return f
}

// readAppsOnly is readAppsFile for somebody who has no use for the clients, and
// need not have their keys: of a client only the name is read.
func readAppsOnly(file string, env func(string) (string, bool)) *appsFile {
	doc, root := openDocument(file, env)
	f := &appsFile{file: file, doc: doc}
	f.read(root, func(e entry) coordinator.Client { return coordinator.Client{Name: e.name} })
	return f
}

func (f *appsFile) read(root *section, readClient func(entry) coordinator.Client) {
	root.child("apps", func(s *section) {
		for _, e := range s.entries {
			f.apps = append(f.apps, f.readApp(e))
		}
	})
	root.child("clients", func(s *section) {
		for _, e := range s.entries {
			f.clients = append(f.clients, readClient(e))
		}
	})
	root.done("section")
}

func (f *appsFile) readApp(e entry) coordinator.App {
	app := coordinator.App{Name: e.name, Owner: f.owner()}
	if coordinator.CheckAppName(e.name) != nil {
		e.wrong("an app's name has 1 to 128 letters, digits, '.', '_' or '-', and begins with a letter or digit")
	}
	s := f.doc.section(e.value, e.at, e.path)
	s.text("provider", &app.Provider)
	s.text("parent", &app.Parent)
	s.text("upstream", &app.Upstream)
	s.child("credentials", func(s *section) { app.Credentials = readCredentials(s) })
	s.textMap("options", &app.Options)
	s.child("tokens", func(s *section) { app.Tokens = readTokens(s) })
	if len(app.Tokens) == 0 && app.Parent == "" {
		app.Tokens = map[string]coordinator.TokenSettings{coordinator.DefaultToken: {}} // as the API does
	}
	s.child("refresh", func(s *section) { readRefresh(s, &app.Refresh) })
	s.textMap("labels", &app.Labels)
	s.boolean("paused", &app.Paused)
	s.done("setting of an app")
	if app.Provider == "" && app.Parent == "" {
		e.wrong("it needs a provider, like \"provider: wechat\", or a parent")
	}
	return app
}

// readCredentials reads fields that are a reference to a secret or, where they
// are no secret (an appid), a text.
func readCredentials(s *section) map[string]coordinator.Secret {
	credentials := make(map[string]coordinator.Secret, len(s.entries))
	for _, e := range s.entries {
		if shown(e.name) != e.name {
			e.wrong("a credential is a name and a text or a reference: is a colon missing?")
			continue
		}
		text, isText := scalar(e.value)
		if isText {
			credentials[e.name] = coordinator.NewSecret(text)
			continue
		}
		credentials[e.name] = e.secret()
	}
	return credentials
}

func readTokens(s *section) map[string]coordinator.TokenSettings {
	tokens := make(map[string]coordinator.TokenSettings, len(s.entries))
	for _, e := range s.entries {
		if (coordinator.Name{App: "a", Token: e.name}).Check() != nil {
			e.wrong("a token's name has 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit")
		}
		tokens[e.name] = readToken(s.doc.section(e.value, e.at, e.path))
	}
	return tokens
}

// readToken reads the window; any other name is an option, which the provider
// checks, since only it knows which there are.
func readToken(s *section) coordinator.TokenSettings {
	var t coordinator.TokenSettings
	value(s, "window", wantWindow, &t.Window, parseWindow)
	for _, e := range s.entries {
		if e.name == "window" {
			continue
		}
		text, ok := e.text("a text")
		if !ok {
			continue
		}
		if t.Options == nil {
			t.Options = map[string]string{}
		}
		t.Options[e.name] = text
	}
	return t
}

func readRefresh(s *section, r *coordinator.RefreshSettings) {
	value(s, "window", wantWindow, &r.Window, parseWindow)
	var retry client.Retry
	value(s, "retry", wantRetry, &retry, parseText[client.Retry])
	r.RetryMin, r.RetryMax = retry.Min, retry.Max
	s.duration("timeout", &r.Timeout)
	var budget client.Budget
	value(s, "budget", wantBudget, &budget, parseText[client.Budget])
	r.Budget = int(budget)
	var probe client.Probe
	value(s, "probe", wantProbe, &probe, parseText[client.Probe])
	r.Probe = time.Duration(probe)
	s.done("setting of refresh")
}

func (f *appsFile) readClient(e entry) coordinator.Client {
	client := coordinator.Client{Name: e.name, Owner: f.owner()}
	if coordinator.CheckAppName(e.name) != nil {
		e.wrong("a client's name has 1 to 128 letters, digits, '.', '_' or '-', and begins with a letter or digit")
	}
	s := f.doc.section(e.value, e.at, e.path)
	var key coordinator.Secret
	s.secret("key", &key)
	s.child("can", func(s *section) { client.Can = readCan(s) })
	s.text("note", &client.Note)
	value(s, "expires", "a time like 2027-01-31T00:00:00Z", &client.Expires, parseTime)
	s.done("setting of a client")
	switch _, hasKey := s.find("key"); {
	case !hasKey:
		e.wrong("it needs a key, like \"key: {env: NAME}\"")
	case !key.IsZero() && len(key.Reveal()) < minKeyLength:
		e.wrong("its key has %d characters: use at least %d random ones, e.g. of `openssl rand -hex 24`", len(key.Reveal()), minKeyLength)
	case !key.IsZero():
		client.Digest = coordinator.DigestOf(key)
	}
	return client
}

func readCan(s *section) map[coordinator.Verb][]string {
	can := map[coordinator.Verb][]string{}
	for _, verb := range coordinator.Verbs() {
		var globs []string
		s.texts(string(verb), &globs)
		if len(globs) > 0 {
			can[verb] = globs
		}
		if e, found := s.find(string(verb)); found && slices.ContainsFunc(globs, badGlob) {
			e.wrong("expected names of tokens like shop/access_token, shop/* or **")
		}
	}
	s.done("verb")
	return can
}

func badGlob(glob string) bool {
	_, err := path.Match(glob, "")
	return err != nil || glob == ""
}

// What the values of refresh settings look like, for people.
const (
	wantWindow = "a share of the lifetime like 33%, or a length like 30m"
	wantRetry  = "the shortest and the longest wait like 5s..5m"
	wantBudget = "calls a day like 500/day"
	wantProbe  = "a length like 5m, at least 1m, or off"
)

func parseWindow(text string) (coordinator.Window, bool) {
	window, ok := parseText[client.Window](text)
	return coordinator.Window(window), ok
}

// parseText reads a type that knows its own text.
func parseText[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](text string) (T, bool) {
	var v T
	err := P(&v).UnmarshalText([]byte(text))
	return v, err == nil
}

func parseTime(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}
