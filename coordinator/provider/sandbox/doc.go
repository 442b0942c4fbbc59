// Package sandbox emulates the platforms that hand out tokens, so that programs
// which keep tokens fresh can be tested without an account, a network or a
// quota. It obeys the platforms' published rules (lifetimes, overlaps, quotas,
// error codes), fails on command, and keeps an oracle that knows what really
// happened: how many calls came, how many at once, which values still live.
//
// A [Sandbox] is an [net/http.Handler]. Serve it on a socket, or use
// [Sandbox.Client], which needs none and works inside a testing/synctest bubble.
//
// # The WeChat platform
//
//	GET  /cgi-bin/token              mints a plain token; the former one lives on for the overlap
//	POST /cgi-bin/stable_token       the stable token: the same one while it lives, unless forced
//	GET  /cgi-bin/ticket/getticket   jsapi and wx_card tickets
//	POST /cgi-bin/openapi/quota/get  a cheap liveness probe
//	GET  /cgi-bin/get_api_domain_ip  another one
//	POST /cgi-bin/clear_quota        resets the daily counters, ten times a month
//	POST /cgi-bin/clear_quota/v2     the same by secret
//	GET  /cgi-bin/user/info          a business call
//	any  /cgi-bin/...                every other business call: it only checks the token
//
// Errors come with HTTP status 200 and an errcode, as they do there. Where the
// platform publishes nothing the sandbox chooses, and says so at the field or
// function concerned.
//
// # The OAuth 2 server
//
//	POST /oauth/token     grants client_credentials and refresh_token, body form or JSON
//	GET  /oauth/userinfo  a business call: who a Bearer token belongs to, or 401
//
// It is as strict as RFC 6749, 6750 and 9700 word it. An [OAuthClient] says how its
// client authenticates, what it may ask for and what becomes of a refresh token that
// was used. [Sandbox.Issue] gives the first one, as a user's consent would;
// [Sandbox.LiveRefresh] tells whether one that somebody keeps is still worth keeping.
// A lost answer to a call that was obeyed is the fault {"do":"reset","when":"after"},
// a late one {"do":"delay","when":"after"}.
//
// # Commands
//
//	GET, POST, DELETE /_faults  lists, adds ([Fault] as JSON), clears (?app=) faults
//	POST /_kill                 {"appid","line"} or {"value"}: dies at once; "expire":true dies of old age
//	POST /_mint                 {"appid"}: a foreign system mints a plain token
//	POST /_confirm              {"appid","ip","approve"}: the administrator answers a confirmation
//	GET, POST /_apps            lists, creates and changes apps ([App] as JSON; absent fields stay)
//	GET, POST /_clients         lists, creates and changes OAuth clients ([OAuthClient] as JSON)
//	POST /_grant                {"client_id","subject"}: a user consents; answers {"refresh_token"}
//	POST /_revoke               {"client_id","subject"}: the user takes it back
//	GET  /_oracle               the [Report]; ?value= says whether one value lives
//	GET  /                      this list
//
// The commands ask for no key: serve a sandbox where only tests can reach it.
package sandbox
