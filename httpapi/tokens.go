package httpapi

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"freshet/coordinator"
)

func (a *API) tokenRoutes(r router) {
	get := a.authenticated(a.getToken, "min_ttl", "after", "wait")
	r.handle(http.MethodGet, "/v1/tokens/{app}", get)
	r.handle(http.MethodGet, "/v1/tokens/{app}/{token}", get)
	r.handle(http.MethodGet, "/v1/tokens", a.authenticated(a.getTokens, "names", "min_ttl"))
	r.handle(http.MethodPut, "/v1/tokens/{app}/{token}", a.json(a.pushToken))
	r.handle(http.MethodPost, "/v1/tokens/{app}/{token}/refresh", a.json(a.refreshToken))
	r.handle(http.MethodPost, "/v1/tokens/{app}/{token}/report", a.json(a.reportToken))
	r.handle(http.MethodPost, "/v1/apps/{app}/refresh", a.json(a.refreshApp))
}

// getToken answers the value of a token.
func (a *API) getToken(r request) error {
	name, err := r.tokenName()
	if err != nil {
		return err
	}
	if err := r.may(name, coordinator.VerbRead); err != nil {
		return err
	}
	want, err := a.want(r.query)
	if err != nil {
		return err
	}
	v, err := a.read(r, name, want)
	if err != nil {
		return err
	}
	a.writeToken(r, v)
	return nil
}

// want reads what value is asked for.
func (a *API) want(q query) (w coordinator.Want, err error) {
	if q == nil {
		return w, nil
	}
	if w.Above, err = q.version("after"); err != nil {
		return w, err
	}
	if w.MinTTL, err = q.duration("min_ttl"); err != nil {
		return w, err
	}
	w.Wait, err = q.duration("wait")
	w.Wait = min(w.Wait, a.maxWait)
	return w, err
}

// read reads a value. A client that has just reported the version that is held
// waits a moment for the next one: some programs ask again at once and for
// ever, and the same dead value would keep them turning.
func (a *API) read(r request, name coordinator.Name, want coordinator.Want) (*coordinator.View, error) {
	return a.readAs(r.ctx(), name, want, r.client.Name)
}

// readAs is read for whom any of the reporters stands.
func (a *API) readAs(ctx context.Context, name coordinator.Name, want coordinator.Want, reporters ...string) (*coordinator.View, error) {
	v, err := a.node.Read(ctx, name, want)
	if err != nil {
		return nil, a.orDraining(want.Wait, err)
	}
	awaits := func(reporter string) bool { return a.reports.awaitsNewer(reporter, v) }
	if want.Above > 0 || want.Wait > 0 || !slices.ContainsFunc(reporters, awaits) {
		return v, nil
	}
	newer := want
	newer.Above, newer.Wait = v.Version(), a.compat.Patience
	if next, err := a.node.Read(ctx, name, newer); err == nil {
		return next, nil
	}
	return a.node.Read(ctx, name, want) // a report is a claim, not a proof
}

// writeToken writes a value: JSON, or bare for a client that prefers plain
// text, or only that it has not changed.
func (a *API) writeToken(r request, v *coordinator.View) {
	now := time.Now()
	tag := entityTag(v, now)
	header := r.Writer.Header()
	header["Etag"] = []string{tag}
	header["Freshet-Version"] = []string{strconv.FormatInt(v.Version(), 10)}
	if matches(r.Request.Header["If-None-Match"], tag) {
		r.Status(http.StatusNotModified)
		r.Writer.WriteHeaderNow()
		return
	}
	if prefersText(r.Request.Header["Accept"]) {
		value := v.Token.Value.Reveal()
		header["Content-Type"] = []string{"text/plain; charset=utf-8"}
		header["Content-Length"] = []string{strconv.Itoa(len(value))}
		_, _ = io.WriteString(r.Writer, value)
		return
	}
	buffer, _ := a.buffers.Get().(*[]byte)
	*buffer = appendToken((*buffer)[:0], v, now, a.headers.node[0])
	header["Content-Type"] = []string{"application/json"}
	header["Content-Length"] = []string{strconv.Itoa(len(*buffer))}
	_, _ = r.Writer.Write(*buffer)
	a.buffers.Put(buffer)
}

// entityTag is W/"<version>-<state>", and behind that the end of a value whose end
// has moved: who holds the former one must be told. It is weak, for expires_in
// changes with the clock.
func entityTag(v *coordinator.View, now time.Time) string {
	tag := `W/"` + strconv.FormatInt(v.Version(), 10) + "-" + string(v.Status(now))
	if v.Token.Moved {
		tag += "-" + strconv.FormatInt(v.Token.Expires.Unix(), 10)
	}
	return tag + `"`
}
