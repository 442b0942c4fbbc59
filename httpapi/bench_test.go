package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkRead reads a token of a real node through the whole handler, and
// beside it through a bare net/http handler that writes the same bytes under
// the same headers. Their ratio, from one run, is the price of router,
// authentication, permission and memory.
func BenchmarkRead(b *testing.B) {
	s := serve(b)
	s.ready(b, s.client(b, bootstrapKey))
	once := httptest.NewRecorder()
	s.handler.ServeHTTP(once, readRequest(b))
	if once.Code != http.StatusOK {
		b.Fatalf("status %d: %s", once.Code, once.Body)
	}
	b.Run("freshet", func(b *testing.B) { benchmarkHandler(b, s.handler) })
	b.Run("bare", func(b *testing.B) { benchmarkHandler(b, bareHandler(once)) })
}

func readRequest(b *testing.B) *http.Request {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v1/tokens/shop/access_token", nil)
	r.Header.Set("Authorization", "Bearer "+bootstrapKey)
	return r
}

func benchmarkHandler(b *testing.B, h http.Handler) {
	b.Helper()
	r, w := readRequest(b), nowhere{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

// bareHandler answers what was answered once.
func bareHandler(once *httptest.ResponseRecorder) http.Handler {
	header, body := once.Header(), once.Body.Bytes()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tokens/{app}/{token}", func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header().Set(name, values[0])
		}
		_, _ = w.Write(body)
	})
	return mux
}

// nowhere is a ResponseWriter that keeps headers and drops bodies.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}
