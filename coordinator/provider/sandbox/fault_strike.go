package sandbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"
)

var errCleared = errors.New("fault cleared")

// lost is what the oracle notes of an answer that never came whole.
func lost() answer { return answer{failed: true} }

// run takes one call through the fault. end is called exactly once.
func (hit *strike) run(w http.ResponseWriter, r *http.Request, c call, end func(answer)) {
	if hit.When == After {
		acted := c.act()
		if hit.wait(r.Context()) != nil {
			end(lost())
			return
		}
		hit.inflict(w, r, acted, end)
		return
	}
	due := time.Now().Add(hit.Delay)
	switch gone := hit.wait(r.Context()) != nil; {
	case gone && hit.Late:
		// A timer, not a goroutine: the handler may return, as its caller has.
		time.AfterFunc(time.Until(due), func() { end(c.act()) })
	case gone:
		end(lost())
	case hit.Do == Delay:
		hit.inflict(w, r, c.act(), end)
	default:
		hit.inflict(w, r, answer{status: http.StatusOK, body: []byte(`{"access_token":"`)}, end)
	}
}

// wait lets the delay pass. It returns an error only when the caller has gone.
func (hit *strike) wait(ctx context.Context) error {
	if hit.Delay == 0 {
		return nil
	}
	timer := time.NewTimer(hit.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-hit.cleared:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// inflict does what the fault says instead of, or to, the platform's answer.
func (hit *strike) inflict(w http.ResponseWriter, r *http.Request, acted answer, end func(answer)) {
	switch hit.Do {
	case Delay:
		end(acted)
		acted.write(w, r)
	case Hang:
		err := hit.hang(r.Context())
		end(lost())
		if errors.Is(err, errCleared) {
			abort(w)
		}
	case Reset:
		end(lost())
		abort(w)
	case Truncate:
		end(lost())
		acted = acted.encoded(r)
		acted.writeHead(w, max(len(acted.body), 2))
		_, _ = w.Write(acted.body[:len(acted.body)/2]) // half an answer is the aim
	case Huge:
		end(lost())
		acted.writeHead(w, -1)
		_, _ = io.Copy(w, io.LimitReader(&nonsense{}, cmp.Or(hit.Bytes, 64<<20)))
	default:
		a := hit.answer()
		end(a)
		a.write(w, r)
	}
}

func (hit *strike) hang(ctx context.Context) error {
	select {
	case <-hit.cleared:
		return errCleared
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answer returns the whole answer of a Status, HTML, Errcode or Refuse fault.
func (hit *strike) answer() answer {
	if hit.Do == Errcode {
		return wechatError{code: hit.Errcode, text: hit.Errmsg}.answer()
	}
	if hit.Do == Refuse {
		return oauthError{code: hit.Error, text: hit.Errmsg, status: hit.Status, header: hit.Header}.answer()
	}
	status, kind, body := cmp.Or(hit.Status, http.StatusServiceUnavailable), "text/plain; charset=utf-8", hit.Body
	if hit.Do == HTML {
		status, kind = cmp.Or(hit.Status, http.StatusBadGateway), "text/html"
		title := fmt.Sprintf("%d %s", status, http.StatusText(status))
		body = cmp.Or(hit.Body, strings.ReplaceAll(gatewayPage, "TITLE", title))
	}
	header := map[string]string{"Content-Type": kind}
	maps.Copy(header, hit.Header)
	return answer{status: status, header: header, body: []byte(body), failed: true}
}

const gatewayPage = "<html>\r\n<head><title>TITLE</title></head>\r\n<body>\r\n" +
	"<center><h1>TITLE</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

// abort resets the connection in the middle of the headers, so that the caller's
// transport fails and cannot take the connection for one that was closed while
// idle, which net/http would answer by repeating the call. Without a connection to reset it panics as net/http wants.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // close then sends RST, not FIN
	}
}

// nonsense is an endless token value.
type nonsense struct{ begun bool }

func (n *nonsense) Read(p []byte) (int, error) {
	if !n.begun {
		n.begun = true
		return copy(p, `{"access_token":"`), nil
	}
	filled := copy(p, "a")
	for filled < len(p) {
		filled += copy(p[filled:], p[:filled])
	}
	return filled, nil
}
