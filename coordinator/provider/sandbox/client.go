package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
)

// Client returns an HTTP client whose every request, whatever its host, is
// answered by the sandbox in the caller's own goroutine. It opens no socket and
// works inside a testing/synctest bubble; a cancelled request returns once the
// sandbox has noticed, so that no call seems to overlap the next one.
func (s *Sandbox) Client() *http.Client { return s.ClientFrom("127.0.0.1") }

// ClientFrom is Client seen from the address ip, for what a platform holds
// against addresses.
func (s *Sandbox) ClientFrom(ip string) *http.Client {
	return &http.Client{Transport: transport{handler: s, remote: net.JoinHostPort(ip, "49152")}}
}

// transport calls a handler directly.
type transport struct {
	handler http.Handler
	remote  string
}

// RoundTrip answers r. Like net/http's transport it fails where the connection
// broke, and hands out a body that fails where the answer was cut.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	w := &memoryWriter{header: make(http.Header)}
	err := t.serve(w, t.received(r))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return w.response(ctx, r), nil
}

// received returns r as a server would see it.
func (t transport) received(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.Host = cmp.Or(r.Host, r.URL.Host)
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = t.remote
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in
}

// serve runs the handler; one that aborts has reset its connection.
func (t transport) serve(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
		default:
			panic(p)
		}
	}()
	t.handler.ServeHTTP(w, r)
	return nil
}

// memoryWriter keeps an answer. What is copied into it from a reader is read
// only when the caller reads, so that a huge body is never held.
type memoryWriter struct {
	header http.Header
	status int
	sent   http.Header // as they were when the head was written
	body   bytes.Buffer
	rest   io.Reader
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, maps.Clone(w.header)
	}
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// ReadFrom is what io.Copy uses.
func (w *memoryWriter) ReadFrom(src io.Reader) (int64, error) {
	w.WriteHeader(http.StatusOK)
	w.rest = src
	return 0, nil
}

func (w *memoryWriter) response(ctx context.Context, r *http.Request) *http.Response {
	w.WriteHeader(http.StatusOK)
	length, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	body := &memoryBody{ctx: ctx.Err, from: &w.body}
	if w.rest != nil {
		body.from = io.MultiReader(&w.body, w.rest)
	} else if int64(w.body.Len()) < length {
		body.end = io.ErrUnexpectedEOF
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: length, Request: r,
	}
}

// memoryBody ends with the request's context, and with end where an answer was cut.
type memoryBody struct {
	ctx  func() error // the context's Err; contexts are not kept in structs
	from io.Reader
	end  error
}

func (b *memoryBody) Read(p []byte) (int, error) {
	if err := b.ctx(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	if errors.Is(err, io.EOF) && b.end != nil {
		err = b.end
	}
	return n, err
}

func (b *memoryBody) Close() error { return nil }
