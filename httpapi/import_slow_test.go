package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/httpapi/client"
)

// sending is an import whose lines a test sends one by one.
type sending struct {
	*station

	lines *io.PipeWriter
	got   chan imported
}

func (n *station) sendImport(ctx context.Context, key string) *sending {
	out, in := io.Pipe()
	s := &sending{station: n, lines: in, got: make(chan imported, 1)}
	go func() {
		// Also where it could not be read.
		defer close(s.got)
		resp, err := n.http.Do(importRequest(ctx, "http://node/v1/import", key, out)) //nolint:bodyclose // readImport does
		s.got <- readImport(n.test.T, resp, err)
	}()
	return s
}

func (s *sending) line(name string) {
	s.test.Helper()
	if _, err := io.WriteString(s.lines, importLine(name)); err != nil {
		s.test.Errorf("sending %s: %v", name, err)
	}
	synctest.Wait()
}

// overBoth runs a test over HTTP/1 and HTTP/2, in virtual time.
func overBoth(t *testing.T, test func(s *streaming, n *station)) {
	t.Helper()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP%d", version), func(t *testing.T) {
			inBubble(t, func(s *streaming) {
				n := s.join("n1")
				if version == 2 {
					n.overHTTP2()
				}
				test(s, n)
			})
		})
	}
}

func TestAnImportOutlivesTheLimitsOfRequests(t *testing.T) {
	overBoth(t, func(s *streaming, n *station) {
		i := n.sendImport(s.Context(), bootstrapKey)
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			time.Sleep(httpapi.DefaultImportPause - time.Second)
			i.line(name)
		}
		s.must(i.lines.Close())
		got := <-i.got
		got.is("1 a created", "2 b created", "3 c created", "4 d created", "5 e created", "6 f created", "6+0+0 done, 0 refused")
	})
}

func TestASenderThatStandsStillIsCutOff(t *testing.T) {
	overBoth(t, func(s *streaming, n *station) {
		i := n.sendImport(s.Context(), bootstrapKey)
		i.line("a")
		began := time.Now()
		_, err := io.WriteString(i.lines, importLine("b")[:30])
		s.must(err)
		got := <-i.got
		if waited := time.Since(began); waited < httpapi.DefaultImportPause || waited > httpapi.DefaultImportPause+5*time.Second {
			s.Errorf("cut off after %s", waited)
		}
		got.is("1 a created", "1+0+0 done, 0 refused, request_timeout")
		if apps := n.Apps(); len(apps) != 1 {
			s.Errorf("half a line made an app: %v", apps)
		}
		s.must(i.lines.Close())
	})
}

func TestAnImportEndsWhereItsNodeDrains(t *testing.T) {
	overBoth(t, func(s *streaming, n *station) {
		i := n.sendImport(s.Context(), bootstrapKey)
		i.line("a")
		began := time.Now()
		n.Drain()
		got := <-i.got
		got.is("1 a created", "1+0+0 done, 0 refused, draining")
		if waited := time.Since(began); waited > 5*time.Second {
			s.Errorf("the import ended %s after its node began to drain", waited)
		}
		s.must(i.lines.Close())
		i = n.sendImport(s.Context(), bootstrapKey)
		again := <-i.got
		s.must(i.lines.Close())
		if again.status != http.StatusServiceUnavailable || !strings.Contains(again.text, client.CodeDraining) {
			s.Errorf("an import of a node that drains: status %d: %s", again.status, again.text)
		}
	})
}

func TestAnImportEndsWithTheRightsOfItsClient(t *testing.T) {
	overBoth(t, func(s *streaming, n *station) {
		s.must(n.AddClient(s.Context(), coordinator.Client{
			Name: "loader", Digest: coordinator.DigestOf(coordinator.NewSecret("loader-key")), Can: map[coordinator.Verb][]string{coordinator.VerbAdmin: {"**"}},
		}))
		i := n.sendImport(s.Context(), "loader-key")
		i.line("a")
		s.must(n.RemoveClient(s.Context(), "api:test", "loader"))
		synctest.Wait()
		i.line("b") // it is waited for already as the client goes
		got := <-i.got
		got.is("1 a created", "1+0+0 done, 0 refused, unauthenticated")
		if apps := n.Apps(); len(apps) != 1 {
			s.Errorf("who was taken the key from made %v", apps)
		}
		s.must(i.lines.Close())
	})
}
