package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"freshet/coordinator"
)

// eventWriter writes events, each within a time: a reader that does not take
// what it is sent holds up nobody, and is cut off.
type eventWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	until   time.Time // the write under way has time; zero: for ever
}

func newEventWriter(to http.ResponseWriter, limit time.Duration) *eventWriter {
	return &eventWriter{to: to, control: http.NewResponseController(to), limit: limit}
}

// begin sends the first line.
func (w *eventWriter) begin(retry time.Duration) error {
	if err := w.write([]byte("retry: " + strconv.FormatInt(retry.Milliseconds(), 10) + "\n\n")); err != nil {
		return err
	}
	return w.flush()
}

// comment sends a line that readers skip.
func (w *eventWriter) comment(text string) error {
	if err := w.write([]byte(": " + text + "\n\n")); err != nil {
		return err
	}
	return w.flush()
}

// event writes an event whose data is a value's JSON.
func (w *eventWriter) event(id coordinator.Position, name string, data any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(data); err != nil {
		return err
	}
	return w.raw(id, name, func(to []byte) []byte { return append(to, bytes.TrimSuffix(body.Bytes(), []byte("\n"))...) })
}

// raw writes an event whose data is one line that appendData appends.
func (w *eventWriter) raw(id coordinator.Position, name string, appendData func([]byte) []byte) error {
	text := make([]byte, 0, 1024)
	text = append(text, "id: "+id.String()+"\nevent: "+name+"\ndata: "...)
	text = appendData(text)
	return w.write(append(text, "\n\n"...))
}

func (w *eventWriter) write(p []byte) error {
	if err := w.extend(); err != nil {
		return err
	}
	_, err := w.to.Write(p)
	return err
}

// flush sends what was written. Until more is written there is no time limit: over
// HTTP/2 it would end a stream that is at rest.
func (w *eventWriter) flush() error {
	if err := w.extend(); err != nil {
		return err
	}
	if err := w.control.Flush(); err != nil {
		return err
	}
	return w.deadline(time.Time{})
}

// extend gives the next write its time.
func (w *eventWriter) extend() error { return w.deadline(time.Now().Add(w.limit)) }

// late reports whether a write ended because its time was over. Of its error that
// cannot be told over HTTP/2, nor by the request's context, which any error ends.
func (w *eventWriter) late() bool { return !w.until.IsZero() && !time.Now().Before(w.until) }

func (w *eventWriter) deadline(at time.Time) error {
	w.until = at
	err := w.control.SetWriteDeadline(at)
	if errors.Is(err, http.ErrNotSupported) {
		return nil // a recorder of a test
	}
	return err
}
