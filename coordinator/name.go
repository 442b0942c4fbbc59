package coordinator

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultToken is the token meant where only an app is named.
const DefaultToken = "access_token"

// Name names one token: an app and one of the tokens kept for it.
type Name struct {
	App   string
	Token string
}

// String returns the name as people write it: "shop/access_token".
func (n Name) String() string { return n.App + "/" + n.Token }

var (
	appName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// ParseName reads "app/token", or "app" for its access_token.
func ParseName(s string) (Name, error) {
	app, token, found := strings.Cut(s, "/")
	if !found {
		token = DefaultToken
	}
	n := Name{App: app, Token: token}
	if err := n.Check(); err != nil {
		return Name{}, err
	}
	return n, nil
}

// Check says in one sentence what is wrong with a name; nil means it is well formed.
func (n Name) Check() error {
	if err := CheckAppName(n.App); err != nil {
		return err
	}
	if !tokenName.MatchString(n.Token) {
		return fmt.Errorf("token name %.80q: use 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit", n.Token)
	}
	return nil
}

// CheckAppName says in one sentence what is wrong with the name of an app.
func CheckAppName(app string) error {
	if !appName.MatchString(app) {
		return fmt.Errorf("app name %.80q: use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit", app)
	}
	return nil
}
