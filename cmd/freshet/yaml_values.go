package main

import (
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"freshet/coordinator"
)

// scalar returns the text of a value as it was written, so that 0012 stays 0012.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// text returns what is written for an entry, or says what was expected.
func (e entry) text(expected string) (string, bool) {
	if e.value == nil {
		e.wrong("nothing is written here: expected %s", expected)
		return "", false
	}
	text, ok := scalar(e.value)
	if !ok {
		e.wrong("expected %s", expected)
	}
	return text, ok
}

func (s *section) text(name string, into *string) {
	if e, found := s.take(name); found {
		if text, ok := e.text("a text"); ok {
			*into = text
		}
	}
}

// value reads a scalar by parse; expected completes the sentence "expected …".
func value[T any](s *section, name, expected string, into *T, parse func(string) (T, bool)) {
	e, found := s.take(name)
	if !found {
		return
	}
	text, ok := e.text(expected)
	if !ok {
		return
	}
	if *into, ok = parse(text); !ok {
		e.wrong("expected %s", expected)
	}
}

const (
	wantBool     = "true or false"
	wantDuration = "a positive duration like 500ms, 15s or 5m"
	wantBytes    = "a size like 512MiB or 2GiB"
	wantShare    = "a number from 0 to 1, like 0.01"
)

func (s *section) boolean(name string, into *bool) { value(s, name, wantBool, into, parseBool) }

func (s *section) duration(name string, into *time.Duration) {
	value(s, name, wantDuration, into, parseDuration)
}

func (s *section) share(name string, into *float64) { value(s, name, wantShare, into, parseShare) }

func parseBool(text string) (bool, bool) {
	switch text {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

func parseDuration(text string) (time.Duration, bool) {
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

// parseBytes reads a whole number of bytes, KiB, MiB or GiB.
func parseBytes(text string) (int64, bool) {
	shift := 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if number, found := strings.CutSuffix(text, unit); found {
			text, shift = strings.TrimSpace(number), bits
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n << shift, err == nil && n > 0 && n <= math.MaxInt64>>shift
}

// parseShare returns -1 for a share of zero, because zero means that none was given.
func parseShare(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1 {
		return 0, false
	}
	if f == 0 {
		return -1, true
	}
	return f, true
}

// file reads the name of a file or folder; a relative one belongs to the
// folder of the file it is written in.
func (s *section) file(name string, into *string) {
	if e, found := s.take(name); found {
		if text, ok := e.text("the name of a file or folder"); ok {
			*into = s.doc.beside(text)
		}
	}
}

func (d *document) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(d.file), name)
}

// texts reads a list of texts; a single text is a list of one.
func (s *section) texts(name string, into *[]string) {
	e, found := s.take(name)
	if !found {
		return
	}
	list, isList := e.value.(*ast.SequenceNode)
	if !isList {
		if text, ok := e.text("a list of texts like [a, b]"); ok {
			*into = []string{text}
		}
		return
	}
	*into = nil
	for _, node := range list.Values {
		text, ok := scalar(s.doc.plain(node))
		if !ok {
			e.wrong("expected a list of texts like [a, b]")
			return
		}
		*into = append(*into, text)
	}
}

// child reads a section inside this one.
func (s *section) child(name string, read func(*section)) {
	if e, found := s.take(name); found {
		read(s.doc.section(e.value, e.at, e.path))
	}
}

// textMap reads names with texts.
func (s *section) textMap(name string, into *map[string]string) {
	s.child(name, func(c *section) {
		*into = make(map[string]string, len(c.entries))
		for _, e := range c.entries {
			if text, ok := e.text("a text"); ok {
				(*into)[e.name] = text
			}
		}
	})
}

// secret reads a reference to a secret: {env: NAME}, {file: PATH} or {value: TEXT}.
func (s *section) secret(name string, into *coordinator.Secret) {
	if e, found := s.take(name); found {
		*into = e.secret()
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

const wantSecret = "expected one of {env: NAME}, {file: PATH} or {value: TEXT}"

// secret resolves a reference. Its messages repeat nothing that is written
// below the entry but the names of variables and files.
func (e entry) secret() coordinator.Secret {
	mapping, ok := e.value.(*ast.MappingNode)
	if !ok || len(mapping.Values) != 1 {
		e.wrong(wantSecret)
		return coordinator.Secret{}
	}
	kind := mapping.Values[0].Key.GetToken().Value
	text, ok := scalar(e.doc.plain(mapping.Values[0].Value))
	switch {
	case !ok || text == "":
	case kind == "value":
		return coordinator.NewSecret(text)
	case kind == "env":
		return e.secretOfVariable(text)
	case kind == "file":
		return e.secretOfFile(e.doc.beside(text))
	}
	e.wrong(wantSecret)
	return coordinator.Secret{}
}

func (e entry) secretOfVariable(name string) coordinator.Secret {
	if !variableName.MatchString(name) {
		e.wrong("env: takes the name of an environment variable")
		return coordinator.Secret{}
	}
	text, found := e.doc.env(name)
	if !found || text == "" {
		e.wrong("the environment variable %s is not set", name)
	}
	return coordinator.NewSecret(text)
}

func (e entry) secretOfFile(name string) coordinator.Secret {
	text, err := readNamed(name)
	if err != nil {
		e.wrong("the file %s cannot be read: %s", name, fileProblem(err))
		return coordinator.Secret{}
	}
	secret := coordinator.NewSecret(strings.TrimRight(string(text), "\r\n"))
	if secret.IsZero() {
		e.wrong("the file %s is empty", name)
	}
	return secret
}
