package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	dialTimeout      = 5 * time.Second  // of authentication, and of a new lease's first renewal
	keepAliveTime    = 10 * time.Second // between pings while something is asked or watched; etcd refuses less than 5 s, and any on an idle connection
	keepAliveTimeout = 5 * time.Second

	requestTimeout = 5 * time.Second  // reads, grants, renewals
	txnTimeout     = 7 * time.Second  // as long as etcd itself tries: a shorter one only leaves more answers unknown
	pageTimeout    = 10 * time.Second // one page of a list
	partingTimeout = 2 * time.Second  // resigning, revoking
)

var (
	errClosed       = errors.New("the store is closed")
	errNotConnected = errors.New("connecting to etcd")
)

// dial makes a client. It does not wait for etcd, unless a password must be
// exchanged for a token: then it fails after dialTimeout.
func (c Config) dial() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:            c.Endpoints,
		DialTimeout:          dialTimeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		TLS:                  c.TLS,
		Username:             c.Username,
		Password:             c.Password.Reveal(),
		Logger:               etcdLogger(c.Logger),
	})
}

// dialer makes a client when it is first needed.
type dialer struct {
	dial   func() (*clientv3.Client, error)
	turn   chan struct{} // holds one token; whoever has it may use the fields below
	client *clientv3.Client
	closed bool
}

func newDialer(dial func() (*clientv3.Client, error)) *dialer {
	return &dialer{dial: dial, turn: make(chan struct{}, 1)}
}

// get returns the client, making it if there is none yet.
func (d *dialer) get(ctx context.Context) (*clientv3.Client, error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-d.turn }()
	switch {
	case d.closed:
		return nil, errClosed
	case d.client != nil:
		return d.client, nil
	}
	client, err := d.dial()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotConnected, err)
	}
	client.Watcher = endingWatcher{client.Watcher}
	d.client = client
	return client, nil
}

func (d *dialer) close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.closed = true
	if d.client == nil {
		return nil
	}
	err := d.client.Close()
	d.client = nil
	if errors.Is(err, context.Canceled) {
		return nil // the client without a socket says so when it is closed
	}
	return err
}

// request sends one request with a deadline of its own.
func request[T any](ctx context.Context, d *dialer, limit time.Duration, send func(context.Context, *clientv3.Client) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client, err := d.get(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return send(ctx, client)
}

// get reads a key or a range, linearizably.
func (s *Store) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return request(ctx, s.main, requestTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.GetResponse, error) {
		return c.Get(ctx, key, opts...)
	})
}

func checkPrefix(prefix string) error {
	if !strings.HasPrefix(prefix, "/") || strings.Trim(prefix, "/") == "" || strings.Contains(prefix, "//") {
		return fmt.Errorf("etcd prefix %q: write it like %q", prefix, DefaultPrefix)
	}
	return nil
}

func checkEndpoints(endpoints []string, withTLS bool) error {
	if len(endpoints) == 0 {
		return errors.New("no etcd endpoint is given: write one like \"http://127.0.0.1:2379\"")
	}
	var wrong []error
	for _, e := range endpoints {
		wrong = append(wrong, checkEndpoint(e, withTLS))
	}
	return errors.Join(wrong...)
}

func checkEndpoint(endpoint string, withTLS bool) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fmt.Errorf("etcd endpoint %q: write it like \"http://127.0.0.1:2379\"", redactURL(endpoint))
	case u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "":
		return fmt.Errorf("etcd endpoint %q: only scheme, host and port belong in it", redactURL(endpoint))
	case u.Port() == "":
		return fmt.Errorf("etcd endpoint %q: it needs a port, usually 2379", endpoint)
	case withTLS && u.Scheme == "http":
		return fmt.Errorf("etcd endpoint %q: TLS is configured, but an http endpoint would not use it; write https", endpoint)
	}
	return nil
}

// redactURL takes a password out of what somebody wrote as an endpoint.
func redactURL(s string) string {
	if at := strings.LastIndex(s, "@"); at >= 0 {
		return "…" + s[at:]
	}
	return s
}
