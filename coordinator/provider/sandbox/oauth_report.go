package sandbox

import (
	"cmp"
	"slices"
	"time"
)

// OAuthReport is what became of one OAuth client's tokens. Its calls are in
// AppReport.Calls and AppReport.Minting.
type OAuthReport struct {
	Issued  int            `json:"issued"`  // access tokens
	Live    []AccessReport `json:"live"`    // access tokens that work now, oldest first; all others issued are dead
	Grants  []GrantReport  `json:"grants"`  // oldest first
	Reused  int            `json:"reused"`  // times a replaced refresh token was presented again, whatever the answer
	Revoked int            `json:"revoked"` // grants that ended, by reuse or by Revoke
	// RefreshTokens counts those issued, the first of each grant included.
	RefreshTokens int `json:"refresh_tokens"`
}

// AccessReport is one access token that works now.
type AccessReport struct {
	Digest           string  `json:"digest"` // as in TokenReport
	Value            string  `json:"-"`
	Subject          string  `json:"subject"`
	Scope            string  `json:"scope,omitempty"`
	AgeSeconds       float64 `json:"age_seconds"`
	RemainingSeconds float64 `json:"remaining_seconds"` // in the caller's time
}

// GrantReport is one grant: a subject's consent and the refresh tokens that came of it.
type GrantReport struct {
	Subject     string `json:"subject"`
	Generations int    `json:"generations"` // refresh tokens issued
	Current     string `json:"current"`     // digest of the newest
	Reused      int    `json:"reused"`
	Revoked     bool   `json:"revoked"`
}

// report returns the reports of all clients, by client_id.
func (p *oauth) report() map[string]OAuthReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	reports := make(map[string]OAuthReport, len(p.clients))
	for id, acc := range p.clients {
		r := OAuthReport{
			Issued: acc.counts.access, RefreshTokens: acc.counts.refresh,
			Reused: acc.counts.reused, Revoked: acc.counts.revoked,
		}
		for _, f := range acc.families {
			r.Grants = append(r.Grants, GrantReport{
				Subject: f.subject, Generations: f.issued, Current: digest(f.newest.text),
				Reused: f.reused, Revoked: f.revoked,
			})
		}
		reports[id] = r
	}
	for _, t := range p.access {
		if t.alive(now) {
			r := reports[t.client]
			r.Live = append(r.Live, AccessReport{
				Digest: digest(t.text), Value: t.text, Subject: t.subject, Scope: t.scope,
				AgeSeconds: now.Sub(t.born).Seconds(), RemainingSeconds: t.dies.Sub(now).Seconds(),
			})
			reports[t.client] = r
		}
	}
	for _, r := range reports {
		slices.SortFunc(r.Live, func(a, b AccessReport) int { return cmp.Compare(b.AgeSeconds, a.AgeSeconds) })
	}
	return reports
}
