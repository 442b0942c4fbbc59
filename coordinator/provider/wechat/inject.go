package wechat

import (
	"net/http"
	"strconv"

	"freshet/coordinator"
)

// Injection says how business calls carry an access_token: in the query, to the
// app's upstream. The platform refuses a dead one with the status 200 and an errcode.
func (p *Provider) Injection(app coordinator.App) (coordinator.Injection, error) {
	base, err := baseOf(app)
	if err != nil {
		return coordinator.Injection{}, err
	}
	return coordinator.Injection{
		Base:  base,
		Token: AccessToken,
		Place: coordinator.Place{Query: fieldToken},
		Dead:  p.refused,
	}, nil
}

// refused reports whether a business call was answered that its access_token is dead.
func (p *Provider) refused(status int, _ http.Header, body []byte) (code string, dead bool) {
	if status != http.StatusOK || len(body) == 0 {
		return "", false
	}
	a, err := decode(body)
	if err != nil || p.rules.of(a.code, onTicket).class != deadToken {
		return "", false
	}
	return strconv.FormatInt(a.code, 10), true
}

var _ coordinator.Injector = (*Provider)(nil)
