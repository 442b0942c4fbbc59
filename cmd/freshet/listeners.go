package main

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// listeners are the open ports of a node.
type listeners struct {
	api, ops net.Listener
	surfaces map[string]net.Listener // :: drop-in surface → its own
}

func openListeners(ctx context.Context, c listenConfig) (l listeners, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
			l = listeners{}
		}
	}()
	if l.api, err = listen(ctx, "the API", c.API); err != nil {
		return l, err
	}
	if l.ops, err = listen(ctx, "the operations listener", c.Ops); err != nil {
		return l, err
	}
	l.surfaces = map[string]net.Listener{}
	surfaces := c.surfaces()
	for _, name := range slices.Sorted(maps.Keys(surfaces)) {
		opened, err := listen(ctx, "the listener of the surface "+name, surfaces[name])
		if err != nil {
			return l, err
		}
		l.surfaces[name] = opened
	}
	return l, nil
}

// close closes those that are open.
func (l listeners) close() error {
	var errs []error
	for _, open := range append(slices.Collect(maps.Values(l.surfaces)), l.api, l.ops) {
		if open != nil {
			errs = append(errs, open.Close())
		}
	}
	return errors.Join(errs...)
}

// address is where others find our API: the port that was opened, and the host
// name where we listen on every address.
func (l listeners) address(c listenConfig) string {
	scheme := "http://"
	if c.TLS.Cert != "" {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(l.api.Addr().String())
	if err != nil {
		return scheme + l.api.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return scheme + net.JoinHostPort(host, port)
}

// server returns the TLS settings of a listener, nil for plain HTTP.
func (t tlsFiles) server() (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil //nolint:nilnil // nil is what net/http takes for plain HTTP
	}
	pair := &reloadedPair{files: t}
	if _, err := pair.get(nil); err != nil {
		return nil, err
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	if t.CA == "" {
		return settings, nil
	}
	pool, err := readAuthority(t.CA)
	if err != nil {
		return nil, err
	}
	settings.ClientCAs, settings.ClientAuth = pool, tls.RequireAndVerifyClientCert
	return settings, nil
}

// pairLookEvery bounds how often the files of a certificate are looked at.
const pairLookEvery = 10 * time.Second

// reloadedPair is a certificate that follows its files, so that renewing it
// needs no restart. While the files are half written the old one is used.
type reloadedPair struct {
	files tlsFiles

	mu      sync.Mutex
	pair    *tls.Certificate
	changed time.Time // of the certificate's file, when it was read
	looked  time.Time
}

func (r *reloadedPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pair != nil && time.Since(r.looked) < pairLookEvery {
		return r.pair, nil
	}
	r.looked = time.Now()
	info, err := os.Stat(r.files.Cert)
	if r.pair != nil && (err != nil || info.ModTime().Equal(r.changed)) {
		return r.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(r.files.Cert, r.files.Key)
	if err != nil {
		if r.pair != nil {
			return r.pair, nil
		}
		return nil, usagef("the certificate %s and its key %s do not work together: %w", r.files.Cert, r.files.Key, err)
	}
	r.pair, r.changed = &pair, info.ModTime()
	return r.pair, nil
}
