package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// lineBuffer is how much of a body is read at once.
const lineBuffer = 64 << 10

// lines reads a body line by line. It holds one line at a time.
type lines struct {
	from   *bufio.Reader
	most   int // bytes of a line
	number int // of the line read last, from 1
	text   []byte
}

func newLines(body io.Reader, most int) *lines {
	return &lines{from: bufio.NewReaderSize(body, lineBuffer), most: most}
}

// next returns the next line without its end; it is good until the one after it is
// read. One that is too long is errLongLine, and is passed over. After the last
// line, which needs no end, it is io.EOF. With any other error the rest of a line
// that was not read whole is lost.
func (l *lines) next() ([]byte, error) {
	l.text = l.text[:0]
	l.number++
	long := false
	for {
		part, err := l.from.ReadSlice('\n')
		long = long || len(l.text)+len(bytes.TrimRight(part, "\r\n")) > l.most
		if !long {
			l.text = append(l.text, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(l.text) == 0 && !long):
			return nil, err
		case long:
			return nil, errLongLine
		}
		return l.trimmed(), nil
	}
}

// trimmed is the line without blanks around it, and without the mark that some
// programs of Windows put before the first one.
func (l *lines) trimmed() []byte {
	text := l.text
	if l.number == 1 {
		text = bytes.TrimPrefix(text, []byte("\ufeff"))
	}
	return bytes.TrimSpace(text)
}

// readLine decodes one line of an import. The name is returned beside an error as
// well, if it could be read and is one.
func readLine(line []byte) (name string, app client.App, err error) {
	var read client.ImportApp
	if err := decodeStrict("the line", line, &read); err != nil {
		if coordinator.CheckAppName(read.Name) == nil {
			name = read.Name
		}
		return name, client.App{}, err
	}
	if read.Name == "" {
		return "", client.App{}, coordinator.Invalidf(`the line names no app: give it a field "name"`)
	}
	if err := coordinator.CheckAppName(read.Name); err != nil {
		return "", client.App{}, coordinator.Invalidf("%v", err)
	}
	return read.Name, read.App, nil
}
