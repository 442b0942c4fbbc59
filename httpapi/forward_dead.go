package httpapi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"freshet/coordinator"
)

// mostLooked bounds what is read of an encoded body to look at its beginning, in
// bytes: an encoder can hide nothing in much.
const mostLooked = 64 << 10

// refused reports whether an answer says that the value is dead, and the
// platform's code for it. The answer is left as it was.
func (f *carrying) refused(answer *http.Response) (code string, dead bool) {
	if f.injection.Dead == nil {
		return "", false
	}
	return f.injection.Dead(answer.StatusCode, answer.Header, beginning(answer))
}

// beginning returns the beginning of a body that could be a refusal: a short JSON
// object. Nothing else is waited for.
func beginning(answer *http.Response) []byte {
	if !telling(answer) {
		return nil
	}
	var seen bytes.Buffer
	raw := io.TeeReader(io.LimitReader(answer.Body, mostLooked), &seen)
	head := readObject(decoded(answer.Header.Get("Content-Encoding"), raw))
	answer.Body = &resumed{Reader: io.MultiReader(&seen, answer.Body), Closer: answer.Body}
	return head
}

// resumed is a body of which a part was read and put back.
type resumed struct {
	io.Reader
	io.Closer
}

// telling reports whether the body of an answer could be a refusal.
func telling(answer *http.Response) bool {
	if answer.StatusCode == http.StatusSwitchingProtocols || answer.Body == nil || answer.Body == http.NoBody ||
		answer.ContentLength > coordinator.DeadBody {
		return false
	}
	switch strings.ToLower(answer.Header.Get("Content-Encoding")) {
	case "", "identity", "gzip", "x-gzip", "deflate":
	default:
		return false
	}
	given := answer.Header.Get("Content-Type")
	if given == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(given)
	if err != nil {
		media, _, _ = strings.Cut(given, ";")
	}
	return strings.HasSuffix(media, "json") || strings.HasSuffix(media, "javascript") || media == "text/plain" || media == "text/html"
}

// decoded undoes a content coding. A reader of nothing is returned for a body
// that is not coded as it says.
func decoded(coding string, raw io.Reader) io.Reader {
	var plain io.Reader
	var err error
	switch strings.ToLower(coding) {
	case "gzip", "x-gzip":
		plain, err = gzip.NewReader(raw)
	case "deflate":
		plain, err = zlib.NewReader(raw)
	default:
		return raw
	}
	if err != nil {
		return strings.NewReader("")
	}
	return plain
}

// readObject reads a JSON object, at most coordinator.DeadBody bytes of it. It
// stops as soon as what it reads is none, or is whole: the sender of an answer in
// pieces may wait before the next.
func readObject(r io.Reader) []byte {
	head := make([]byte, 0, coordinator.DeadBody)
	for len(head) < cap(head) {
		n, err := r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if err != nil || n > 0 && settled(head) {
			break
		}
	}
	return head
}

// settled reports whether more text could not make a JSON object of this, or
// another one.
func settled(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 {
		return false
	}
	if text[0] != '{' {
		return true
	}
	var object json.RawMessage
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&object)
	return !errors.Is(err, io.ErrUnexpectedEOF)
}
