// Package wechat obtains tokens of WeChat official accounts and mini programs.
//
// # Tokens
//
// Every app keeps an access_token, from one of two lines which the platform
// keeps wholly apart: the stable line (option mode: stable, the default) and the
// plain one (mode: plain). A jsapi_ticket and a wx_card_ticket can be kept beside
// it; they are asked for with the access_token.
//
//	             stable                         plain                     ticket
//	call         POST /cgi-bin/stable_token     GET /cgi-bin/token        GET /cgi-bin/ticket/getticket
//	new value    in the last 5 minutes of the   with every call; the old  may be the same one again
//	             old one, or when forced        one lives 5 minutes more
//	repeatable   yes, unless forced             no: it mints again        yes
//	budget       500000 a day, 20 forced        2000 a day                100 a day, both kinds together
//
// Days are counted from midnight in Beijing. The platform says that tickets are
// "very limited" and publishes no number. A ticket of two hours, refreshed in its
// last third, needs 18 calls a day; 100 leave both kinds room for reports and
// fail-overs, and stay below 200, the least the platform gives any kind of call
// of these (the plain token of a test account).
//
// # One call
//
// A Fetch sends one request: no retry, no redirect, and none of the repetitions
// that net/http makes by itself when a kept connection turns out to be dead. The
// one exception is a normal call on the stable line, which the platform answers
// with the same value however often it is asked: there a host that cannot be
// reached, breaks off, is silent for two thirds of the time or answers with a 5xx
// is followed by one attempt at a backup host, within the same deadline.
//
// # Secrets
//
// The platform wants secrets and tokens in queries. They stand in the request
// and nowhere else: errors and logs of this package carry host and path only, and
// what the platform says is searched for them. Whoever wraps the transport must
// not record the query.
package wechat
