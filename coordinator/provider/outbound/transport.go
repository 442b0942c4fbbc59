package outbound

import (
	"net"
	"net/http"
	"time"
)

// The bounds of NewTransport. The deadline of a call is shorter as a rule; these
// hold where somebody set a very long one.
const (
	dialTimeout    = 5 * time.Second
	headerTimeout  = time.Minute
	idleTimeout    = 30 * time.Second
	maxIdle        = 32
	maxIdlePerHost = 8
	maxHeader      = 64 << 10
)

// NewTransport returns the transport that providers use where none is given to
// them. It speaks HTTP/1.1, keeps few idle connections and those for a short time,
// and asks for no compression. It uses no proxy: HTTPS_PROXY and its like are not
// looked at, because platforms admit listed addresses only and a proxy met by chance
// has another one. To go through a proxy, set its Proxy field.
//
// When a kept connection turns out to be dead, net/http repeats a request by itself:
// a POST only where nothing of it was written, a GET also after it may have been
// delivered, unless its body is OnceOnly.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
		Protocols:              &protocols,
	}
}
