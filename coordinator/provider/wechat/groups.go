package wechat

import (
	"time"

	"freshet/coordinator"
)

// What the platform promises and allows.
const (
	overlap        = 5 * time.Minute // a replaced value lives on, on both lines
	stableEarliest = 5 * time.Minute // a normal stable call makes a new value only so late
	forceEvery     = 30 * time.Second
	probeEvery     = 5 * time.Minute // our choice: a dead access_token is found before an ordinary client's patience ends

	stableBudget = 500_000
	forceBudget  = 20
	plainBudget  = 2000
	ticketBudget = 100 // our choice; the package comment says why
)

// Scopes of the budgets.
const (
	scopeStable = "stable_token"
	scopePlain  = "token"
	scopeTicket = "ticket" // both kinds are one call at the platform
)

// Groups returns a group for each token the app keeps, the access_token's first.
func (p *Provider) Groups(app coordinator.App) []coordinator.Group {
	var groups []coordinator.Group
	if _, kept := app.Tokens[AccessToken]; kept {
		groups = append(groups, p.accessTokenGroup(modeOf(app)))
	}
	for _, ticket := range []string{JSAPITicket, WxCardTicket} {
		if _, kept := app.Tokens[ticket]; kept {
			groups = append(groups, coordinator.Group{
				Name:   ticket,
				Tokens: []string{ticket},
				Needs:  []string{AccessToken},
				Budget: p.daily(ticketBudget, scopeTicket),
			})
		}
	}
	return groups
}

func (p *Provider) accessTokenGroup(m mode) coordinator.Group {
	g := coordinator.Group{Name: AccessToken, Tokens: []string{AccessToken}, Overlap: overlap, Probe: probeEvery}
	if m == modePlain {
		g.Exclusive = true
		g.Budget = p.daily(plainBudget, scopePlain)
		return g
	}
	g.Earliest = stableEarliest
	g.ForceEvery = forceEvery
	g.Budget = p.daily(stableBudget, scopeStable)
	g.ForceBudget = p.daily(forceBudget, scopeStable)
	return g
}

// daily is a limit of calls between two midnights in Beijing.
func (p *Provider) daily(calls int, scope string) coordinator.Limit {
	return coordinator.Limit{Calls: calls, Scope: scope, Zone: p.beijing}
}

// untilMidnight returns how long the platform's day still lasts.
func (p *Provider) untilMidnight(now time.Time) time.Duration {
	y, m, d := now.In(p.beijing).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, p.beijing).Sub(now)
}
