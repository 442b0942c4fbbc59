package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"sync/atomic"
)

// NDJSON is the media type of an import and its answers: one JSON object a line.
const NDJSON = "application/x-ndjson"

// ImportApp is one line of an import: an app and its name.
type ImportApp struct {
	Name string `json:"name"`
	App
}

// ImportAnswer is one line of the answer to an import: what became of one line
// of it, or, as the last one, Totals alone.
type ImportAnswer struct {
	Line    int      `json:"line,omitempty"` // of the import, from 1; blank ones count, and get no answer
	App     string   `json:"app,omitempty"`  // as far as the line could be read
	Change  string   `json:"change,omitempty"`
	Problem *Problem `json:"problem,omitempty"` // why the line was refused

	// GrantKept means that the refresh token that was given did not replace the
	// one the cluster keeps; see ApplyOptions.ReplaceGrant.
	GrantKept bool `json:"grant_kept,omitempty"`

	// Unchecked means that, with ApplyOptions.DryRun, the app could not be checked
	// against its parent, which the import would make first.
	Unchecked bool `json:"unchecked,omitempty"`

	Totals *ImportTotals `json:"totals,omitempty"`
}

// ImportTotals end the answer to an import. One without them was cut off.
type ImportTotals struct {
	Created   int      `json:"created"`
	Updated   int      `json:"updated"`
	Unchanged int      `json:"unchanged"`
	Refused   int      `json:"refused"`
	DryRun    bool     `json:"dry_run,omitempty"` // nothing was written
	Error     *Problem `json:"error,omitempty"`   // why the import ended before its last line
}

// Done counts the apps that are as their lines say.
func (t ImportTotals) Done() int { return t.Created + t.Updated + t.Unchanged }

// Import applies many apps. Each line is an ImportApp; a parent comes before its
// children. It yields what became of each line while later ones are still being
// sent, and the totals last. A line that is refused stops nothing. An error is the
// last thing that is yielded: then nobody knows what became of the lines that were
// not answered, and the same import can be made again, since what is there already
// is left unchanged. Where Totals say an error it is for the caller to do so.
func (c *Client) Import(ctx context.Context, lines io.Reader, opts ApplyOptions) iter.Seq2[ImportAnswer, error] {
	return func(yield func(ImportAnswer, error) bool) {
		body, err := c.openImport(ctx, lines, opts)
		if err != nil {
			yield(ImportAnswer{}, err)
			return
		}
		defer func() { _ = body.Close() }()
		for answer, err := range importAnswers(body) {
			if !yield(answer, err) {
				return
			}
		}
	}
}

// openImport sends an import to the first node that takes it. Its lines can be
// read only once, so that no other node is asked once one has begun to read.
func (c *Client) openImport(ctx context.Context, lines io.Reader, opts ApplyOptions) (io.ReadCloser, error) {
	sent := &sentLines{from: lines}
	var err error
	for _, n := range c.nodes.inOrder() {
		var body io.ReadCloser
		body, err = c.sendImport(ctx, c.nodes.address(n), sent, opts)
		if err == nil {
			c.nodes.worked(n)
			return body, nil
		}
		if notThisNode(ctx, call{}, err) {
			c.nodes.failed(n)
		}
		if ctx.Err() != nil || sent.begun.Load() || !anotherMayImport(err) {
			return nil, err
		}
	}
	return nil, err
}

// anotherMayImport reports whether another node may take what this one did not.
func anotherMayImport(err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.anotherNode() || p.fromBetween()
	}
	_, network := errors.AsType[*net.OpError](err)
	return network
}

func (c *Client) sendImport(ctx context.Context, address string, lines io.Reader, opts ApplyOptions) (io.ReadCloser, error) {
	req, err := c.request(ctx, address, call{method: http.MethodPost, path: "/v1/import", query: opts.query()}, nil)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(lines) // a call that failed must not close what the next one sends
	req.ContentLength = -1
	req.Header.Set("Content-Type", NDJSON)
	req.Header.Set("Accept", NDJSON)
	req.Header.Set("Expect", "100-continue") // a node that refuses has read nothing then
	return c.openAnswer(address, req)
}

// sentLines notices that they begin to be sent.
type sentLines struct {
	from  io.Reader
	begun atomic.Bool
}

func (s *sentLines) Read(p []byte) (int, error) {
	s.begun.Store(true)
	return s.from.Read(p)
}

var errNoTotals = errors.New("the answer to the import broke off before its end: what became of the lines that were not answered is not known; make the same import again")

// importAnswers reads answers up to the one with totals. One that ends before is an error.
func importAnswers(body io.Reader) iter.Seq2[ImportAnswer, error] {
	return func(yield func(ImportAnswer, error) bool) {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxFrame)
		for lines.Scan() {
			var answer ImportAnswer
			if json.Unmarshal(lines.Bytes(), &answer) != nil {
				break // half a line
			}
			if !yield(answer, nil) || answer.Totals != nil {
				return
			}
		}
		err := errNoTotals
		if lines.Err() != nil {
			err = fmt.Errorf("%w (%w)", errNoTotals, lines.Err())
		}
		yield(ImportAnswer{}, err)
	}
}
