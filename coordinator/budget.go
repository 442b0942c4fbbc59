package coordinator

import (
	"time"

	"freshet/coordinator/schedule"
)

// reserveShare of a day's calls is kept for forced refreshes: a schedule gone
// wild must leave enough to replace a dead token.
const reserveShare = 0.1

// budgetOf returns what counts the calls of a group now, as known; a window
// that nobody has spent from yet is new.
func (r *records) budgetOf(app App, group Group, now time.Time) (Budget, bool) {
	if group.Budget.Calls == 0 && app.Refresh.Budget == 0 {
		return Budget{}, false
	}
	day, ends := schedule.Day(now, group.Budget.Zone)
	window := day + "." + firstOf(group.Budget.Scope, group.Name)
	budget, ok := r.budgets[budgetID{app.Name, window}]
	if !ok {
		budget = Budget{App: app.Name, Window: window, Ends: ends}
	}
	return budget, true
}

// spend returns the budget with one more call, and whether the limits allow it.
func spend(b Budget, app App, group Group, forced bool) (Budget, bool) {
	limit := firstOf(app.Refresh.Budget, group.Budget.Calls)
	if group.Budget.Calls > 0 {
		limit = min(limit, group.Budget.Calls)
	}
	b.Calls++
	if !forced {
		reserve := int(float64(limit) * reserveShare)
		return b, b.Calls-b.Forced <= limit-reserve && b.Calls <= limit
	}
	b.Forced++
	within := group.ForceBudget.Calls == 0 || b.Forced <= group.ForceBudget.Calls
	return b, within && b.Calls <= limit
}
