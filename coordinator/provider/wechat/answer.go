package wechat

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"freshet/coordinator/provider/outbound"
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

// decode reads an answer. A failure is a *outbound.BadAnswer.
func decode(body []byte) (answer, error) {
	fields, err := outbound.Object(body)
	if err != nil {
		return answer{}, err
	}
	code, err := outbound.Integer(fields["errcode"])
	if err != nil && !errors.Is(err, outbound.ErrMissing) {
		return answer{}, outbound.Bad("bad_errcode", "the errcode of the answer is not a whole number")
	}
	return answer{code: code, message: outbound.Text(fields["errmsg"]), fields: fields}, nil
}

// values returns the values in the answer, for they may stand in the message too.
func (a answer) values() []string {
	return []string{outbound.Text(a.fields[fieldToken]), outbound.Text(a.fields[fieldTicket])}
}

// granted returns the value and lifetime of a successful answer. A failure is a *outbound.BadAnswer.
func (a answer) granted(field string) (string, time.Duration, error) {
	value := outbound.Text(a.fields[field])
	switch {
	case value == "":
		return "", 0, outbound.Bad("no_value", "the answer has no %s", field)
	case len(value) > maxValue:
		return "", 0, outbound.Bad("bad_value", "the %s of the answer is longer than %d bytes", field, maxValue)
	case strings.ContainsFunc(value, outbound.Unfit):
		return "", 0, outbound.Bad("bad_value", "the %s of the answer holds spaces or control characters", field)
	}
	seconds, err := outbound.Integer(a.fields["expires_in"])
	if err != nil {
		return "", 0, outbound.Bad("bad_lifetime", "expires_in of the answer is missing or not a whole number")
	}
	if seconds <= 0 || seconds > int64(maxLifetime/time.Second) {
		return "", 0, outbound.Bad("bad_lifetime", "expires_in of the answer is %d seconds", seconds)
	}
	return value, time.Duration(seconds) * time.Second, nil
}
