package httpapi

import (
	"encoding"
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// schemas makes the JSON schemas of wire types: their fields by reflection, what
// is said of them from the comments in the source.
type schemas struct {
	test  *testing.T
	said  map[string]string   // :: "Type" or "Type.Field" → its comment
	enums map[string][]string // :: beginning of constants' names → their values
	made  map[string]any      // :: name → schema
}

// newSchemas reads the comments of this package and of the client's.
func newSchemas(t *testing.T) *schemas {
	t.Helper()
	s := &schemas{test: t, said: map[string]string{}, enums: map[string][]string{}, made: map[string]any{}}
	for _, pattern := range []string{"*.go", "client/*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, declaration := range file.Decls {
				if general, ok := declaration.(*ast.GenDecl); ok {
					s.read(general)
				}
			}
		}
	}
	return s
}

// read notes the comments of types and fields, and the values of constants.
func (s *schemas) read(declaration *ast.GenDecl) {
	for _, spec := range declaration.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.said[spec.Name.Name] = comment(declaration.Doc, spec.Doc, spec.Comment)
			if object, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range object.Fields.List {
					for _, name := range field.Names {
						s.said[spec.Name.Name+"."+name.Name] = comment(field.Doc, field.Comment)
					}
				}
			}
		case *ast.ValueSpec:
			for i, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == gotoken.STRING {
					s.enum(spec.Names[i].Name, literal.Value)
				}
			}
		}
	}
}

// enum notes a constant such as CodeForbidden by the first word of its name.
func (s *schemas) enum(name, literal string) {
	value, _ := strconv.Unquote(literal)
	end := strings.IndexFunc(name[1:], func(r rune) bool { return r >= 'A' && r <= 'Z' })
	s.enums[name[:end+1]] = append(s.enums[name[:end+1]], value)
}

func comment(groups ...*ast.CommentGroup) string {
	for _, group := range groups {
		if text := strings.Join(strings.Fields(group.Text()), " "); text != "" {
			return strings.TrimPrefix(text, ":: ")
		}
	}
	return ""
}

// choices names the fields that hold one of some constants.
func (s *schemas) choices(field string) []string {
	var all []string
	for _, status := range statuses() {
		all = append(all, string(status))
	}
	return map[string][]string{
		"Token.State": all, "State.State": all, "ReportAnswer.State": all,
		"Problem.Code": s.enums["Code"], "ReportAnswer.Verdict": s.enums["Verdict"], "Verdict.Answer": s.enums["Verdict"],
		"AppChange.Change": s.enums["Change"], "Status.Source": s.enums["Source"],
	}[field]
}

type object = map[string]any

// of returns the schema of a type, or a reference to it.
func (s *schemas) of(t reflect.Type) object {
	pointer := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case pointer.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string", "description": s.said[t.Name()]}
	case pointer.Implements(reflect.TypeFor[json.Marshaler]()):
		return object{"type": "object", "additionalProperties": object{"type": "string"}, "description": s.said[t.Name()]}
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.reference(t)
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int:
		return object{"type": "integer"}
	case reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	default:
		s.test.Fatalf("%s has no schema", t)
		return nil
	}
}

// reference makes the schema of a struct once.
func (s *schemas) reference(t reflect.Type) object {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if _, ok := s.made[name]; !ok {
		schema := object{"type": "object"}
		s.made[name] = schema // before its fields, which may refer to it
		properties, required := object{}, []string{}
		s.fields(t, properties, &required)
		schema["properties"] = properties
		if len(required) > 0 {
			slices.Sort(required)
			schema["required"] = required
		}
		if s.said[t.Name()] != "" {
			schema["description"] = s.said[t.Name()]
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// fields adds the fields of a struct as encoding/json writes them.
func (s *schemas) fields(t reflect.Type, properties object, required *[]string) {
	for field := range t.Fields() {
		tag := field.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case name == "-":
			continue
		case field.Anonymous && tag == "":
			s.fields(field.Type, properties, required)
			continue
		case name == "":
			s.test.Fatalf("%s.%s has no name on the wire", t, field.Name)
		}
		properties[name] = s.field(t, field, options)
		if options == "" {
			*required = append(*required, name)
		}
	}
}

func (s *schemas) field(t reflect.Type, field reflect.StructField, options string) object {
	id := t.Name() + "." + field.Name
	schema := s.of(field.Type)
	if choices := s.choices(id); choices != nil {
		schema["enum"] = choices
	}
	if field.Type.Kind() == reflect.Pointer && options == "" {
		schema["type"] = []any{schema["type"], "null"}
	}
	if s.said[id] != "" {
		schema["description"] = s.said[id]
	}
	return schema
}
