package oauth2

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"freshet/coordinator/provider/outbound"
)

const (
	maxBody  = 128 << 10
	maxValue = 16 << 10 // JWTs that carry groups are long
)

// answer is what an endpoint says, success or refusal.
type answer struct {
	fields  map[string]json.RawMessage
	code    string // its own error word; empty: none
	message string // as sent: may hold anything
}

// decode reads an answer. A failure is a *outbound.BadAnswer.
func decode(body []byte) (answer, error) {
	fields, err := outbound.Object(body)
	if err != nil {
		return answer{}, err
	}
	a := answer{fields: fields}
	a.readError()
	return a, nil
}

// readError finds the error word where servers put it: a text named error, as RFC
// 6749 wants it, an object of that name with code or type, or a code beside it.
func (a *answer) readError() {
	a.code, a.message = outbound.Text(a.fields["error"]), outbound.Text(a.fields["error_description"])
	var nested struct {
		Code    json.RawMessage `json:"code"`
		Type    json.RawMessage `json:"type"`
		Message json.RawMessage `json:"message"`
	}
	if a.code == "" && json.Unmarshal(a.fields["error"], &nested) == nil {
		a.code = firstText(nested.Code, nested.Type)
		a.message = firstText(a.fields["error_description"], nested.Message)
	}
	if a.code == "" {
		a.code = outbound.Text(a.fields["code"])
	}
	if a.message == "" {
		a.message = outbound.Text(a.fields["message"])
	}
}

func firstText(raws ...json.RawMessage) string {
	for _, raw := range raws {
		if text := outbound.Text(raw); text != "" {
			return text
		}
	}
	return ""
}

// values returns the values in the answer, for they may stand in the message too.
func (a answer) values() []string {
	return []string{
		outbound.Text(a.fields["access_token"]), outbound.Text(a.fields["refresh_token"]), outbound.Text(a.fields["id_token"]),
	}
}

// value returns a token of the answer. A failure is a *outbound.BadAnswer.
func (a answer) value(field string) (string, error) {
	value := outbound.Text(a.fields[field])
	switch {
	case value == "":
		return "", outbound.Bad("no_value", "the answer has no %s", field)
	case len(value) > maxValue:
		return "", outbound.Bad("bad_value", "the %s of the answer is longer than %d bytes", field, maxValue)
	case strings.ContainsFunc(value, outbound.Unfit):
		return "", outbound.Bad("bad_value", "the %s of the answer holds spaces or control characters", field)
	}
	return value, nil
}

// refresh returns the refresh token to present next, if it is another one than the
// one presented. A failure is a *outbound.BadAnswer.
func (a answer) refresh(presented string) (string, error) {
	next, err := a.value("refresh_token")
	if bad, ok := errors.AsType[*outbound.BadAnswer](err); ok && bad.Code == "no_value" || next == presented {
		return "", nil
	}
	return next, err
}

// lifetime returns how long the access token lives: usual where the answer does not
// say. A failure is a *outbound.BadAnswer.
func (a answer) lifetime(usual time.Duration) (time.Duration, error) {
	seconds, err := outbound.Integer(a.fields["expires_in"])
	switch {
	case errors.Is(err, outbound.ErrMissing):
		return usual, nil
	case err != nil:
		return 0, outbound.Bad("bad_lifetime", "expires_in of the answer is not a whole number")
	case seconds <= 0:
		return 0, outbound.Bad("bad_lifetime", "expires_in of the answer is %d seconds", seconds)
	}
	return time.Duration(min(seconds, int64(maxLifetime/time.Second))) * time.Second, nil
}

// idLifetime returns how long an id_token lives by its own word, as long as it was
// made for, so that the two clocks need not agree; else usual.
func idLifetime(jwt string, usual time.Duration) time.Duration {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return usual
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return usual
	}
	var claims map[string]json.RawMessage
	if json.Unmarshal(payload, &claims) != nil {
		return usual
	}
	issued, errIssued := outbound.Integer(claims["iat"])
	expires, errExpires := outbound.Integer(claims["exp"])
	if errors.Join(errIssued, errExpires) != nil || issued < 0 || expires <= issued {
		return usual
	}
	return time.Duration(min(expires-issued, int64(maxLifetime/time.Second))) * time.Second
}
