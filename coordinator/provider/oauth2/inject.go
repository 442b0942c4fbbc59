package oauth2

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// Options of calls that clients make through us.
const (
	optionAPI    = "api"
	optionInject = "inject"
	optionDead   = "dead"

	injectBearer = "bearer"
	injectHeader = "header:"
	injectQuery  = "query:"

	apiExample  = "https://api.example.com"
	maxDeadRule = 16
)

// calls is how clients' calls are made with an app's tokens.
type calls struct {
	base  url.URL
	place coordinator.Place
	dead  []deadRule
}

// Injection says how calls of clients carry a token: as the options api, inject and
// dead say. An app without api is an ErrInvalid.
func (p *Provider) Injection(app coordinator.App) (coordinator.Injection, error) {
	c, err := callingOf(app)
	if err != nil {
		return coordinator.Injection{}, err
	}
	if c.base.Host == "" {
		return coordinator.Injection{}, coordinator.Invalidf("calls for app %q cannot be forwarded: "+
			"give it the option api, the address of what its tokens open, like %s", app.Name, apiExample)
	}
	return coordinator.Injection{Base: c.base, Token: AccessToken, Any: true, Place: c.place, Dead: c.refused}, nil
}

// callingOf understands the options of calls. Without the option api its base is empty.
func callingOf(app coordinator.App) (c calls, err error) {
	text, named := app.Options[optionAPI]
	if !named {
		for _, option := range []string{optionInject, optionDead} {
			if _, given := app.Options[option]; given {
				return c, coordinator.Invalidf("option %s goes with option api only", option)
			}
		}
		return c, nil
	}
	if c.base, err = apiOf(text); err != nil {
		return c, err
	}
	if c.place, err = placeOf(cmp.Or(app.Options[optionInject], injectBearer)); err != nil {
		return c, err
	}
	c.dead, err = deadRulesOf(cmp.Or(app.Options[optionDead], strconv.Itoa(http.StatusUnauthorized)))
	return c, err
}

// apiOf reads the address of an API. A text that it refuses is not quoted: somebody
// may have put a secret into it.
func apiOf(text string) (url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || !outbound.ValidHost(u.Host) || u.Opaque != "" {
		return url.URL{}, coordinator.Invalidf("option api is not an http or https URL: write it like %s", apiExample)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return url.URL{}, coordinator.Invalidf("option api has a user, a query or a fragment in it: write it like %s", apiExample)
	}
	plain := strings.TrimSuffix(u.Path, "/")
	if plain != "" && (u.RawPath != "" || path.Clean(plain) != plain || strings.ContainsAny(plain, "\\%")) {
		return url.URL{}, coordinator.Invalidf("option api has an odd path: write it without dots, double slashes and escapes, like %s/v2", apiExample)
	}
	return url.URL{Scheme: u.Scheme, Host: outbound.PlainHost(u.Scheme, u.Host), Path: plain}, nil
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)
	queryName  = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,64}$`)
)

// taken are headers that mean something to HTTP itself.
func taken() []string {
	return []string{
		"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Keep-Alive",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}
}

func placeOf(text string) (coordinator.Place, error) {
	if text == injectBearer {
		return coordinator.Place{Header: "Authorization", Prefix: "Bearer "}, nil
	}
	if name, found := strings.CutPrefix(text, injectHeader); found && headerName.MatchString(name) {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(taken(), name) {
			return coordinator.Place{}, coordinator.Invalidf("option inject is %q: HTTP itself needs that header, so name another", text)
		}
		return coordinator.Place{Header: name}, nil
	}
	if name, found := strings.CutPrefix(text, injectQuery); found && queryName.MatchString(name) {
		return coordinator.Place{Query: name}, nil
	}
	return coordinator.Place{}, coordinator.Invalidf("option inject is %.80q: say bearer, header:X-Token or query:access_token", text)
}

// deadRule is one mark of an answer that refuses a token: its status, or a code in a
// field of the JSON object that it is.
type deadRule struct {
	status int
	field  []string // from the outside in; empty: the status counts
	code   string
}

func deadRulesOf(text string) (rules []deadRule, err error) {
	for term := range strings.SplitSeq(text, ",") {
		rule, ok := deadRuleOf(strings.TrimSpace(term))
		if !ok || len(rules) == maxDeadRule {
			return nil, coordinator.Invalidf("option dead is %.80q: say how the API refuses a dead token, by status or by a code in "+
				"its JSON, like 401 or 401,code=99991663,error.code=190, at most %d", text, maxDeadRule)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

var codeRule = regexp.MustCompile(`^([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,3})=([A-Za-z0-9_.-]{1,64})$`)

func deadRuleOf(term string) (deadRule, bool) {
	if status, err := strconv.Atoi(term); err == nil {
		return deadRule{status: status}, status >= 400 && status <= 499
	}
	parts := codeRule.FindStringSubmatch(term)
	if parts == nil {
		return deadRule{}, false
	}
	return deadRule{field: strings.Split(parts[1], "."), code: parts[2]}, true
}

// refused reports whether an answer refuses its token, and by which code.
func (c calls) refused(status int, header http.Header, body []byte) (code string, dead bool) {
	for _, rule := range c.dead {
		switch {
		case rule.status != 0 && rule.status == status && !otherwiseRefused(header):
			return strconv.Itoa(status), true
		case len(rule.field) > 0 && len(body) > 0 && textAt(body, rule.field) == rule.code:
			return rule.code, true
		}
	}
	return "", false
}

// otherwiseRefused reports that a challenge names an error that a new token would
// not mend (RFC 6750, section 3.1).
func otherwiseRefused(header http.Header) bool {
	challenge := strings.Join(header.Values("WWW-Authenticate"), ",")
	return strings.Contains(challenge, `error="insufficient_scope"`) || strings.Contains(challenge, `error="invalid_request"`)
}

// textAt returns the text or number in a field of a JSON object, else nothing.
func textAt(body []byte, field []string) string {
	raw := json.RawMessage(body)
	for _, name := range field {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return ""
		}
		raw = object[name]
	}
	if number, err := outbound.Integer(raw); err == nil {
		return strconv.FormatInt(number, 10)
	}
	return outbound.Text(raw)
}

var _ coordinator.Injector = (*Provider)(nil)
