package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"freshet/coordinator"
)

// RoundTrip makes the call, and makes it once more if its value turns out to be
// dead, another one can be had, and the body can be sent again. That is safe
// whatever the method: a platform that refuses the value has done nothing. After
// any other failure nothing is repeated.
func (f *carrying) RoundTrip(call *http.Request) (*http.Response, error) {
	if err := f.keep(call); err != nil {
		return nil, err
	}
	defer f.body.release()
	ctx := call.Context()
	answer, err := f.attempt(ctx, call)
	if err != nil {
		return nil, err
	}
	code, dead := f.refused(answer)
	if !dead {
		return answer, nil
	}
	next := f.heal(ctx, code)
	if next == nil || !f.body.again() {
		return answer, nil
	}
	_, _ = io.CopyN(io.Discard, answer.Body, coordinator.DeadBody) // so that the connection can be used again
	_ = answer.Body.Close()
	f.former, f.view, f.replayed = f.view, next, true
	return f.attempt(ctx, call)
}

// attempt makes the call with the value of the moment.
func (f *carrying) attempt(ctx context.Context, call *http.Request) (*http.Response, error) {
	call = call.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { f.sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { f.sent.Store(true) },
	}))
	value := f.view.Token.Value.Reveal()
	if place := f.injection.Place; place.Query != "" {
		call.URL.RawQuery = withParameter(call.URL.RawQuery, place.Query, value)
	} else {
		call.Header[place.Header] = []string{place.Prefix + value}
	}
	f.body.attach(call)
	answer, err := f.api.forwards.transport.RoundTrip(call)
	f.progress.touch()
	return answer, err
}

// heal reports that the value was refused and returns the next one; nil: there is
// none in time, or the value lives for all that is known. It waits also where the
// call cannot be made again, so that who asked and asks again meets the next one.
func (f *carrying) heal(ctx context.Context, code string) *coordinator.View {
	if next := f.newer(ctx, 0); next != nil {
		return next // another call met the dead value before this one did
	}
	select {
	case <-f.report(ctx, code):
	case <-ctx.Done():
	}
	return f.newer(ctx, 0)
}

// newer returns a later value that differs from the one that was used.
func (f *carrying) newer(ctx context.Context, wait time.Duration) *coordinator.View {
	next, err := f.api.node.Read(ctx, f.name, coordinator.Want{Above: f.view.Version(), Wait: wait})
	if err != nil || next.Token.Value.Equal(f.view.Token.Value) {
		return nil
	}
	return next
}

// report tells the cluster that the value was refused, and ends when the next one
// is there or is not to be had. However many calls of a client meet one dead value
// at the same time, it is reported once; the limit is that of the client's own reports.
func (f *carrying) report(ctx context.Context, code string) (ended <-chan singleflight.Result) {
	flight := f.client + " " + f.name.String() + " " + strconv.FormatInt(f.view.Version(), 10)
	return f.api.forwards.reports.DoChan(flight, func() (any, error) {
		// Whoever began it may go away: the others still wait.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.api.forwards.healWait)
		defer cancel()
		if f.api.reports.allow(f.client, f.name) && f.reportOnce(ctx, code) {
			f.newer(ctx, f.api.forwards.healWait)
		}
		return nil, nil
	})
}

// reportOnce reports whether the value is being replaced, or was.
func (f *carrying) reportOnce(ctx context.Context, code string) bool {
	version, code := f.view.Version(), plainCode(code)
	report, err := f.api.node.Report(ctx, f.name, coordinator.ReportCall{Version: version, Code: code})
	if err != nil {
		f.api.log.WarnContext(ctx, "refused value could not be reported", "token", f.name.String(), "version", version, "code", code, "err", err)
		return false
	}
	f.api.reports.remember(f.client, f.name, report)
	f.api.log.InfoContext(ctx, "refused value reported", "token", f.name.String(), "version", version, "code", code, "answer", string(report.Answer))
	return report.Answer == coordinator.AnswerReplaced || report.Answer == coordinator.AnswerRefreshing
}

// plainCode makes a platform's code fit for a report.
func plainCode(code string) string {
	code = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, code)
	return code[:min(len(code), maxCode)]
}
