package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestASilentStreamIsLeft has a node that answers and then says nothing more.
func TestASilentStreamIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		first string
		want  time.Duration
	}{"after its headers": {"", silenceLimit}, "in the middle": {": beat\n\n", silenceLimit}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientOf(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					in, out := io.Pipe()
					context.AfterFunc(r.Context(), func() { _ = out.CloseWithError(r.Context().Err()) })
					body := struct {
						io.Reader
						io.Closer
					}{io.MultiReader(strings.NewReader(test.first), in), in}
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}, nil
				}), "x")
				began := time.Now()
				for event, err := range c.Stream(t.Context()) {
					if took := time.Since(began); !errors.Is(err, errSilent) || took != test.want {
						t.Errorf("told %v, %v after %s", event, err, took)
					}
					break
				}
			})
		})
	}
}

// TestASlowLoopIsNoSilenceOfTheNode is busy with an event for longer than a node may be silent.
func TestASlowLoopIsNoSilenceOfTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			text := strings.NewReader("event: synced\ndata: {}\n\nevent: deleted\ndata: {\"app\":\"a\",\"token\":\"b\"}\n\nevent: token\ndata: {\"app\":\"a\",\"token\":\"b\",\"value\":\"v\",\"version\":1}\n\n")
			if r.Context().Err() != nil {
				return nil, r.Context().Err()
			}
			body := readerFunc(func(p []byte) (int, error) {
				if r.Context().Err() != nil {
					return 0, r.Context().Err()
				}
				return text.Read(p[:1])
			})
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(body)}, nil
		}), "x")
		var kinds []string
		for event, err := range c.Stream(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, event.Kind)
			if event.Kind == EventToken {
				break
			}
			time.Sleep(2 * silenceLimit)
		}
		if got := strings.Join(kinds, " "); got != "synced token" {
			t.Errorf("told %s", got)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
