package httpapi_test

import (
	"encoding/json"
	"testing"
	"time"

	"freshet/httpapi/client"
)

// A value that lives longer is waited for as a newer one is, and where it does
// not come the answer says why not.
func TestMinTTLWaitsForAValueThatLivesSoLong(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.apply("shop")
		v, _ := n.View(access("shop"))
		time.Sleep(time.Until(v.State.Due) - 10*time.Second)
		var got client.Token
		s.must(json.Unmarshal([]byte(n.body("/v1/tokens/shop?min_ttl=10m")), &got))
		if got.Version != 1 {
			s.Errorf("%v is not the value that lives for 10 minutes", got)
		}
		began := time.Now()
		s.must(json.Unmarshal([]byte(n.body("/v1/tokens/shop?min_ttl=1h30m&wait=30s")), &got))
		if took := time.Since(began); got.Version != 2 || took < 9*time.Second || took > 12*time.Second {
			s.Errorf("%v after %s, want version 2 when it is there", got, took)
		}
		for target, least := range map[string]time.Duration{
			"/v1/tokens/shop?min_ttl=3h":                  0,
			"/v1/tokens/shop?min_ttl=3h&wait=20s":         20 * time.Second,
			"/v1/tokens/shop?min_ttl=1h&after=2&wait=20s": 20 * time.Second,
		} {
			began = time.Now()
			var p client.Problem
			s.must(json.Unmarshal([]byte(n.body(target)), &p))
			if took := time.Since(began); p.Code != client.CodeNoNewerToken || p.State != "fresh" || took != least {
				s.Errorf("%s: %+v after %s, want %s", target, p, took, least)
			}
		}
	})
}
