package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxFrame bounds one event of a stream, in bytes; it is far above any token.
const maxFrame = 1 << 20

var errFrameTooLong = fmt.Errorf("the stream holds an event of more than %d bytes", maxFrame)

// frame is one event of text/event-stream as it travels.
type frame struct {
	id    string // of this event or the last one before it that had one
	event string
	data  []byte // valid until the next frame is read
}

// frames reads a text/event-stream. Lines end with LF or CRLF; an event that
// the end of the stream cuts short is dropped, as its standard says.
type frames struct {
	in    *bufio.Reader
	heard func()        // called after each line, comments included
	retry time.Duration // the server asked for, before one comes back; zero: not said
	id    string
	line  []byte
	data  []byte
}

func newFrames(in io.Reader, heard func()) *frames {
	return &frames{in: bufio.NewReader(in), heard: heard}
}

// next returns the next event that has data. Its errors hold nothing of what was read.
func (f *frames) next() (frame, error) {
	f.data = f.data[:0]
	event, hasData := "", false
	for {
		line, err := f.readLine()
		if err != nil {
			return frame{}, err
		}
		f.heard()
		if len(line) == 0 {
			if hasData {
				return frame{id: f.id, event: event, data: f.data[:len(f.data)-1]}, nil
			}
			event = ""
			continue
		}
		field, value := cutField(line)
		switch field {
		case "event":
			event = string(value)
		case "data":
			if len(f.data)+len(value) >= maxFrame {
				return frame{}, errFrameTooLong
			}
			hasData = true
			f.data = append(append(f.data, value...), '\n')
		default:
			f.set(field, value)
		}
	}
}

// set takes a field that lasts beyond its event. Comments and unknown fields say nothing.
func (f *frames) set(field string, value []byte) {
	switch field {
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			f.id = string(value)
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			f.retry = time.Duration(ms) * time.Millisecond
		}
	}
}

// cutField splits "name: value"; a comment has no name.
func cutField(line []byte) (field string, value []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	return string(name), bytes.TrimPrefix(value, []byte(" "))
}

// readLine reads one line without its end.
func (f *frames) readLine() ([]byte, error) {
	f.line = f.line[:0]
	for {
		part, err := f.in.ReadSlice('\n')
		if len(f.line)+len(part) > maxFrame {
			return nil, errFrameTooLong
		}
		f.line = append(f.line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(f.line[:len(f.line)-1], []byte("\r")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
