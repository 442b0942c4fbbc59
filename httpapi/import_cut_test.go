package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/httpapi"
)

// rawImport writes the beginning of an import as it is on a connection of its own.
func (n *station) rawImport(text string) io.ReadWriteCloser {
	n.test.Helper()
	conn, err := n.dial(n.test.Context(), "", "")
	n.test.must(err)
	n.closes = append(n.closes, func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /v1/import HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer "+bootstrapKey+
		"\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"+text)
	n.test.must(err)
	return conn
}

func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// A body that breaks off within a line leaves nothing of that line, also where what
// came of it could be read.
func TestAnImportThatBreaksOffAppliesWholeLines(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		conn := n.rawImport(chunk(importLine("a") + strings.TrimSpace(importLine("b"))))
		go func() { _, _ = io.WriteString(conn, "this is no chunk\r\n") }()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // readImport does
		got := readImport(s.T, resp, err)
		got.is("1 a created", "1+0+0 done, 0 refused, invalid_request")
		if apps := n.Apps(); len(apps) != 1 {
			s.Errorf("half a line made an app: %v", apps)
		}
	})
}

// One that is refused or ended leaves nothing on its connection that could be taken
// for another request.
func TestTheRestOfAnImportIsNoRequest(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		conn := n.rawImport(chunk(importLine("a")))
		synctest.Wait()
		n.Drain()
		answers := bufio.NewReader(conn)
		resp, err := http.ReadResponse(answers, nil) //nolint:bodyclose // readImport does
		readImport(s.T, resp, err).is("1 a created", "1+0+0 done, 0 refused, draining")
		go func() { _, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: node\r\n\r\n") }()
		if rest, _ := io.ReadAll(answers); len(rest) > 0 {
			s.Errorf("what followed an import was answered: %s", rest)
		}
	})
}

// A node that drains ends the line that is worked on as ever.
func TestDrainingLetsALineBeDone(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		n.store.Partition()
		answered := make(chan imported, 1)
		go func() {
			resp, err := n.http.Do(importRequest(s.Context(), "http://node/v1/import", bootstrapKey, strings.NewReader(importLine("a")))) //nolint:bodyclose // readImport does
			answered <- readImport(s.T, resp, err)
		}()
		synctest.Wait()
		n.Drain()
		synctest.Wait()
		n.store.Heal()
		got := <-answered
		got.is("1 a created", "1+0+0 done, 0 refused, draining")
	})
}

// Nobody who does not read the answers holds up a node.
func TestAnImportWhoseAnswersAreNotReadIsCutOff(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n := s.join("n1")
		conn := n.rawImport(chunk(importLine("a")))
		began := time.Now()
		ended := make(chan error)
		go func() {
			_, err := io.WriteString(conn, chunk(strings.Repeat(importLine("b"), 10_000)))
			ended <- err
		}()
		if err := <-ended; err == nil {
			s.Error("all was taken")
		}
		if waited := time.Since(began); waited < httpapi.DefaultStreamWrite || waited > httpapi.DefaultStreamWrite+5*time.Second {
			s.Errorf("cut off after %s", waited)
		}
		synctest.Wait()
	})
}

func TestAnImportEndsWhenItsClientGoesAway(t *testing.T) {
	overBoth(t, func(s *streaming, n *station) {
		ctx, leave := context.WithCancel(s.Context())
		out, in := io.Pipe()
		left := make(chan struct{})
		go func() {
			defer close(left)
			resp, err := n.http.Do(importRequest(ctx, "http://node/v1/import", bootstrapKey, out))
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}()
		_, err := io.WriteString(in, importLine("a"))
		s.must(err)
		synctest.Wait()
		leave()
		<-left
		_ = in.Close()
		time.Sleep(2 * time.Minute)
		if apps := n.Apps(); len(apps) != 1 { // and the bubble ends, so nothing of the import runs on
			s.Errorf("there are %v", apps)
		}
	})
}
