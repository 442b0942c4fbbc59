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
// # Commands
//
//	GET, POST, DELETE /_faults  lists, adds ([Fault] as JSON), clears (?app=) faults
//	POST /_kill                 {"appid","line"} or {"value"}: dies at once; "expire":true dies of old age
//	POST /_mint                 {"appid"}: a foreign system mints a plain token
//	POST /_confirm              {"appid","ip","approve"}: the administrator answers a confirmation
//	GET, POST /_apps            lists, creates and changes apps ([App] as JSON; absent fields stay)
//	GET  /_oracle               the [Report]; ?value= says whether one value lives
//	GET  /                      this list
//
// The commands ask for no key: serve a sandbox where only tests can reach it.
package sandbox
