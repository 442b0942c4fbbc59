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
	return decodeStrict("the body", data, out)
}

// noBody refuses a body where none is expected, except an empty object.
func (r request) noBody() error {
	var nothing struct{}
	return r.readBody(maxBody, &nothing)
}

// decodeStrict decodes exactly one JSON object, called what in its errors: those
// name fields, and never repeat a value, which may be a secret.
func decodeStrict(what string, data []byte, out any) error {
	if err := checkKeys(what, data); err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(out); err != nil {
		return explain(what, err)
	}
	return nil
}

// explain turns an error of the decoder into one for the caller.
func explain(what string, err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return coordinator.Invalidf("field %q: a JSON %s is expected", wrong.Field, kindName(wrong))
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return notJSON(what)
	}
	return coordinator.Invalidf("%s", strings.TrimPrefix(err.Error(), "json: "))
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

func notJSON(what string) error { return coordinator.Invalidf("%s is not one JSON object", what) }

// maxDepth bounds how deep an object may be nested.
const maxDepth = 16

// keys reads an object for what checkKeys refuses.
type keys struct {
	*json.Decoder

	what string
}

// checkKeys refuses what the decoder would let pass: a field given twice, where
// two readers of the same body could take different ones for true, nesting
// without end, and more than one value.
func checkKeys(what string, data []byte) error {
	k := keys{json.NewDecoder(strings.NewReader(string(data))), what}
	k.UseNumber()
	if start, err := k.Token(); err != nil || start != json.Delim('{') {
		return notJSON(what)
	}
	if err := k.object(1); err != nil {
		return err
	}
	if _, err := k.Token(); !errors.Is(err, io.EOF) {
		return coordinator.Invalidf("%s has more behind its JSON object", what)
	}
	return nil
}

// object reads an object whose "{" was read.
func (k keys) object(depth int) error {
	seen := map[string]bool{}
	for k.More() {
		key, err := k.Token()
		name, isText := key.(string)
		if err != nil || !isText {
			return notJSON(k.what)
		}
		// The decoder ignores case, so that "Version" could stand beside "version".
		if depth == 1 && name != strings.ToLower(name) {
			return coordinator.Invalidf("unknown field %.40q: fields are in lower case", name)
		}
		if seen[name] {
			return coordinator.Invalidf("field %.40q is given twice", name)
		}
		seen[name] = true
		if err := k.value(depth); err != nil {
			return err
		}
	}
	return k.closing()
}

// value reads one value.
func (k keys) value(depth int) error {
	token, err := k.Token()
	if err != nil {
		return notJSON(k.what)
	}
	if depth > maxDepth {
		return coordinator.Invalidf("%s is nested deeper than %d", k.what, maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return k.object(depth + 1)
	case json.Delim('['):
		for k.More() {
			if err := k.value(depth + 1); err != nil {
				return err
			}
		}
		return k.closing()
	}
	return nil
}

func (k keys) closing() error {
	if _, err := k.Token(); err != nil {
		return notJSON(k.what)
	}
	return nil
}
