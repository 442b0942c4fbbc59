package client

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says whom a Client calls, and as whom.
type Config struct {
	// Addresses of nodes, e.g. "http://127.0.0.1:7480" or "10.0.0.7:7480"
	// (plain HTTP). Any node answers; the next one is asked where one cannot
	// be reached, and that one is left alone for up to half a minute. At least one.
	Addresses []string

	// Key is the client key.
	Key string

	// HTTPClient carries the requests; nil: one of our own. Redirects are never followed.
	HTTPClient *http.Client
}

// Format prints the addresses, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "nodes at %s", strings.Join(c.Addresses, ", "))
}

// LogValue logs the addresses.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.Addresses) }

// Client calls the API of a cluster. It is safe for use by many goroutines and
// starts none.
type Client struct {
	key   *string // a pointer, so that printing a Client shows no key
	http  *http.Client
	nodes *nodes
}

// New checks the configuration and returns a Client; it calls nobody.
func New(cfg Config) (*Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("no address of a node is given")
	}
	if strings.ContainsFunc(cfg.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the client key holds a blank or a character that no client key has")
	}
	var bases []string
	for _, address := range cfg.Addresses {
		base, err := parseAddress(address)
		if err != nil {
			return nil, err
		}
		bases = append(bases, base)
	}
	return &Client{key: &cfg.Key, http: withoutRedirects(cfg.HTTPClient), nodes: newNodes(bases)}, nil
}

// parseAddress returns the base URL of a node, without a slash at its end.
func parseAddress(address string) (string, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("an address of a node is not a URL")
	}
	bare := u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !bare {
		return "", fmt.Errorf("address %q: use http://host:port or https://host:port and nothing else", u.Redacted())
	}
	return u.Scheme + "://" + u.Host, nil
}

// withoutRedirects returns a copy of base that follows no redirect, which
// would carry the client key away.
func withoutRedirects(base *http.Client) *http.Client {
	c := http.Client{Transport: newTransport()}
	if base != nil {
		c = *base
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 16
	t.TLSHandshakeTimeout = 5 * time.Second
	return t
}
