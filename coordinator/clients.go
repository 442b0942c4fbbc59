package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// BootstrapName is the client that the bootstrap key of the configuration authenticates.
const BootstrapName = "bootstrap"

// bootstrapClient may do everything; without a key it is nobody.
func bootstrapClient(key Secret) Client {
	if key.IsZero() {
		return Client{}
	}
	can := map[Verb][]string{}
	for _, verb := range Verbs() {
		can[verb] = []string{"**"}
	}
	return Client{Name: BootstrapName, Digest: DigestOf(key), Can: can}
}

// Authenticate finds the client of a key. Unknown and expired keys are nobody's.
func (n *Node) Authenticate(key Secret) (Client, bool) {
	if key.IsZero() {
		return Client{}, false
	}
	digest := DigestOf(key)
	client, ok := (*n.cache.clients.Load())[digest]
	if !ok && n.bootstrap.Name != "" && digest == n.bootstrap.Digest {
		return n.bootstrap, true
	}
	if ok && !client.Expires.IsZero() && !n.now().Before(client.Expires) {
		return Client{}, false
	}
	return client, ok
}

// Clients returns all clients, sorted by name.
func (n *Node) Clients() []Client {
	var clients []Client
	n.cache.reading(func(r *records) { clients = slices.Collect(maps.Values(r.clients)) })
	slices.SortFunc(clients, func(a, b Client) int { return strings.Compare(a.Name, b.Name) })
	return clients
}

// AddClient creates a client, for its owner. Mistakes are *InvalidError; a name that is taken is ErrClientExists.
func (n *Node) AddClient(ctx context.Context, c Client) error {
	if err := checkClient(c); err != nil {
		return err
	}
	c.Revision, c.Created = 0, n.now()
	err := n.store.PutClient(ctx, c, n.audit(ctx, c.Owner, ActionClientAdded, c.Name))
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("adding client %q: %w", c.Name, ErrClientExists)
	}
	if err != nil {
		return err
	}
	return n.knows(ctx, func(r *records) bool { return r.clients[c.Name].Digest == c.Digest })
}

// RemoveClient deletes a client; its key is refused from then on.
func (n *Node) RemoveClient(ctx context.Context, by, name string) error {
	var client Client
	var ok bool
	n.cache.reading(func(r *records) { client, ok = r.clients[name] })
	if !ok {
		return ErrUnknownClient
	}
	if err := n.store.DeleteClient(ctx, client, n.audit(ctx, by, ActionClientDeleted, name)); err != nil {
		return err
	}
	return n.knows(ctx, func(r *records) bool { return r.clients[name].Revision != client.Revision })
}

// seenLimit bounds how long a write is waited for in this node's own memory.
const seenLimit = 2 * time.Second

// knows waits a moment until the cache shows what was written; not to see it in
// time is no failure of the write.
func (n *Node) knows(ctx context.Context, shown func(*records) bool) error {
	ctx, cancel := context.WithTimeout(ctx, seenLimit)
	defer cancel()
	for {
		moved := n.cache.moved.wait()
		var ok bool
		n.cache.reading(func(r *records) { ok = shown(r) })
		if ok {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil
		}
	}
}

const maxGlobs = 64

// checkClient says in one sentence what is wrong with a client.
func checkClient(c Client) error {
	if err := CheckAppName(c.Name); err != nil || c.Name == BootstrapName {
		return Invalidf("client name %.80q: use letters, digits, '.', '_' or '-', and not %q", c.Name, BootstrapName)
	}
	if c.Digest == (Digest{}) || c.Digest == DigestOf(Secret{}) {
		return Invalidf("client %q has no key", c.Name)
	}
	for verb, globs := range c.Can {
		if !slices.Contains(Verbs(), verb) {
			return Invalidf("client %q: %.40q is not a verb; use one of %v", c.Name, string(verb), Verbs())
		}
		if len(globs) > maxGlobs {
			return Invalidf("client %q: at most %d patterns for a verb", c.Name, maxGlobs)
		}
		for _, glob := range globs {
			if err := checkGlob(glob); err != nil {
				return Invalidf("client %q: %v", c.Name, err)
			}
		}
	}
	return nil
}

func checkGlob(glob string) error {
	_, err := path.Match(strings.ReplaceAll(glob, "**", "*"), "")
	if err != nil || glob == "" || len(glob) > 200 || strings.Count(glob, "**") > 2 {
		return Invalidf("pattern %.80q: write token names as app/token, with '*' for a part of a segment and '**' for anything", glob)
	}
	return nil
}
