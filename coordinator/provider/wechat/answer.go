package wechat

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Where values stand in answers.
const (
	fieldToken  = "access_token"
	fieldTicket = "ticket"
)

const (
	maxBody     = 64 << 10
	maxValue    = 4096                // the platform asks for room for 512
	maxLifetime = 30 * 24 * time.Hour // the platform grants 2 h; a month is a mistake
)

// answer is what the platform says to any of the calls.
type answer struct {
	code    int64  // 0: success
	message string // as sent: may hold anything
	fields  map[string]json.RawMessage
}

// badAnswer is an answer that makes no sense. Its text holds nothing of the answer.
type badAnswer struct{ code, text string }

func (b *badAnswer) Error() string { return b.text }

func bad(code, format string, args ...any) *badAnswer {
	return &badAnswer{code: code, text: fmt.Sprintf(format, args...)}
}

// decode reads an answer. A failure is a *badAnswer.
func decode(body []byte) (answer, error) {
	if strings.TrimSpace(string(body)) == "" {
		return answer{}, bad("empty", "the answer is empty")
	}
	var a answer
	if err := json.Unmarshal(body, &a.fields); err != nil || a.fields == nil {
		return answer{}, bad("not_json", "the answer is not a JSON object")
	}
	code, err := integer(a.fields["errcode"])
	if err != nil && !errors.Is(err, errMissing) {
		return answer{}, bad("bad_errcode", "the errcode of the answer is not a whole number")
	}
	a.code = code
	a.message = text(a.fields["errmsg"])
	return a, nil
}

// values returns the values in the answer, for they may stand in the message too.
func (a answer) values() []string {
	return []string{text(a.fields[fieldToken]), text(a.fields[fieldTicket])}
}

// granted returns the value and lifetime of a successful answer. A failure is a *badAnswer.
func (a answer) granted(field string) (string, time.Duration, error) {
	value := text(a.fields[field])
	switch {
	case value == "":
		return "", 0, bad("no_value", "the answer has no %s", field)
	case len(value) > maxValue:
		return "", 0, bad("bad_value", "the %s of the answer is longer than %d bytes", field, maxValue)
	case strings.ContainsFunc(value, unfit):
		return "", 0, bad("bad_value", "the %s of the answer holds spaces or control characters", field)
	}
	seconds, err := integer(a.fields["expires_in"])
	if err != nil {
		return "", 0, bad("bad_lifetime", "expires_in of the answer is missing or not a whole number")
	}
	if seconds <= 0 || seconds > int64(maxLifetime/time.Second) {
		return "", 0, bad("bad_lifetime", "expires_in of the answer is %d seconds", seconds)
	}
	return value, time.Duration(seconds) * time.Second, nil
}

// unfit reports what would break a header or a query: no token has it.
func unfit(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || !unicode.IsPrint(r) || r == utf8.RuneError
}

var (
	errMissing  = errors.New("missing")
	errNotWhole = errors.New("not a whole number")
)

// text returns a JSON text, and of anything else the empty one.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// integer reads a whole number that may be written as a text, as some gateways
// do, or like 7.2e3.
func integer(raw json.RawMessage) (int64, error) {
	number := string(raw)
	if number == "" || number == "null" {
		return 0, errMissing
	}
	if number[0] == '"' {
		number = text(raw)
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return n, nil
	}
	if strings.ContainsFunc(number, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }) {
		return 0, errNotWhole // ParseFloat would take inf, hexadecimals and underscores
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, errNotWhole
	}
	return int64(f), nil
}
