// Package oauth2 obtains tokens from OAuth 2 token endpoints (RFC 6749): by
// client_credentials, and by a refresh token that a user's consent gave.
//
// # An app
//
// Its upstream is the whole URL of the token endpoint. Options:
//
//	grant        client_credentials (default), refresh_token
//	auth         basic (default; id and secret are form-urlencoded first), post, none
//	body         form (default), json
//	rotation     none, old-stays, grace, strict (default): what becomes of a refresh token that was used
//	grace        how long a replaced one is welcome again, with rotation grace (default 10m)
//	last_chance  true: one that may have been used is presented once more when its last value has expired
//	lifetime     of a value, where an answer has no expires_in (default 1h)
//	api          what the tokens open, like https://api.example.com/v2: clients' calls go there
//	inject       where these carry a token: bearer (default), header:X-Token, query:access_token
//	dead         how it refuses a dead one: 401 (default), or a status of 4xx and codes in a JSON
//	             answer, separated by commas: 401,code=99991663,error.code=190
//
// Strict is the default because it is safe everywhere: taking a platform that
// revokes for one that does not loses the grant, the other way round only asks a
// human where none was needed.
//
// # Tokens
//
// access_token, and id_token from the same answer; every other token name is an
// access token of its own with its own call. Options of a token: scope, audience,
// resource (several separated by spaces). Where a use may replace the refresh token
// only one call may spend it, so that such an app keeps access_token and id_token only.
//
// # One call
//
// A Fetch sends one request: no retry, no redirect. An answer that is useless but
// holds a new refresh token yields it beside the error, because the old one is gone.
// An answer without a refresh token, or with the one presented, replaces nothing.
//
// # Secrets
//
// Secrets stand in the request's body and Authorization header and in no URL.
// Errors and logs carry the host and path of the endpoint, and what a platform says
// is searched for secrets before it goes into an error.
package oauth2
