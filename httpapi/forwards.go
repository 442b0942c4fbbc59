package httpapi

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"
)

// Defaults of ForwardConfig.
const (
	DefaultForwardAtOnce  = 256
	DefaultForwardRate    = 500
	DefaultForwardKeep    = 1 << 20
	DefaultForwardTimeout = time.Minute
	DefaultForwardIdle    = 2 * time.Minute
	DefaultForwardHeal    = 10 * time.Second
)

// ForwardConfig bounds calls that are forwarded to platforms. Zero fields mean the default.
type ForwardConfig struct {
	AtOnce  int           // calls of one client under way, streams included
	Rate    float64       // calls of one client in a second, on average; twice as many in a burst
	Keep    int64         // bytes of a body that are kept to make the call again, at most
	Timeout time.Duration // until the answer begins, from the end of the request
	Idle    time.Duration // in which nothing moves, after which a call is given up
	Heal    time.Duration // for the next value, where one was refused

	// Transport carries the calls. It must follow no redirects and decode no
	// bodies. Nil: one that also asks no proxy.
	Transport http.RoundTripper
}

// Bounds of the connections to platforms, and of what all bodies together may keep.
const (
	forwardDial      = 5 * time.Second
	forwardIdleConns = 64 // of one platform
	forwardIdleFor   = 30 * time.Second
	forwardHeader    = 64 << 10 // bytes of an answer's header
	forwardRoom      = 64       // bodies of the greatest size that is kept
)

// forwards is what forwarded calls share.
type forwards struct {
	transport http.RoundTripper
	limits    *forwardLimits
	reports   singleflight.Group // of refused values
	room      *room
	keepBody  int64
	idle      time.Duration
	healWait  time.Duration
}

func newForwards(c ForwardConfig) (*forwards, error) {
	if c.AtOnce < 0 || c.Rate < 0 || c.Keep < 0 || c.Timeout < 0 || c.Idle < 0 || c.Heal < 0 {
		return nil, errors.New("a bound of forwarded calls is below zero")
	}
	f := &forwards{
		transport: c.Transport,
		limits:    newForwardLimits(cmp.Or(c.AtOnce, DefaultForwardAtOnce), cmp.Or(c.Rate, DefaultForwardRate)),
		keepBody:  cmp.Or(c.Keep, DefaultForwardKeep),
		idle:      cmp.Or(c.Idle, DefaultForwardIdle),
		healWait:  cmp.Or(c.Heal, DefaultForwardHeal),
	}
	f.room = newRoom(f.keepBody * forwardRoom)
	if f.transport == nil {
		f.transport = forwardTransport(cmp.Or(c.Timeout, DefaultForwardTimeout))
	}
	return f, nil
}

// forwardTransport speaks HTTP/1.1, so that connections can be upgraded, and asks
// no proxy: platforms admit listed addresses only.
func forwardTransport(timeout time.Duration) http.RoundTripper {
	dialer := &net.Dialer{Timeout: forwardDial, KeepAlive: 15 * time.Second}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    forwardDial,
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        forwardIdleFor,
		MaxIdleConns:           forwardIdleConns * 4,
		MaxIdleConnsPerHost:    forwardIdleConns,
		MaxResponseHeaderBytes: forwardHeader,
		DisableCompression:     true,
		Protocols:              &protocols,
	}
}
