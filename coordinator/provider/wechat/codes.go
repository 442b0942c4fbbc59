package wechat

import (
	"time"

	"freshet/coordinator"
)

// callKind is a kind of call, for which error codes have a meaning of their own.
type callKind uint8

const (
	onToken  callKind = 1 << iota // either line's token call
	onTicket                      // made with the access_token
	onProbe                       // made with the access_token
)

const (
	onUse = onTicket | onProbe // what is made with the access_token
	onAny = onToken | onUse
)

// hold says how long to leave the platform alone.
type hold time.Duration

// untilTomorrow holds until the platform's next day begins.
const untilTomorrow hold = -1

// rule is the meaning of one code in some kinds of call.
type rule struct {
	code   int64
	on     callKind
	class  coordinator.Class
	reason string
	advice string
	hold   hold
	traits trait
}

// trait is what else a code tells.
type trait uint8

const (
	egress   trait = 1 << iota // the address is refused, not the app
	accepted                   // the access_token of the call was accepted, or this could not be said
)

// Short names, for the table alone.
const (
	retry       = coordinator.ClassRetry
	deadToken   = coordinator.ClassDeadToken
	config      = coordinator.ClassConfig
	quota       = coordinator.ClassQuota
	reauthorize = coordinator.ClassReauthorize
	caller      = coordinator.ClassCaller

	adminHold = hold(10 * time.Minute)

	ourBug   = "this is a bug of freshet: report it"
	askAdmin = "the account's administrator must answer the confirmation WeChat has sent"
	listIP   = "add this node's egress address to the IP whitelist of the account"
	barredIP = "the administrator refused this address: wait, then have it confirmed or whitelisted"
)

// table returns the codes known to bear on the life of tokens. In a ticket call
// we are the business caller ourselves: what would be the caller's mistake
// elsewhere (a missing permission, a malformed call) is our configuration or our
// bug here. Codes that only calls about users give are the caller's everywhere,
// 42007 with them: it voids one user's tokens and never the app's.
func table() []rule {
	return []rule{
		{-1, onAny, retry, "system_busy", "the platform is busy", 0, 0},
		{40001, onToken, config, "invalid_secret", "check the appid's secret; it may have been reset", 0, 0},
		{40001, onUse, deadToken, "dead_token", "the access_token is invalid or no longer the latest", 0, 0},
		{40002, onAny, config, "bad_request", ourBug, 0, 0},
		{40013, onAny, config, "invalid_appid", "check the appid", 0, 0},
		{40014, onUse, deadToken, "dead_token", "the access_token is invalid", 0, 0},
		{40029, onAny, caller, "invalid_code", "a user's code is invalid", 0, 0},
		{40030, onAny, reauthorize, "invalid_refresh_token", "a user's refresh token is invalid", 0, 0},
		{40090, onAny, config, "address_refused", listIP, 0, egress},
		{40125, onAny, config, "invalid_secret", "check the appid's secret; it may have been reset", 0, 0},
		{40163, onAny, caller, "code_used", "a user's code was used already", 0, 0},
		{40164, onAny, config, "address_not_listed", listIP, 0, egress},
		{40226, onAny, config, "account_at_risk", "the platform blocks calls of this account: see its console", 0, 0},
		{40243, onAny, config, "secret_frozen", "the secret is frozen: thaw it in the console", 0, 0},
		{41001, onUse, config, "bad_request", ourBug, 0, 0},
		{41002, onAny, config, "bad_request", ourBug, 0, 0},
		{41003, onAny, caller, "missing_refresh_token", "a refresh token is missing", 0, 0},
		{41004, onAny, config, "bad_request", ourBug, 0, 0},
		{42001, onUse, deadToken, "dead_token", "the access_token has expired", 0, 0},
		{42002, onAny, reauthorize, "refresh_token_expired", "a user's refresh token has expired", 0, 0},
		{42003, onAny, reauthorize, "code_expired", "a user's code has expired", 0, 0},
		{42007, onAny, caller, "user_password_changed", "a user must authorise again; no token of the app is concerned", 0, 0},
		{43001, onAny, config, "bad_request", ourBug, 0, 0},
		{43002, onAny, config, "bad_request", ourBug, 0, 0},
		{43003, onAny, config, "https_required", "the upstream must be an https URL", 0, 0},
		{44002, onAny, config, "bad_request", ourBug, 0, 0},
		{45009, onAny, quota, "quota_exhausted", "the platform's daily limit of this call is reached", untilTomorrow, accepted},
		{45011, onAny, quota, "too_frequent", "calls come too fast for the platform", hold(time.Minute), accepted},
		{47001, onAny, config, "bad_request", ourBug, 0, 0},
		{48001, onAny, config, "not_granted", "the account has no right to this call: see its console", 0, accepted},
		{48004, onAny, config, "call_banned", "the platform has banned this call for the account: see its console", 0, accepted},
		{48006, onAny, quota, "resets_exhausted", "the month's resets of quotas are used up", untilTomorrow, accepted},
		{50001, onUse, caller, "user_not_granted", "the user has not granted this call", 0, accepted},
		{50002, onUse, caller, "user_restricted", "the user is restricted", 0, accepted},
		{50004, onAny, config, "call_forbidden", "the account may not call this: see its console", 0, 0},
		{50007, onAny, config, "account_frozen", "the account is frozen: see its console", 0, 0},
		{61004, onAny, config, "address_not_listed", listIP, 0, egress},
		{61024, onAny, config, "wrong_provider", "the appid is a component's: use provider wechat-component", 0, 0},
		{76021, onProbe, config, "bad_request", ourBug, 0, accepted},
		{76022, onProbe, config, "bad_request", ourBug, 0, accepted},
		{89501, onAny, retry, "awaiting_admin", askAdmin, adminHold, 0},
		{89502, onAny, retry, "awaiting_admin", askAdmin, adminHold, 0},
		{89503, onAny, retry, "awaiting_admin", askAdmin, adminHold, egress},
		{89504, onAny, retry, "awaiting_admin", askAdmin, adminHold, 0},
		{89505, onAny, retry, "awaiting_admin", askAdmin, adminHold, 0},
		{89506, onAny, config, "address_barred", barredIP, hold(24 * time.Hour), egress},
		{89507, onAny, config, "address_barred", barredIP, hold(time.Hour), egress},
	}
}

// meaning is where a rulebook keeps a rule.
type meaning struct {
	code int64
	on   callKind // one kind
}

// rulebook is the table by code and kind of call.
type rulebook map[meaning]rule

func newRulebook() rulebook {
	book := make(rulebook)
	for _, r := range table() {
		for _, kind := range []callKind{onToken, onTicket, onProbe} {
			if r.on&kind != 0 {
				book[meaning{r.code, kind}] = r
			}
		}
	}
	return book
}

// of returns the rule of a code. One that is not known is passing: with a wait
// that grows nothing is lost, and the code stands in the error.
func (b rulebook) of(code int64, kind callKind) rule {
	if r, known := b[meaning{code, kind}]; known {
		return r
	}
	return rule{code: code, on: kind, class: retry, reason: "unknown_error", advice: "freshet does not know this code"}
}
