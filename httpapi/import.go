package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"sync"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// importLinger is how long the rest of a body may still come after an import was
// ended: cut off at once, its sender might not read why.
const importLinger = time.Second

// mostMade is how many apps that it would make a dry run remembers as parents of
// later lines: an import may have any number of lines, and a node has not the memory.
const mostMade = 10_000

func (a *API) importRoutes(r router) {
	r.handle(http.MethodPost, "/v1/import", a.authenticated(a.postImport, "dry_run", "replace_grant"))
}

// postImport applies the apps of its lines, and answers each line when it is done,
// while later ones are still being sent. Nothing is held of an import but the line
// that is worked on, so there is no bound on their number.
func (a *API) postImport(r request) (err error) {
	i := &importing{request: r, api: a, lines: newLines(r.Request.Body, maxAppBody), out: newEventWriter(r.Writer, a.streamWrite)}
	i.how.Act = &coordinator.Act{}
	if err := r.mayAny(coordinator.VerbAdmin); err != nil {
		return err
	}
	if i.totals.DryRun, err = r.query.flag("dry_run"); err != nil {
		return err
	}
	if i.how.ReplaceGrant, err = r.query.flag("replace_grant"); err != nil {
		return err
	}
	if media, _, err := mime.ParseMediaType(r.GetHeader("Content-Type")); err != nil || media != client.NDJSON {
		return errNotLines
	}
	if !a.node.Health().Synced {
		return coordinator.ErrNotSynced
	}
	i.duplex()
	defer i.stopReading()
	defer i.watchDraining()()
	return i.run()
}

// duplex lets answers begin before the body has ended, as HTTP/2 does by itself. The
// connection is closed at the end: net/http may have left a part of the body on it,
// and would take that for the next request.
func (i *importing) duplex() {
	if i.Request.ProtoMajor == 1 {
		_ = i.out.control.EnableFullDuplex()
		i.Writer.Header()["Connection"] = []string{"close"}
	}
}

// importing is one import under way.
type importing struct {
	request // its client is the one it was when it was last looked at

	api    *API
	how    coordinator.Applying
	lines  *lines
	out    *eventWriter
	totals client.ImportTotals
	made   map[string]struct{} // apps that a dry run would have made, the first mostMade
	began  bool                // to answer
	whole  bool                // the body was read to its end

	mu      sync.Mutex // guards the next one, and the deadline of reads with it
	waiting bool       // for the sender
}

// run answers line by line. The error is for an import of which nothing was answered.
func (i *importing) run() error {
	for {
		line, err := i.next()
		switch {
		case errors.Is(err, io.EOF):
			i.whole = true
			return i.end(nil)
		case errors.Is(err, errLongLine):
			err = i.answer(client.ImportAnswer{}, err)
		case err != nil:
			return i.end(err)
		case len(line) > 0:
			err = i.take(line)
		}
		if err != nil {
			return i.end(err)
		}
	}
}

// next reads a line. The sender has its time for each anew: an import may take as
// long as it needs, and one that stands still is ended.
func (i *importing) next() ([]byte, error) {
	i.wait(time.Now().Add(i.api.importPause))
	if err := i.mayGoOn(); err != nil {
		return nil, err
	}
	line, err := i.lines.next()
	i.wait(time.Time{})
	switch {
	case err == nil:
		i.client, err = i.api.authenticate(i.Request) // it may have lost its key while it was waited for
		return line, err
	case errors.Is(err, io.EOF), errors.Is(err, errLongLine):
		return nil, err
	case i.api.node.Health().Draining:
		return nil, errDraining
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errImportPause
	}
	return nil, errImportBroke
}

// wait gives the sender a time, or none while a line is worked on: over HTTP/1 a
// deadline that passes after the last line would end the request.
func (i *importing) wait(until time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.waiting = !until.IsZero()
	_ = i.out.control.SetReadDeadline(until)
}

// waitNoMore wakes who waits for the sender.
func (i *importing) waitNoMore() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.waiting {
		_ = i.out.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// mayGoOn looks at what may have changed while the import runs.
func (i *importing) mayGoOn() error {
	if i.api.node.Health().Draining {
		return errDraining
	}
	_, err := i.api.authenticate(i.Request)
	return err
}

// watchDraining wakes who waits for the sender when the node drains.
func (i *importing) watchDraining() (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			moved := i.api.node.Moved()
			if i.api.node.Health().Draining {
				i.waitNoMore()
				return
			}
			select {
			case <-moved:
			case <-over:
				return
			}
		}
	}()
	return func() { close(over); <-ended }
}

// take applies the app of a line. What is wrong with a line is answered; what is
// wrong with the node or its store would be so with the next one, and is returned.
func (i *importing) take(line []byte) error {
	name, body, err := readLine(line)
	done := client.ImportAnswer{App: name}
	if err == nil {
		err = i.apply(&done, body)
	}
	if failed := i.answer(done, err); failed != nil {
		return failed
	}
	if found, _ := problemOf(err); err != nil && found.status >= http.StatusInternalServerError {
		return err
	}
	return nil
}

func (i *importing) apply(done *client.ImportAnswer, body client.App) error {
	if err := i.mayApp(done.App, coordinator.VerbAdmin); err != nil {
		return err
	}
	app, err := i.appOf(done.App, body)
	if err != nil {
		return err
	}
	if i.totals.DryRun {
		return i.preview(done, app)
	}
	ctx, cancel := i.api.limited(i.request, 0)
	defer cancel()
	applied, err := i.api.node.Apply(ctx, app, i.how)
	if err != nil {
		return i.hideTwin(err)
	}
	done.Change, done.GrantKept = string(applied.Change), applied.GrantKept
	return nil
}

// preview says what would be. A parent that a line before would make is not there
// to check its children against.
func (i *importing) preview(done *client.ImportAnswer, app coordinator.App) error {
	if _, known := i.api.node.App(app.Parent); !known && i.mayBeMade(app.Parent) {
		done.Change, done.Unchecked = string(coordinator.ChangeCreated), true
		if _, exists := i.api.node.App(app.Name); exists {
			done.Change = string(coordinator.ChangeUpdated)
		}
	} else {
		would, err := i.api.node.Preview(app, i.how)
		if err != nil {
			return i.hideTwin(err)
		}
		done.Change, done.GrantKept = string(would.Change), would.GrantKept
	}
	if done.Change == string(coordinator.ChangeCreated) && len(i.made) < mostMade {
		if i.made == nil {
			i.made = map[string]struct{}{}
		}
		i.made[app.Name] = struct{}{}
	}
	return nil
}

// mayBeMade reports whether a line before would have made a parent: also where there
// were too many of them to know.
func (i *importing) mayBeMade(parent string) bool {
	_, made := i.made[parent]
	return made || parent != "" && len(i.made) == mostMade
}

// answer counts and tells what became of the line read last.
func (i *importing) answer(done client.ImportAnswer, err error) error {
	done.Line = i.lines.number
	switch {
	case err != nil:
		done.Problem = i.problem(err)
		i.totals.Refused++
	case done.Change == client.ChangeCreated:
		i.totals.Created++
	case done.Change == client.ChangeUpdated:
		i.totals.Updated++
	default:
		i.totals.Unchanged++
	}
	return i.write(done)
}

// end tells the totals, and why the import ended early, if it did.
func (i *importing) end(why error) error {
	switch {
	case why == nil:
	case !i.began:
		return why
	default:
		i.totals.Error = i.problem(why)
	}
	_ = i.write(client.ImportAnswer{Totals: &i.totals}) // a client that has gone needs no error
	_ = i.out.extend()                                  // for the last bytes, which net/http writes
	return nil
}

// stopReading bounds what net/http still reads of a body behind us.
func (i *importing) stopReading() {
	if !i.whole {
		_ = i.out.control.SetReadDeadline(time.Now().Add(importLinger))
	}
}

// problem is an error as an import tells it. One that no table knows is logged.
func (i *importing) problem(err error) *client.Problem {
	found, known := problemOf(err)
	if !known {
		i.api.log.ErrorContext(i.ctx(), "import failed", "line", i.lines.number, "err", err)
	}
	p := wireProblem(http.MethodPost, found, err)
	return &p
}

// write sends one line. Its error is errUnread.
func (i *importing) write(line client.ImportAnswer) error {
	if !i.began {
		i.began = true
		header := i.Writer.Header()
		header["Content-Type"] = []string{client.NDJSON}
		header["X-Accel-Buffering"] = []string{"no"} // or a proxy would collect answers
		i.Status(http.StatusOK)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(line)
	if err == nil {
		err = i.out.write(text.Bytes())
	}
	if err == nil {
		err = i.out.flush()
	}
	if err != nil {
		return errUnread
	}
	return nil
}

// errUnread ends an import whose client does not read the answers, or has gone.
var errUnread = fmt.Errorf("nobody reads the answers: %w", context.Canceled)
