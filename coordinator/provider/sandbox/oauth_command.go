package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Issue does what a user's consent does: it begins a grant for the subject and
// returns its first refresh token. Grants given before live on. It is no call in
// the Report.
func (s *Sandbox) Issue(clientID, subject string) (refreshToken string, err error) {
	p := s.oauth
	p.mu.Lock()
	defer p.mu.Unlock()
	acc := p.clients[clientID]
	if acc == nil {
		acc = p.welcomeLocked(clientID)
	}
	if acc == nil {
		return "", fmt.Errorf("granting to %q: %w", clientID, ErrUnknownClient)
	}
	return p.openLocked(acc, subject).newest.text, nil
}

// Revoke does what a user does who takes a consent back: all grants of the subject
// end, with their access tokens. It returns how many lived.
func (s *Sandbox) Revoke(clientID, subject string) (revoked int, err error) {
	p := s.oauth
	p.mu.Lock()
	defer p.mu.Unlock()
	acc := p.clients[clientID]
	if acc == nil {
		return 0, fmt.Errorf("revoking for %q: %w", clientID, ErrUnknownClient)
	}
	for _, f := range acc.families {
		if f.subject == subject && !f.revoked {
			p.revokeLocked(acc, f, time.Now())
			revoked++
		}
	}
	return revoked, nil
}

// CurrentRefresh returns the newest refresh token of the subject's newest grant, if
// it lives. A caller who keeps another one, or none, has lost the grant.
func (s *Sandbox) CurrentRefresh(clientID, subject string) (value string, ok bool) {
	p := s.oauth
	p.mu.Lock()
	defer p.mu.Unlock()
	acc := p.clients[clientID]
	if acc == nil {
		return "", false
	}
	for _, f := range acc.families {
		if f.subject == subject {
			value, ok = f.newest.text, !f.revoked
		}
	}
	return value, ok
}

// LiveRefresh reports whether a refresh token is worth keeping: whether presenting
// it would be granted now and however much later. Of one that was replaced that is
// true only where replaced ones live on; the grace of RotateGrace does not count,
// because it ends.
func (s *Sandbox) LiveRefresh(clientID, value string) bool {
	p := s.oauth
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.refreshes[value]
	return t != nil && t.family.client == clientID && t.living(p.clients[clientID].client.Rotation)
}

// knows reports whether an access token works now.
func (p *oauth) knows(value string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.access[value].alive(time.Now())
}

// end kills an access token.
func (p *oauth) end(value string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, t := time.Now(), p.access[value]
	if !t.alive(now) {
		return false
	}
	t.dies = now
	return true
}

func (s *Sandbox) listClients(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.oauth.list())
}

// changeClient decodes over the client as it is, so that absent fields stay.
func (s *Sandbox) changeClient(body []byte) (any, error) {
	var named struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal(body, &named); err != nil {
		return nil, err
	}
	if named.ID == "" {
		return nil, errors.New("client: say which client_id")
	}
	var changed OAuthClient
	err := s.UpdateOAuthClient(named.ID, func(client *OAuthClient) error {
		err := decodeStrict(body, client)
		changed = *client
		return err
	})
	changed.Secret = ""
	return changed, err
}

// consent is the order of both grant commands.
type consent struct {
	ClientID string `json:"client_id"`
	Subject  string `json:"subject"`
}

// giveGrant is the one command that answers a value: somebody must hand it to the
// program under test.
func (s *Sandbox) giveGrant(body []byte) (any, error) {
	var order consent
	if err := decodeStrict(body, &order); err != nil {
		return nil, err
	}
	value, err := s.Issue(order.ClientID, order.Subject)
	if err != nil {
		return nil, err
	}
	return map[string]string{"refresh_token": value, "digest": digest(value)}, nil
}

func (s *Sandbox) takeGrant(body []byte) (any, error) {
	var order consent
	if err := decodeStrict(body, &order); err != nil {
		return nil, err
	}
	revoked, err := s.Revoke(order.ClientID, order.Subject)
	return map[string]int{"revoked": revoked}, err
}
