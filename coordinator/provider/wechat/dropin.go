package wechat

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"freshet/coordinator"
)

// TokenCall reads the platform's calls for tokens: GET /cgi-bin/token, POST
// /cgi-bin/stable_token and GET /cgi-bin/ticket/getticket. The first two may name
// an app that is kept by the other line, where there is none of theirs.
func (p *Provider) TokenCall(r *http.Request) (coordinator.TokenCall, error) {
	switch r.URL.EscapedPath() {
	case pathToken:
		return plainCall(r)
	case pathStableToken:
		return stableCall(r)
	case pathTicket:
		return ticketCall(r)
	}
	return coordinator.TokenCall{}, coordinator.ErrNoTokenCall
}

func plainCall(r *http.Request) (coordinator.TokenCall, error) {
	if r.Method != http.MethodGet {
		return coordinator.TokenCall{}, refusal(codeNeedsGET)
	}
	q, err := parametersOf(r)
	if err != nil {
		return coordinator.TokenCall{}, err
	}
	return tokenCall(q.Get("grant_type"), q.Get(credentialAppID), q.Get(credentialSecret), modePlain, modeStable)
}

// stableFields is the body of a stable call; names it does not know are passed over,
// as the platform does.
type stableFields struct {
	GrantType    string `json:"grant_type"`
	AppID        string `json:"appid"`
	Secret       string `json:"secret"`
	ForceRefresh bool   `json:"force_refresh"`
}

func stableCall(r *http.Request) (coordinator.TokenCall, error) {
	if r.Method != http.MethodPost {
		return coordinator.TokenCall{}, refusal(codeNeedsPOST)
	}
	var fields stableFields
	body, err := io.ReadAll(r.Body)
	switch {
	case err == nil && len(body) == 0:
		return coordinator.TokenCall{}, refusal(codeEmptyBody)
	case err != nil, json.Unmarshal(body, &fields) != nil: // its error would quote the body
		return coordinator.TokenCall{}, refusal(codeBadFormat)
	}
	call, err := tokenCall(fields.GrantType, fields.AppID, fields.Secret, modeStable, modePlain)
	call.Force = fields.ForceRefresh
	return call, err
}

func tokenCall(grant, id, secret string, lines ...mode) (coordinator.TokenCall, error) {
	switch {
	case grant != grantType:
		return coordinator.TokenCall{}, refusal(codeBadGrant)
	case id == "":
		return coordinator.TokenCall{}, refusal(codeNoAppID)
	case secret == "":
		return coordinator.TokenCall{}, refusal(codeNoSecret)
	}
	return coordinator.TokenCall{
		ID: id, Identities: identitiesOf(id, lines...), Key: coordinator.NewSecret(secret), Token: AccessToken,
	}, nil
}

func ticketCall(r *http.Request) (coordinator.TokenCall, error) {
	if r.Method != http.MethodGet {
		return coordinator.TokenCall{}, refusal(codeNeedsGET)
	}
	q, err := parametersOf(r)
	if err != nil {
		return coordinator.TokenCall{}, err
	}
	call := coordinator.TokenCall{Value: coordinator.NewSecret(q.Get(fieldToken))}
	switch q.Get("type") {
	case "jsapi":
		call.Token = JSAPITicket
	case "wx_card":
		call.Token = WxCardTicket
	default:
		return call, refusal(codeBadArgument)
	}
	if call.Value.IsZero() {
		return call, refusal(codeNoToken)
	}
	return call, nil
}

// parametersOf reads a query in which nothing is said twice: two readers of the
// same call could take different ones for true.
func parametersOf(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refusal(codeBadArgument)
	}
	for _, all := range q {
		if len(all) > 1 {
			return nil, refusal(codeBadArgument)
		}
	}
	return q, nil
}

// Identities returns what Identity says of the apps with an appid, the stable
// line's first.
func (p *Provider) Identities(id string) []string { return identitiesOf(id, modeStable, modePlain) }

func identitiesOf(appID string, lines ...mode) []string {
	identities := make([]string, 0, len(lines))
	for _, line := range lines {
		identities = append(identities, identity(appID, line))
	}
	return identities
}

// Carries says that calls carry the access_token in their query.
func (p *Provider) Carries() coordinator.Place { return coordinator.Place{Query: fieldToken} }

// Grant answers as the platform does: access_token and expires_in without an
// errcode, a ticket with an errcode of 0.
func (p *Provider) Grant(call coordinator.TokenCall, value coordinator.Secret, life time.Duration) coordinator.Reply {
	seconds := int64(life / time.Second)
	if call.Token == AccessToken {
		return reply(struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int64  `json:"expires_in"`
		}{value.Reveal(), seconds})
	}
	return reply(struct {
		Errcode   int    `json:"errcode"`
		Errmsg    string `json:"errmsg"`
		Ticket    string `json:"ticket"`
		ExpiresIn int64  `json:"expires_in"`
	}{0, "ok", value.Reveal(), seconds})
}

// reply is JSON with status 200, which the platform sends whatever it says.
func reply(body any) coordinator.Reply {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // texts and numbers always encode
	return coordinator.Reply{
		Status: http.StatusOK, ContentType: "application/json; encoding=utf-8", Body: []byte(strings.TrimSuffix(text.String(), "\n")),
	}
}

// refusal is a code of the platform's, with which a call is refused.
type refusal int64

// Error names the code.
func (r refusal) Error() string { return "errcode " + strconv.FormatInt(int64(r), 10) }

var _ coordinator.DropIn = (*Provider)(nil)
