package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"freshet/coordinator"
)

// Bounds of bodies, in bytes.
const (
	maxBody    = 64 << 10
	maxAppBody = 256 << 10
)

// readBody decodes a JSON body of at most limit bytes into out. Unknown fields
// and anything behind the first value are refused. No body at all leaves out as it is.
func (r request) readBody(limit int64, out any) error {
	data, err := io.ReadAll(http.MaxBytesReader(r.Writer, r.Request.Body, limit))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return errTooLarge
		}
		return coordinator.Invalidf("the body could not be read to its end")
	}
	if len(data) == 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(r.GetHeader("Content-Type"))
	if err != nil || media != "application/json" {
		return errMediaType
	}
	return decodeStrict(data, out)
}

// noBody refuses a body where none is expected, except an empty object.
func (r request) noBody() error {
	var nothing struct{}
	return r.readBody(maxBody, &nothing)
}

// decodeStrict decodes exactly one JSON value. Its errors name fields, and never
// repeat a value, which may be a secret.
func decodeStrict(data []byte, out any) error {
	if err := checkKeys(data); err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(out); err != nil {
		return explain(err)
	}
	return nil
}

// explain turns an error of the decoder into one for the caller.
func explain(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return coordinator.Invalidf("field %q: a JSON %s is expected", wrong.Field, kindName(wrong))
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNotJSON
	}
	return coordinator.Invalidf("the body: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func kindName(wrong *json.UnmarshalTypeError) string {
	switch wrong.Type.Kind().String() {
	case "string":
		return "text"
	case "map", "struct":
		return "object"
	case "slice":
		return "list"
	case "bool":
		return "true or false"
	}
	return "whole number"
}

var errNotJSON = coordinator.Invalidf("the body is not one JSON object")

// maxDepth bounds how deep a body may be nested.
const maxDepth = 16

// checkKeys refuses what the decoder would let pass: a field given twice, where
// two readers of the same body could take different ones for true, nesting
// without end, and more than one value.
func checkKeys(data []byte) error {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return errNotJSON
	}
	if err := checkObject(decoder, 1); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return coordinator.Invalidf("the body has more behind its JSON object")
	}
	return nil
}

// checkObject reads an object whose "{" was read.
func checkObject(decoder *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for decoder.More() {
		key, err := decoder.Token()
		name, isText := key.(string)
		if err != nil || !isText {
			return errNotJSON
		}
		// The decoder ignores case, so that "Version" could stand beside "version".
		if depth == 1 && name != strings.ToLower(name) {
			return coordinator.Invalidf("unknown field %.40q: fields are in lower case", name)
		}
		if seen[name] {
			return coordinator.Invalidf("field %.40q is given twice", name)
		}
		seen[name] = true
		if err := checkValue(decoder, depth); err != nil {
			return err
		}
	}
	return closing(decoder)
}

// checkValue reads one value.
func checkValue(decoder *json.Decoder, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return errNotJSON
	}
	if depth > maxDepth {
		return coordinator.Invalidf("the body is nested deeper than %d", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return checkObject(decoder, depth+1)
	case json.Delim('['):
		for decoder.More() {
			if err := checkValue(decoder, depth+1); err != nil {
				return err
			}
		}
		return closing(decoder)
	}
	return nil
}

func closing(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return errNotJSON
	}
	return nil
}
