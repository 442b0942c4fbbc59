package outbound

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"freshet/coordinator"
)

// BadAnswer is an answer that makes no sense. Its text holds nothing of the answer.
type BadAnswer struct{ Code, Text string }

// Error returns the text.
func (b *BadAnswer) Error() string { return b.Text }

// Bad makes a BadAnswer.
func Bad(code, format string, args ...any) *BadAnswer {
	return &BadAnswer{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Senseless makes the *coordinator.UpstreamError of a *BadAnswer: the platform may have acted.
func Senseless(err error) error {
	code := "not_json"
	if b, ok := errors.AsType[*BadAnswer](err); ok {
		code = b.Code
	}
	return &coordinator.UpstreamError{
		Class: coordinator.ClassRetry, Code: code, Reason: "bad_answer", Message: err.Error(), Ambiguous: true,
	}
}

// Object reads an answer that must be one JSON object. The error is a *BadAnswer.
func Object(body []byte) (map[string]json.RawMessage, error) {
	if strings.TrimSpace(string(body)) == "" {
		return nil, Bad("empty", "the answer is empty")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, Bad("not_json", "the answer is not a JSON object")
	}
	return fields, nil
}

// Unfit reports what would break a header or a query: no token has it.
func Unfit(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || !unicode.IsPrint(r) || r == utf8.RuneError
}

// Errors of Integer.
var (
	ErrMissing  = errors.New("missing")
	ErrNotWhole = errors.New("not a whole number")
)

// Text returns a JSON text, and of anything else the empty one.
func Text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Integer reads a whole number that may be written as a text, as some gateways
// do, or like 7.2e3. The error is ErrMissing, also for null, or ErrNotWhole.
func Integer(raw json.RawMessage) (int64, error) {
	number := string(raw)
	if number == "" || number == "null" {
		return 0, ErrMissing
	}
	if number[0] == '"' {
		number = Text(raw)
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return n, nil
	}
	if strings.ContainsFunc(number, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }) {
		return 0, ErrNotWhole // ParseFloat would take inf, hexadecimals and underscores
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, ErrNotWhole
	}
	return int64(f), nil
}
