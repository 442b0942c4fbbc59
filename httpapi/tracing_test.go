package httpapi

import (
	"testing"

	"freshet/tracing"
)

func TestTracesNameTheRouteAndNoPath(t *testing.T) {
	tracer, recorder := tracing.NewRecorder()
	a, err := New(Config{Node: newFake().root().hold(token("shop", 7, "v")), Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}
	get(t, a.Handler(), "/v1/tokens/shop/access_token?after=3")
	spans := recorder.Spans()
	if len(spans) != 1 || spans[0].Name != "GET /v1/tokens/{app}/{token}" {
		t.Errorf("spans %+v", spans)
	}
}
