package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

type readFrame struct{ ID, Event, Data string }

func readFrames(in io.Reader) (all []readFrame, f *frames, err error) {
	f = newFrames(in, func() {})
	for {
		next, err := f.next()
		if err != nil {
			return all, f, err
		}
		all = append(all, readFrame{next.id, next.event, string(next.data)})
	}
}

func TestFramesOfAStreamAreRead(t *testing.T) {
	const text = "retry: 1500\n\n: beat\n\nid: 7\nevent: token\ndata: {\ndata:}\n\n" +
		"event: lost\n\ndata: no id\r\n\r\nid: 8\nunknown: x\ndata\n\nid: nul\x00\ndata: last\n\nid: 9\ndata: cut short"
	want := []readFrame{{"7", "token", "{\n}"}, {"7", "", "no id"}, {"8", "", ""}, {"8", "", "last"}}
	for name, in := range map[string]io.Reader{
		"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
	} {
		got, f, err := readFrames(in)
		if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, io.EOF) || f.retry.Milliseconds() != 1500 {
			t.Errorf("%s: error %v, retry %v, (-want +got):\n%s", name, err, f.retry, diff)
		}
	}
}

func TestAFrameIsBounded(t *testing.T) {
	line := "data: " + strings.Repeat("x", maxFrame/4) + "\n"
	for name, text := range map[string]string{
		"one line":   strings.Repeat("x", maxFrame+1),
		"many lines": strings.Repeat(line, 5) + "\n",
	} {
		if got, f, err := readFrames(strings.NewReader(text)); !errors.Is(err, errFrameTooLong) || len(got) > 0 || cap(f.data)+cap(f.line) > 4*maxFrame {
			t.Errorf("%s: %d events, error %v", name, len(got), err)
		}
	}
	if got, _, _ := readFrames(strings.NewReader(strings.Repeat(line, 3) + "\n")); len(got) != 1 || len(got[0].Data) < maxFrame/2 {
		t.Error("a large event is not read")
	}
}

// FuzzFrames compares with a reader that has all of the text before it.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{"id: 1\nevent: token\ndata: {}\n\n", ": beat\n\n", "data\r\n\r\n", "data: a\ndata: b\n\n\n", "retry: 99999999999999999999\n\n", "id:\x00\ndata:  x\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := readFrames(iotest.HalfReader(strings.NewReader(text)))
		if err == nil || len(text) < maxFrame && !errors.Is(err, io.EOF) {
			t.Fatalf("ended with %v", err)
		}
		if diff := cmp.Diff(slowFrames(text), got); diff != "" && len(text) < maxFrame {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func slowFrames(text string) (all []readFrame) {
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return nil
	}
	var id, event string
	var data []string
	for line := range strings.SplitSeq(text[:end], "\n") {
		line = strings.TrimSuffix(line, "\r")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				all = append(all, readFrame{id, event, strings.Join(data, "\n")})
			}
			event, data = "", nil
		case name == "event":
			event = value
		case name == "data":
			data = append(data, value)
		case name == "id" && !strings.Contains(value, "\x00"):
			id = value
		}
	}
	return all
}
