package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// answer is what a platform, or a fault in its place, has decided to say.
type answer struct {
	status  int
	header  map[string]string
	body    []byte
	code    int    // the platform's own error number; 0 for none
	refused string // the platform's own error word, where it has words; empty for none
	failed  bool   // the caller got no success
	gzip    bool   // may be compressed for a caller who accepts it
}

// jsonAnswer returns a success with v as its body. The odd content type is the
// one WeChat uses.
func jsonAnswer(v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{status: http.StatusInternalServerError, failed: true}
	}
	return answer{
		status: http.StatusOK,
		header: map[string]string{"Content-Type": "application/json; encoding=utf-8"},
		body:   body,
	}
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	a = a.encoded(r)
	a.writeHead(w, len(a.body))
	_, _ = w.Write(a.body) // the caller left; there is nobody to tell
}

// writeHead announces length bytes, which a fault may then fail to send. A
// negative length announces none.
func (a answer) writeHead(w http.ResponseWriter, length int) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if length >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(a.status)
}

// encoded compresses the body where platform and caller both agree to it.
func (a answer) encoded(r *http.Request) answer {
	if !a.gzip || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return a
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(a.body) // a bytes.Buffer takes everything
	_ = z.Close()
	header := map[string]string{"Content-Encoding": "gzip"}
	maps.Copy(header, a.header)
	a.header, a.body = header, packed.Bytes()
	return a
}
