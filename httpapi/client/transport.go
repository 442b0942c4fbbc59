package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Defaults of TransportConfig.
const (
	DefaultTransportWait = 10 * time.Second
	DefaultReplayBody    = 64 << 10
)

// Dead reports whether an answer of a platform says that the value was refused,
// and the platform's code for it. body is the beginning of the body, at most 4 KiB,
// and empty where it is no text that could tell or still has a content coding.
type Dead func(status int, header http.Header, body []byte) (code string, dead bool)

// TransportConfig says how calls carry a token.
type TransportConfig struct {
	// Reader gives out values and takes reports. With a *Cache a call costs no
	// request to a node.
	Reader Reader

	// Name of the token, "app/token", or "app" for its access_token.
	Name string

	// Query is the parameter that carries the value, e.g. "access_token". Header
	// and Prefix are the header and what stands before the value in it. Where
	// neither is named it is "Authorization: Bearer VALUE".
	Query, Header, Prefix string

	// Dead tells whether a value was refused; nil: status 401 says so.
	Dead Dead

	// Wait bounds how long a call whose value was refused waits for the next
	// version; zero: DefaultTransportWait.
	Wait time.Duration

	// ReplayBody is how much of a body that has no GetBody is kept to be sent
	// again, in bytes; zero: DefaultReplayBody. Below zero: nothing.
	ReplayBody int64

	// Base makes the calls; nil: http.DefaultTransport.
	Base http.RoundTripper
}

// Transport is an http.RoundTripper that puts a token into each request. When
// the platform refuses the value, it reports that, waits for the next version,
// and sends the request again, once, if its body can be had again; many calls
// that meet the same dead value make one report. A body that is sent again was
// refused the first time, so nothing is done twice.
//
// A request that a redirect leads to another host, or away from TLS, gets no
// token. Errors, and the request that an answer names, hold no value.
type Transport struct {
	cfg  TransportConfig
	heal healing
}

// NewTransport checks the configuration and returns a Transport. It calls nobody.
func NewTransport(cfg TransportConfig) (*Transport, error) {
	if cfg.Reader == nil {
		return nil, errors.New("a transport needs a Reader: a *Client or a *Cache")
	}
	if cfg.Query != "" && (cfg.Header != "" || cfg.Prefix != "") {
		return nil, errors.New("a transport carries the value in a query parameter or in a header, not in both")
	}
	name, err := fullName(cfg.Name)
	if err != nil {
		return nil, err
	}
	cfg.Name = name
	if cfg.Query == "" && cfg.Header == "" {
		cfg.Header, cfg.Prefix = "Authorization", "Bearer "
	}
	if cfg.Wait == 0 {
		cfg.Wait = DefaultTransportWait
	}
	if cfg.ReplayBody == 0 {
		cfg.ReplayBody = DefaultReplayBody
	}
	if cfg.Base == nil {
		cfg.Base = http.DefaultTransport
	}
	t := &Transport{cfg: cfg}
	t.heal = healing{reader: cfg.Reader, name: name, wait: cfg.Wait}
	return t, nil
}

// Format prints the token's name, whatever the verb.
func (t *Transport) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "transport with the token %s", t.cfg.Name)
}

// RoundTrip makes one call with a token.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil || req.Header == nil {
		closeBody(req.Body)
		return nil, errors.New("a call needs a URL and headers: make it with http.NewRequestWithContext")
	}
	if leftHome(req) {
		return t.cfg.Base.RoundTrip(req)
	}
	used, err := t.cfg.Reader.Token(req.Context(), t.cfg.Name, TokenOptions{})
	if err != nil {
		closeBody(req.Body)
		return nil, fmt.Errorf("reading the token of a call: %w", err)
	}
	body := newReplay(req, t.cfg.ReplayBody)
	resp, err := t.send(req, used, body.first())
	if err != nil {
		return nil, err
	}
	code, dead := t.isDead(resp)
	if !dead {
		return resp, nil
	}
	next, err := t.heal.next(req.Context(), used, code)
	if err != nil {
		return resp, nil //nolint:nilerr // the platform's refusal is the answer that there is
	}
	again, ok := body.again()
	if !ok {
		return resp, nil
	}
	_, _ = io.CopyN(io.Discard, resp.Body, deadBody) // so that the connection can be used again
	_ = resp.Body.Close()
	return t.send(req, *next, again)
}

// send makes the call with one value. The caller's request stays as it is.
func (t *Transport) send(req *http.Request, token Token, body io.ReadCloser) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Body = body
	if t.cfg.Query != "" {
		out.URL.RawQuery = withParameter(out.URL.RawQuery, t.cfg.Query, token.Value)
	} else {
		out.Header.Set(t.cfg.Header, t.cfg.Prefix+token.Value)
	}
	resp, err := t.cfg.Base.RoundTrip(out)
	if err != nil {
		return nil, unwrapURL(err) // a URL may hold the value
	}
	resp.Request = req
	return resp, nil
}

// healing finds out about the version after one that was refused, once for all
// who meet the same.
type healing struct {
	reader Reader
	name   string
	wait   time.Duration
	flight
}

// next returns the value after used, or an error where there is none within the wait.
func (h *healing) next(ctx context.Context, used Token, code string) (*Token, error) {
	return h.join(ctx, used.Version, func() (*Token, error) { return h.report(ctx, used, code) })
}

var errNoOther = errors.New("there is no other value")

// report says that a value was refused, unless a newer one is known, and waits for the next one.
func (h *healing) report(ctx context.Context, used Token, code string) (*Token, error) {
	ctx, cancel := context.WithTimeout(ctx, h.wait+attemptTimeout)
	defer cancel()
	opts := TokenOptions{After: used.Version}
	held, err := h.reader.Token(ctx, h.name, TokenOptions{})
	if err != nil || held.Version <= used.Version {
		answer, err := h.reader.Report(ctx, h.name, ReportBody{Version: used.Version, Code: code})
		if err == nil && (answer.Verdict == VerdictReplaced || answer.Verdict == VerdictRefreshing) {
			opts.After, opts.Wait = max(opts.After, answer.After), h.wait
		}
		held, err = h.reader.Token(ctx, h.name, opts)
		if err != nil {
			return nil, err
		}
	}
	if held.Version == used.Version || held.Value == used.Value {
		return nil, errNoOther
	}
	return &held, nil
}
