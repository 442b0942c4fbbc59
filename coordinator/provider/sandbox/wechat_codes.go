package sandbox

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"time"
)

// The errcodes the platform answers by itself; a fault can answer any other.
const (
	codeInvalidCredential = 40001
	codeBadGrantType      = 40002
	codeBadAppID          = 40013
	codeMalformedToken    = 40014
	codeBadArgument       = 40097
	codeBadSecret         = 40125
	codeIPNotAllowed      = 40164
	codeSecretFrozen      = 40243
	codeTokenMissing      = 41001
	codeAppIDMissing      = 41002
	codeSecretMissing     = 41004
	codeTokenExpired      = 42001
	codeNeedsGET          = 43001
	codeNeedsPOST         = 43002
	codeEmptyBody         = 44002
	codeQuotaUsedUp       = 45009
	codeTooFast           = 45011
	codeBadFormat         = 47001
	codeClearsUsedUp      = 48006
	codeUnknownPath       = 76021
	codeConfirmPending    = 89501
	codeConfirmNeeded     = 89503
	codeBarredForDay      = 89506
	codeBarredForHour     = 89507
)

// wechatError is a refusal. An empty text is the platform's usual one for the code.
type wechatError struct {
	code int
	text string
}

// answer returns the refusal as WeChat sends it: status 200 and a trace id at the
// end of the text.
func (e wechatError) answer() answer {
	a := jsonAnswer(struct {
		Errcode int    `json:"errcode"`
		Errmsg  string `json:"errmsg"`
	}{e.code, fmt.Sprintf("%s rid: %s", cmp.Or(e.text, usualText(e.code)), newRid())})
	a.code, a.failed = e.code, true
	return a
}

// newRid returns a trace id: the time and two random words, in hex.
func newRid() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	return fmt.Sprintf("%08x-%x-%x", time.Now().Unix(), raw[:4], raw[4:])
}

func usualText(code int) string {
	texts := map[int]string{ //nolint:gosec // G101: texts about credentials, with none in them
		-1:                    "system error",
		codeInvalidCredential: "invalid credential, access_token is invalid or not latest",
		codeBadGrantType:      "invalid grant_type",
		codeBadAppID:          "invalid appid",
		codeMalformedToken:    "invalid access_token",
		codeBadArgument:       "invalid args",
		codeBadSecret:         "invalid appsecret",
		codeIPNotAllowed:      "invalid ip, not in whitelist",
		codeSecretFrozen:      "appsecret is frozen",
		codeTokenMissing:      "access_token missing",
		codeAppIDMissing:      "appid missing",
		codeSecretMissing:     "appsecret missing",
		codeTokenExpired:      "access_token expired",
		codeNeedsGET:          "require GET method",
		codeNeedsPOST:         "require POST method",
		codeEmptyBody:         "empty post data",
		codeQuotaUsedUp:       "reach max api daily quota limit",
		codeTooFast:           "api minute-quota reach limit, must slower, retry next minute",
		codeBadFormat:         "data format error",
		codeClearsUsedUp:      "forbid to clear quota because of reaching the limit",
		codeUnknownPath:       "cgi_path not found, please check",
		codeConfirmPending:    "an earlier confirmation is still pending",
		codeConfirmNeeded:     "this call needs the confirmation of the administrator, who has been asked",
		codeBarredForDay:      "this ip was rejected, retry after 24 hours",
		codeBarredForHour:     "this ip was rejected, retry after 1 hour",
	}
	return cmp.Or(texts[code], "error")
}
