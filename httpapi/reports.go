package httpapi

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"freshet/coordinator"
)

// Reports of one token by one client.
const (
	reportEvery = time.Second // on average
	reportBurst = 10
	remembered  = 30 * time.Second // a report counts as just made
	mostReports = 4096             // clients and tokens remembered
)

// reports remembers who reported what not long ago. It is bounded: forgetting
// costs a client its wait, and nothing else.
type reports struct {
	born   time.Time
	newest atomic.Int64 // nanoseconds since born, 0: no report yet; lets the reads of a quiet node pass without a lock
	made   *recent[reporter, madeReport]
	limits *recent[reporter, *rate.Limiter]
}

// reporter is a client and the token it reports.
type reporter struct {
	client string
	name   coordinator.Name
}

type madeReport struct {
	after   int64               // the version reported
	verdict coordinator.Verdict // known when it was made
	at      time.Time
}

func newReports() *reports {
	return &reports{
		born:   time.Now(),
		made:   newRecent[reporter, madeReport](mostReports),
		limits: newRecent[reporter, *rate.Limiter](mostReports),
	}
}

// allow reports whether a client may report a token now.
func (r *reports) allow(client string, name coordinator.Name) bool {
	limiter := r.limits.getOr(reporter{client, name}, func() *rate.Limiter {
		return rate.NewLimiter(rate.Every(reportEvery), reportBurst)
	})
	return limiter.Allow()
}

// remember keeps a report that a refresh is under way for.
func (r *reports) remember(client string, name coordinator.Name, report coordinator.Report) {
	if report.Answer != coordinator.AnswerRefreshing {
		return
	}
	kept := madeReport{after: report.After, at: time.Now()}
	if report.View != nil {
		kept.verdict = report.View.State.Verdict
	}
	r.made.put(reporter{client, name}, kept)
	r.newest.Store(max(1, int64(time.Since(r.born))))
}

// awaitsNewer reports whether the client has just reported the value that v
// holds, and a refresh for it is under way as far as v tells.
func (r *reports) awaitsNewer(client string, v *coordinator.View) bool {
	newest := r.newest.Load()
	if newest == 0 || time.Since(r.born)-time.Duration(newest) > remembered {
		return false
	}
	made, ok := r.made.get(reporter{client, v.Name})
	if !ok || v.Version() > made.after || time.Since(made.at) > remembered {
		return false
	}
	return !made.answered(v.State.Verdict)
}

// answered reports whether a verdict came since, and it is not that a newer
// version is on its way.
func (m madeReport) answered(verdict coordinator.Verdict) bool {
	same := verdict.Version == m.verdict.Version && verdict.Answer == m.verdict.Answer && verdict.At.Equal(m.verdict.At)
	return !same && verdict.Answer != coordinator.AnswerRefreshing
}
