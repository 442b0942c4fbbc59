package store

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const (
	sayEvery     = 10 * time.Second
	probeTimeout = 2 * time.Second
)

// outage says that etcd cannot be used, once every ten seconds however many
// callers notice, and says when it can again.
type outage struct {
	mu    sync.Mutex
	since time.Time // zero: there is none
	said  time.Time
}

// began notes a failure and reports whether it is time to say so.
func (o *outage) began(now time.Time) (since time.Time, say bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = now
	}
	if now.Sub(o.said) < sayEvery {
		return o.since, false
	}
	o.said = now
	return o.since, true
}

// over notes a success and returns since when there had been none.
func (o *outage) over() (since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since = o.since
	o.since = time.Time{}
	return since
}

// suffered tells people about a passing failure, unless its cause is that the
// caller gave up.
func (s *Store) suffered(ctx context.Context, doing string, err error) {
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	since, say := s.outage.began(now)
	if !say {
		return
	}
	s.log.LogAttrs(ctx, slog.LevelWarn, "etcd does not answer, trying again",
		slog.String("doing", doing), slog.Duration("for", now.Sub(since).Round(time.Second)),
		slog.String("err", err.Error()), slog.String("check", s.diagnose(ctx, err)))
}

// worked notes that etcd answered.
func (s *Store) worked() {
	if since := s.outage.over(); !since.IsZero() {
		s.log.Info("etcd answers again", "after", time.Since(since).Round(time.Millisecond))
	}
}

// diagnose looks at every endpoint with one request of its own, because the
// client only says that time ran out, and says what to check.
func (s *Store) diagnose(ctx context.Context, err error) string {
	if errors.Is(err, rpctypes.ErrNoSpace) {
		return "etcd is full: compact and defragment it, raise its quota, then disarm its alarm"
	}
	if s.config.Client != nil {
		return "the etcd inside this process is not answering"
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	findings := make([]string, len(s.config.Endpoints))
	var wg sync.WaitGroup
	for i, endpoint := range s.config.Endpoints {
		wg.Go(func() { findings[i] = endpoint + ": " + probe(ctx, endpoint, s.config.TLS) })
	}
	wg.Wait()
	return strings.Join(findings, "; ")
}

// probe asks an endpoint for its version the simplest way etcd knows. It does
// without an HTTP client, which prints what it does not understand.
func probe(ctx context.Context, endpoint string, tlsConfig *tls.Config) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "it is not a usable address"
	}
	conn, err := probeDial(ctx, u, tlsConfig)
	if err != nil {
		return findingOf(err)
	}
	defer conn.Close()
	status, body, err := probeVersion(ctx, conn, u.Host)
	switch {
	case err != nil:
		return findingOf(err)
	case strings.Contains(body, "etcdserver"):
		return "an etcd is there but does not serve requests; check that its cluster has a quorum, and whether this is its client port"
	case strings.Contains(body, "HTTP request to an HTTPS server"):
		return "it speaks TLS; write the endpoint with https"
	}
	return fmt.Sprintf("something that is not etcd answers there (HTTP %d); check the port", status)
}

func probeDial(ctx context.Context, u *url.URL, tlsConfig *tls.Config) (net.Conn, error) {
	if u.Scheme == "https" {
		dialer := tls.Dialer{Config: tlsConfig}
		return dialer.DialContext(ctx, "tcp", u.Host)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", u.Host)
}

func probeVersion(ctx context.Context, conn net.Conn, host string) (status int, body string, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a connection that cannot have one fails at once
	}
	if _, err := fmt.Fprintf(conn, "GET /version HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return 0, "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // half an answer is told apart as well
	return resp.StatusCode, string(b), nil
}

// findingOf says in words what is wrong with a way to an endpoint.
func findingOf(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("the name %q cannot be resolved; check the address", dns.Name)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Sprintf("its certificate is not trusted (%v); check the CA and the name it was made for", err)
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "connection refused"):
		return "nothing listens there; check address and port, and whether etcd runs"
	case strings.Contains(text, "server gave HTTP response to HTTPS client"), strings.Contains(text, "first record does not look like a TLS handshake"):
		return "it does not speak TLS; write the endpoint with http, or check the port"
	case strings.Contains(text, "tls:"):
		return fmt.Sprintf("TLS fails (%v); check the certificates of both sides", err)
	case strings.Contains(text, "malformed HTTP"):
		return "something that is not etcd answers there; check the port"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer; check the address, and what is between here and there (firewall, routes)"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "connection reset"), strings.Contains(text, "broken pipe"):
		return "the connection is closed at once; check the port, and whether it wants TLS"
	}
	return text
}
