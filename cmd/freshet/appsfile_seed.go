package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"time"

	"freshet/coordinator"
)

// seed is the file as a node applies it, once for each content.
func (f *appsFile) seed() (*coordinator.Seed, error) {
	hash, err := f.hash()
	if err != nil {
		return nil, err
	}
	return &coordinator.Seed{File: filepath.Base(f.file), Hash: hash, Apps: f.apps, Clients: f.clients}, nil
}

// hash tells contents apart. It covers the secrets behind the references, so
// that a new secret in an old file is a new content. Comments, order and the
// way things are written do not count.
func (f *appsFile) hash() (string, error) {
	apps := map[string]canonicalApp{}
	for _, app := range f.apps {
		apps[app.Name] = canonical(app)
	}
	clients := map[string]canonicalClient{}
	for _, c := range f.clients {
		clients[c.Name] = canonicalClient{Digest: c.Digest, Can: c.Can, Note: c.Note, Expires: c.Expires}
	}
	text, err := json.Marshal(map[string]any{"apps": apps, "clients": clients})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// canonicalApp is what counts of an app in a hash. It holds secrets.
type canonicalApp struct {
	Provider, Parent, Upstream string
	Options, Labels            map[string]string
	Tokens                     map[string]coordinator.TokenSettings
	Refresh                    coordinator.RefreshSettings
	Paused                     bool
	Credentials                map[string]string
}

func canonical(app coordinator.App) canonicalApp {
	credentials := make(map[string]string, len(app.Credentials))
	for field, secret := range app.Credentials {
		credentials[field] = secret.Reveal()
	}
	return canonicalApp{
		Provider: app.Provider, Parent: app.Parent, Upstream: app.Upstream,
		Options: app.Options, Labels: app.Labels, Tokens: app.Tokens,
		Refresh: app.Refresh, Paused: app.Paused, Credentials: credentials,
	}
}

type canonicalClient struct {
	Digest  coordinator.Digest
	Can     map[coordinator.Verb][]string
	Note    string
	Expires time.Time
}
