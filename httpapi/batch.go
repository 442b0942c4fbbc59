package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"freshet/coordinator"
)

// getTokens answers many values at once: for each name, in the order they were
// asked for, its value or the problem that a read of it would meet. It never waits.
func (a *API) getTokens(r request) error {
	names, err := r.query.tokenNames()
	if err != nil {
		return err
	}
	var want coordinator.Want
	if want.MinTTL, err = r.query.duration("min_ttl"); err != nil {
		return err
	}
	body := []byte(`{"tokens":[`)
	for i, name := range names {
		if i > 0 {
			body = append(body, ',')
		}
		if body, err = a.appendResult(r, body, name, want); err != nil {
			return err
		}
	}
	body = append(body, "]}\n"...)
	header := r.Writer.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	r.Status(http.StatusOK)
	_, _ = r.Writer.Write(body) // a client that has gone needs no error
	return nil
}

// tokenNames reads a list of single names, each once.
func (q query) tokenNames() ([]coordinator.Name, error) {
	entries, given, err := q.names()
	if err != nil {
		return nil, err
	}
	if !given {
		return nil, coordinator.Invalidf("names is missing: list the tokens to read, e.g. ?names=shop/access_token,crm")
	}
	names := make([]coordinator.Name, len(entries))
	seen := make(map[coordinator.Name]struct{}, len(entries))
	for i, entry := range entries {
		if names[i], err = coordinator.ParseName(entry); err != nil {
			return nil, coordinator.Invalidf("names: %v; patterns are for streams", err)
		}
		if _, again := seen[names[i]]; again {
			return nil, coordinator.Invalidf("names: %.80q is given twice", names[i].String())
		}
		seen[names[i]] = struct{}{}
	}
	return names, nil
}

// appendResult appends what became of one name.
func (a *API) appendResult(r request, to []byte, name coordinator.Name, want coordinator.Want) ([]byte, error) {
	to = append(to, `{"name":"`...)
	to = append(to, name.String()...) // a name needs no escaping
	v, err := a.readOne(r, name, want)
	if err == nil {
		to = append(to, `","token":`...)
		to = appendToken(to, v, time.Now(), a.headers.node[0])
		return append(bytes.TrimSuffix(to, []byte("\n")), '}'), nil
	}
	p := a.tokenProblem(r, err)
	p.App, p.Token = name.App, name.Token
	problem, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	to = append(to, `","problem":`...)
	to = append(to, problem...)
	return append(to, '}'), nil
}

func (a *API) readOne(r request, name coordinator.Name, want coordinator.Want) (*coordinator.View, error) {
	if err := r.may(name, coordinator.VerbRead); err != nil {
		return nil, err
	}
	return a.node.Read(r.ctx(), name, want)
}
