package client

import (
	"context"
	"net/http"
	"time"
)

// RefreshBody asks for a newer version.
type RefreshBody struct {
	// AfterVersion is the version to have a newer one than; 0: the one the node holds.
	AfterVersion int64 `json:"after_version,omitempty"`
	// Force asks the platform for a new value even if it thinks the old one good.
	Force bool `json:"force,omitempty"`
	// Wait is how long to wait for the new version, at most a minute; zero: not at all.
	Wait Duration `json:"wait,omitzero"`
}

// RefreshAnswer says what became of a request for a newer version.
type RefreshAnswer struct {
	State
	After int64 `json:"after"` // the version to ask any node for: ?after=
	// Problem is why there is no newer version, where several tokens are asked
	// for at once; nil: it is there, or on its way.
	Problem *Problem `json:"problem,omitempty"`
}

// Done reports whether the newer version is there.
func (r RefreshAnswer) Done() bool { return r.Version > r.After }

// AppRefreshBody asks for newer versions of all tokens of an app.
type AppRefreshBody struct {
	Force bool     `json:"force,omitempty"`
	Wait  Duration `json:"wait,omitzero"`
}

// AppRefreshAnswer says what became of it, token by token.
type AppRefreshAnswer struct {
	Tokens []RefreshAnswer `json:"tokens"`
}

// ReportBody says which value the platform refused: by its version or by its
// fingerprint, not both.
type ReportBody struct {
	Version     int64  `json:"version,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Code        string `json:"code,omitempty"` // the platform's own, e.g. "40001"
}

// The verdicts of a report.
const (
	VerdictReplaced   = "replaced"   // a newer version exists already
	VerdictRefreshing = "refreshing" // a newer version is on its way
	VerdictAlive      = "alive"      // the platform accepts it: nothing was done
	VerdictThrottled  = "throttled"  // no refresh may be spent on it now
	VerdictFailed     = "failed"     // the refresh failed; the reason says why
)

// ReportAnswer is the verdict on a report.
type ReportAnswer struct {
	App     string `json:"app"`
	Token   string `json:"token"`
	Verdict string `json:"verdict"`
	After   int64  `json:"after"`   // the version to ask any node for: ?after=
	Version int64  `json:"version"` // held now
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
}

// Refresh asks for a newer version of a token.
func (c *Client) Refresh(ctx context.Context, name string, body RefreshBody) (RefreshAnswer, error) {
	var answer RefreshAnswer
	path, err := tokenPath(name)
	if err != nil {
		return answer, err
	}
	cl := call{method: http.MethodPost, path: path + "/refresh", body: body, wait: time.Duration(body.Wait)}
	cl.once = body.AfterVersion == 0 // without it, a second request asks for a second version
	err = c.do(ctx, cl, &answer)
	return answer, err
}

// RefreshApp asks for newer versions of all tokens of an app.
func (c *Client) RefreshApp(ctx context.Context, app string, body AppRefreshBody) (AppRefreshAnswer, error) {
	var answer AppRefreshAnswer
	cl := call{method: http.MethodPost, path: appPath(app, "/refresh"), body: body, wait: time.Duration(body.Wait), once: true}
	err := c.do(ctx, cl, &answer)
	return answer, err
}

// Report tells the cluster that the platform refused a value.
func (c *Client) Report(ctx context.Context, name string, body ReportBody) (ReportAnswer, error) {
	var answer ReportAnswer
	path, err := tokenPath(name)
	if err != nil {
		return answer, err
	}
	err = c.do(ctx, call{method: http.MethodPost, path: path + "/report", body: body}, &answer)
	return answer, err
}
