package wechat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"freshet/coordinator"
)

// request is one of the platform's calls.
type request struct {
	kind  callKind
	force bool
	path  string
	query url.Values // may hold secrets
	body  []byte     // JSON, may hold secrets; nil: the call is a GET
	field string     // where the answer's value stands; empty: none is granted
	hide  []string   // what no error may hold
}

// forceQuotaHold is how long to wait after the day's forced calls are used up.
const forceQuotaHold = 10 * time.Minute

// ask sends r once to base and understands the answer. An answer with an errcode
// is returned with its error. The error is an *UpstreamError.
func (p *Provider) ask(ctx context.Context, base url.URL, r request) (answer, error) {
	began := time.Now()
	a, err := p.exchange(ctx, base, r)
	if err == nil && a.code != 0 {
		err = p.refusal(a, r)
	}
	code := "0"
	if up, ok := errors.AsType[*coordinator.UpstreamError](err); ok {
		code = up.Code
	}
	p.logger.LogAttrs(ctx, slog.LevelDebug, "upstream called", slog.String("host", base.Host),
		slog.String("path", r.path), slog.String("code", code), slog.Duration("elapsed", time.Since(began)))
	return a, err
}

// exchange sends r and reads the answer. The transport is used without an
// http.Client, which would follow redirects and put URLs into its errors.
func (p *Provider) exchange(ctx context.Context, base url.URL, r request) (answer, error) {
	var d delivery
	req, err := p.build(httptrace.WithClientTrace(ctx, d.trace()), base, r)
	if err != nil {
		return answer{}, &coordinator.UpstreamError{
			Class: config, Code: "bad_request", Reason: "bad_request", Message: ourBug,
		}
	}
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return answer{}, d.fault(ctx, err, r.hide)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return answer{}, badStatus(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if len(body) > maxBody {
		return answer{}, senseless(bad("too_large", "the answer is longer than %d bytes", maxBody))
	}
	if err != nil {
		return answer{}, cutShort(ctx, err)
	}
	a, err := decode(body)
	if err != nil {
		return answer{}, senseless(err)
	}
	return a, nil
}

func (p *Provider) build(ctx context.Context, base url.URL, r request) (*http.Request, error) {
	base.Path, base.RawQuery = r.path, r.query.Encode()
	method, body := http.MethodPost, io.Reader(bytes.NewReader(r.body))
	if r.body == nil {
		method, body = http.MethodGet, onceOnly{}
	}
	req, err := http.NewRequestWithContext(ctx, method, base.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", p.userAgent)
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// onceOnly is the empty body of a GET. net/http sends a GET again, without
// telling, when a kept connection breaks after the request was written; but not
// one whose body it cannot get a second time. Nothing of it goes over the wire.
type onceOnly struct{}

func (onceOnly) Read([]byte) (int, error) { return 0, io.EOF }

// refusal makes the error of an errcode.
func (p *Provider) refusal(a answer, r request) error {
	rule := p.rules.of(a.code, r.kind)
	message := rule.advice
	if said := clean(a.message, append(a.values(), r.hide...)...); said != "" {
		message += "; WeChat says: " + said
	}
	err := &coordinator.UpstreamError{
		Class: rule.class, Code: fmt.Sprint(a.code), Reason: rule.reason, Message: message,
		RetryAfter: time.Duration(rule.hold), Egress: rule.traits&egress != 0,
	}
	if rule.class == deadToken {
		err.Token = AccessToken
	}
	if rule.hold == untilTomorrow {
		p.holdQuota(err, a, r)
	}
	return err
}

// holdQuota says how long a limit stays reached: to the end of the platform's day,
// but for two that share the code of the daily one.
func (p *Provider) holdQuota(err *coordinator.UpstreamError, a answer, r request) {
	switch {
	case strings.Contains(strings.ToLower(a.message), "minute"):
		err.RetryAfter = time.Minute
	case r.force: // normal calls are counted apart, and must not stop for this
		err.Reason, err.RetryAfter = "force_quota_exhausted", forceQuotaHold
	default:
		err.RetryAfter = p.untilMidnight(time.Now())
	}
}

// senseless makes the error of a *badAnswer: the platform may have acted.
func senseless(err error) error {
	code := "not_json"
	if b, ok := errors.AsType[*badAnswer](err); ok {
		code = b.code
	}
	return &coordinator.UpstreamError{
		Class: retry, Code: code, Reason: "bad_answer", Message: err.Error(), Ambiguous: true,
	}
}
