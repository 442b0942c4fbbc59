package coordinator_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

// refuse has the platform refuse the calls that a node makes for an app.
func (c *cluster) refuse(m *member, app string, code int) {
	c.Helper()
	m.transport.refuse(app, code)
}

// The platform refuses the refresher's address for an app: another node takes
// over and fetches at once; the refused one does not ask again.
func TestRefusedAddressHandsOver(t *testing.T) {
	for _, code := range []int{40164, 89503} {
		bubble(t, 2, func(c *cluster) {
			leader, others := c.refresher()
			c.refuse(leader, appid, code)
			began := time.Now()
			c.apply(c.nodes[0], shop("plain"))
			time.Sleep(time.Minute)
			v := c.value(others[0], accessToken, 0)
			if now, _ := c.refresher(); now != others[0] || v.Token.Issued.Sub(began) > 30*time.Second {
				c.Errorf("%s leads, value after %v", now.Name(), v.Token.Issued.Sub(began))
			}
			time.Sleep(10 * time.Hour)
			if got := leader.transport.refused.Load(); got != 1 {
				c.Errorf("the refused address asked %d times", got)
			}
		})
	}
}

// Two nodes are refused for different apps: leadership stays where it is, and
// whoever looks is told which address to list.
func TestBarsOfDifferentAppsDoNotFlap(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		leader, others := c.refresher()
		c.refuse(leader, appid, 40164)
		c.refuse(others[0], branchID(0), 40164)
		c.apply(c.nodes[0], shop("plain"))
		branch := shop("plain")
		branch.Name = "branch"
		branch.Credentials["appid"] = coordinator.NewSecret(branchID(0))
		c.apply(c.nodes[0], branch)
		time.Sleep(5 * time.Minute)
		epoch := leader.Status().Epoch
		changes := 0
		for range 60 {
			time.Sleep(10 * time.Minute)
			if now := leader.Status().Epoch; now != epoch {
				epoch = now
				changes++
			}
		}
		c.between("changes of leadership in ten hours", changes, 0, 20)
		c.between("refused calls", int(leader.transport.refused.Load()+others[0].transport.refused.Load()), 2, 50)
	})
}

// Where every candidate is refused, the one that leads goes on trying slowly, and
// whoever looks is told which addresses must be listed. A lifted bar is tried.
func TestNobodyMayAsk(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		for _, m := range c.nodes {
			c.refuse(m, appid, 40164)
		}
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(10 * time.Minute)
		c.told(c.nodes[0], coordinator.StatusBlocked, "whitelist", "n1", "n2")
		if got := c.nodes[1].Bars(); len(got) != 2 {
			c.Errorf("bars %+v", got)
		}
		for _, m := range c.nodes {
			m.transport.refuse("", 0)
		}
		lifted, err := c.nodes[1].LiftBars(c.Context(), "api:test", "shop", "")
		if err != nil || lifted != 2 {
			c.Errorf("lifted %d, %v", lifted, err)
		}
		time.Sleep(time.Second)
		if _, err := c.nodes[0].Read(c.Context(), accessToken, coordinator.Want{}); err != nil {
			c.Errorf("after the bars were lifted: %v", err)
		}
	})
}

// A new life of an app, and its end, take its bars along.
func TestNewCredentialsLiftBars(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		c.refuse(c.nodes[0], appid, 89506)
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		if got := c.nodes[0].Bars(); len(got) != 1 || time.Until(got[0].Until) < 23*time.Hour {
			c.Errorf("bars %+v", got)
		}
		app := shop("plain")
		app.Credentials["appid"] = coordinator.NewSecret(branchID(0))
		c.apply(c.nodes[0], app)
		c.value(c.nodes[0], accessToken, 0)
		if got := c.nodes[0].Bars(); len(got) != 0 || c.calls(sandbox.KindToken) > 1 {
			c.Errorf("bars %+v", got)
		}
	})
}

// egress is a way to the platform that the platform may refuse.
type egress struct {
	inner   http.RoundTripper
	refused atomic.Int64

	mu   sync.Mutex
	app  string
	code int
}

// refuse has the platform refuse the calls of an appid; of none for "".
func (e *egress) refuse(app string, code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.app, e.code = app, code
}

// RoundTrip answers as the platform does to an address it refuses.
func (e *egress) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	app, code := e.app, e.code
	e.mu.Unlock()
	if app == "" || r.URL.Query().Get("appid") != app {
		return e.inner.RoundTrip(r)
	}
	e.refused.Add(1)
	body := fmt.Sprintf(`{"errcode":%d,"errmsg":"invalid ip 192.0.2.7, not in whitelist"}`, code)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}
