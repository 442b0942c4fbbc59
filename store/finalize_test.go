package store

import (
	"errors"
	"strings"
	"testing"

	"freshet/coordinator"
)

func TestTheFormatIsRaisedToWhatEveryNodeReads(t *testing.T) {
	s, c := open(t), raw(t)
	must(t, s.PutPaused(soon(t), nil))
	register := func(name string, newest int) {
		n := coordinator.NodeInfo{Name: name, SchemaMin: 1, SchemaMax: newest}
		must(t, second(c.Put(soon(t), s.keys.of(n), string(encodeRecord(n)))))
	}
	register("old", format)
	register("new", format+1)
	if got, err := s.Finalize(soon(t)); got != format || err != nil {
		t.Errorf("with an old node the format is %d, error %v; want %d", got, err, format)
	}
	register("old", format+1)
	if got, err := s.Finalize(soon(t)); got != format+1 || err != nil {
		t.Errorf("with new nodes only the format is %d, error %v; want %d", got, err, format+1)
	}
	err := open(t).PutPaused(soon(t), nil)
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "upgrade this node") {
		t.Errorf("an old node that starts then gets error %v", err)
	}
	register("old", format)
	if got, err := s.Finalize(soon(t)); got != format+1 || err != nil {
		t.Errorf("the format went back to %d, error %v", got, err)
	}
}

func TestAFormatThatIsTooOldIsRefusedWithWhatToDo(t *testing.T) {
	s := open(t)
	must(t, second(raw(t).Put(soon(t), s.keys.schema(), string(encode(schema{Format: formatMin - 1}, schemaFields)))))
	if err := s.PutPaused(soon(t), nil); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "freshet finalize") {
		t.Errorf("got error %v, want one that says what to do", err)
	}
}
