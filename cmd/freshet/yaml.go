package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// document is a YAML file while it is read. It is read by asking for each name
// that exists; what nobody asked for is a mistake. Decoding into structs would
// be shorter, but its errors quote values, and values may be secrets.
type document struct {
	file    string
	env     func(string) (string, bool)
	anchors map[string]ast.Node
	places  map[string]place // :: path of a setting → where it is written
	mistakes
}

// openDocument parses a file and returns its outermost section. The section is
// empty where the file could not be parsed; the mistake is in the document.
func openDocument(file string, env func(string) (string, bool)) (*document, *section) {
	d := &document{file: file, env: env, anchors: map[string]ast.Node{}, places: map[string]place{}}
	empty := &section{doc: d}
	text, err := readNamed(file)
	if err != nil {
		d.add(place{}, "", "the file %s cannot be read: %s", file, fileProblem(err))
		return d, empty
	}
	parsed, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.addSyntax(err)
		return d, empty
	}
	switch len(parsed.Docs) {
	case 0:
		return d, empty
	case 1:
		ast.Walk(d, parsed.Docs[0])
		return d, d.section(parsed.Docs[0].Body, place{file: file}, "")
	}
	d.add(d.at(parsed.Docs[1].Start), "", "a file holds one document: remove the line ---")
	return d, empty
}

// Visit remembers anchors, so that aliases can be followed.
func (d *document) Visit(node ast.Node) ast.Visitor {
	if anchor, ok := node.(*ast.AnchorNode); ok {
		d.anchors[anchor.Name.GetToken().Value] = anchor.Value
	}
	return d
}

// echo matches the end of a parser's message where it repeats the file's text.
var echo = regexp.MustCompile(`(:.*| ['"].*['"])$`)

func (d *document) addSyntax(err error) {
	at, text := place{file: d.file}, "this is not YAML"
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		at = d.at(syntax.Token)
		text = "this is not YAML: " + echo.ReplaceAllString(syntax.Message, "")
	}
	at.key = "" // what stands there may be anything
	d.add(at, "", "%s", text)
}

func (d *document) at(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{file: d.file}
	}
	return place{file: d.file, line: t.Position.Line, column: t.Position.Column}
}

// placeOf returns where a setting is written; nowhere where there is no file.
func (d *document) placeOf(path string) place {
	if d == nil {
		return place{}
	}
	return d.places[path]
}

// plain follows anchors, aliases and tags to the node that is meant.
func (d *document) plain(node ast.Node) ast.Node {
	for range 10 {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.AliasNode:
			node = d.anchors[n.Value.GetToken().Value]
		case *ast.TagNode:
			node = n.Value
		default:
			return node
		}
	}
	return nil
}

// entry is one "name: value" of a file.
type entry struct {
	doc   *document
	name  string
	path  string
	at    place
	value ast.Node // nil: nothing was written

	merged bool // by "<<", so that a name written here wins
}

func (e entry) wrong(format string, args ...any) { e.doc.add(e.at, e.path, format, args...) }

// section is a mapping of a file.
type section struct {
	doc     *document
	at      place
	path    string
	entries []entry
	asked   []string
}

// section reads a node as a mapping. Nothing at all is an empty one.
func (d *document) section(node ast.Node, at place, path string) *section {
	s := &section{doc: d, at: at, path: path}
	switch n := d.plain(node).(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		s.fill(n.Values, 0)
	case *ast.MappingValueNode:
		s.fill([]*ast.MappingValueNode{n}, 0)
	default:
		d.add(at, path, "here belong names with values below, like \"name: value\"")
	}
	return s
}

func (s *section) fill(values []*ast.MappingValueNode, depth int) {
	for _, v := range values {
		if v.Key.IsMergeKey() {
			s.merge(v.Value, depth)
			continue
		}
		s.put(v)
	}
}

// merge adds what "<<: *other" brings, unless it is written here already.
func (s *section) merge(node ast.Node, depth int) {
	mapping, ok := s.doc.plain(node).(*ast.MappingNode)
	if !ok || depth > 4 {
		s.doc.add(s.at, s.path, "<<: takes an alias of a mapping")
		return
	}
	other := &section{doc: s.doc, at: s.at, path: s.path}
	other.fill(mapping.Values, depth+1)
	for _, e := range other.entries {
		if _, written := s.find(e.name); !written {
			e.merged = true
			s.entries = append(s.entries, e)
		}
	}
}

func (s *section) put(v *ast.MappingValueNode) {
	name := v.Key.GetToken().Value
	at := s.doc.at(v.Key.GetToken())
	at.key = shown(name)
	e := entry{doc: s.doc, name: name, path: join(s.path, at.key), at: at, value: s.doc.plain(v.Value)}
	if _, isNull := e.value.(*ast.NullNode); isNull {
		e.value = nil
	}
	for i, before := range s.entries {
		if before.name != name {
			continue
		}
		if before.merged {
			s.entries[i], s.doc.places[e.path] = e, at
			return
		}
		e.wrong("it is written twice, in lines %d and %d: remove one", before.at.line, at.line)
		return
	}
	s.entries, s.doc.places[e.path] = append(s.entries, e), at
}

func (s *section) find(name string) (entry, bool) {
	for _, e := range s.entries {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// take returns the entry of a name, and remembers that this name exists.
func (s *section) take(name string) (entry, bool) {
	s.asked = append(s.asked, name)
	return s.find(name)
}

// done reports every name that nobody asked for.
func (s *section) done(kind string) {
	for _, e := range s.entries {
		if slices.Contains(s.asked, e.name) {
			continue
		}
		hint := "known here: " + strings.Join(s.asked, ", ")
		if near := nearest(e.name, s.asked); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		e.wrong("there is no such %s; %s", kind, hint)
	}
}

// notName matches from the first letter that names do not have.
var notName = regexp.MustCompile(`(?s)[^A-Za-z0-9._/*-].*$`)

// shown is the part of a name that may be repeated: where a colon was forgotten,
// as in {secret hunter2}, the rest of a name is a value.
func shown(name string) string { return notName.ReplaceAllString(name, "…") }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// readNamed reads a file that a person has named.
func readNamed(file string) ([]byte, error) {
	return os.ReadFile(file) //nolint:gosec // naming files is what a configuration is for
}

// fileProblem says what is wrong with a file without repeating its name.
func fileProblem(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "it does not exist"
	case errors.Is(err, os.ErrPermission):
		return "this user may not read it"
	}
	if inner, ok := errors.AsType[*os.PathError](err); ok {
		return inner.Err.Error()
	}
	return err.Error()
}
