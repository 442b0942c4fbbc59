package httpapi

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// progress gives a forwarded call up in which nothing moves any more. It takes the
// place of the server's time limits, which a stream would outlive.
type progress struct {
	idle    time.Duration
	control *http.ResponseController
	stop    context.CancelCauseFunc
	timer   *time.Timer

	mu    sync.Mutex
	ended bool
}

// newProgress begins to watch a call. When nothing has moved for so long its
// context is ended, and who waits for the client to read or write is woken.
func newProgress(w http.ResponseWriter, idle time.Duration, stop context.CancelCauseFunc) *progress {
	p := &progress{idle: idle, control: http.NewResponseController(w), stop: stop}
	p.deadline(time.Time{})
	p.timer = time.AfterFunc(idle, p.giveUp)
	return p
}

// touch says that something has moved.
func (p *progress) touch() { p.timer.Reset(p.idle) }

func (p *progress) giveUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.stop(errStalled)
	p.deadline(time.Unix(1, 0))
}

// end stops watching. What is left to write, and to read of the body, has a limit again.
func (p *progress) end() {
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.deadline(time.Now().Add(slowest))
}

// deadline sets that of the client's connection, if it can have one.
func (p *progress) deadline(at time.Time) {
	_ = p.control.SetReadDeadline(at)
	_ = p.control.SetWriteDeadline(at)
}

// watch returns the body of an answer, whose every move counts. That of an
// upgraded connection stays one that is written to.
func (p *progress) watch(answer *http.Response) io.ReadCloser {
	if conn, upgraded := answer.Body.(io.ReadWriteCloser); upgraded {
		return &movingConn{moving: moving{ReadCloser: conn, progress: p}, writer: conn}
	}
	return &moving{ReadCloser: answer.Body, progress: p}
}

type moving struct {
	io.ReadCloser

	progress *progress
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.progress.touch()
	return n, err
}

type movingConn struct {
	moving

	writer io.Writer
}

func (m *movingConn) Write(p []byte) (int, error) {
	n, err := m.writer.Write(p)
	m.progress.touch()
	return n, err
}
