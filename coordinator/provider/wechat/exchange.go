package wechat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
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

// exchange sends r and reads the answer.
func (p *Provider) exchange(ctx context.Context, base url.URL, r request) (answer, error) {
	req, err := p.build(ctx, base, r)
	if err != nil {
		return answer{}, &coordinator.UpstreamError{
			Class: config, Code: "bad_request", Reason: "bad_request", Message: ourBug,
		}
	}
	resp, err := outbound.Send(p.transport, req, r.hide...)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return answer{}, badStatus(resp)
	}
	body, err := outbound.Read(ctx, resp, maxBody)
	if err != nil {
		return answer{}, err
	}
	a, err := decode(body)
	if err != nil {
		return answer{}, outbound.Senseless(err)
	}
	return a, nil
}

// badStatus makes the error of an answer that is not 200: the platform itself
// says 200 always, so this comes from something before it.
func badStatus(resp *http.Response) error {
	return &coordinator.UpstreamError{
		Class: retry, Code: outbound.CodeHTTP + strconv.Itoa(resp.StatusCode), Reason: "bad_status", Ambiguous: true,
		Message:    fmt.Sprintf("the answer has HTTP status %d, where the platform sends 200 only", resp.StatusCode),
		RetryAfter: outbound.RetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

func (p *Provider) build(ctx context.Context, base url.URL, r request) (*http.Request, error) {
	base.Path, base.RawQuery = r.path, r.query.Encode()
	method, body := http.MethodPost, io.Reader(bytes.NewReader(r.body))
	if r.body == nil {
		method, body = http.MethodGet, outbound.OnceOnly{}
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
