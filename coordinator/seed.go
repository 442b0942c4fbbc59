package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Seed is what a configuration file brings: the refresher applies it once for
// each content, so that a restart, or an older file in a rolling deploy, reverts nothing.
type Seed struct {
	File    string // name of the file
	Hash    string // of its content, secrets included
	Apps    []App
	Clients []Client
}

// owner marks what a file has made.
func (s Seed) owner() string { return "file:" + s.File }

// plant applies the seed unless this content was applied before. It touches only
// what the same file has made. Where the store fails in between, the next
// leadership applies it again.
func (n *Node) plant(ctx context.Context, epoch Epoch) {
	if n.seed == nil {
		return
	}
	var applied AppliedFile
	n.cache.reading(func(r *records) { applied = r.files[n.seed.File] })
	if applied.Hash == n.seed.Hash {
		return
	}
	failed := errors.Join(n.plantClients(ctx), n.plantApps(ctx))
	if failed == nil {
		file := AppliedFile{File: n.seed.File, Hash: n.seed.Hash, At: n.now(), Revision: applied.Revision}
		failed = n.store.PutAppliedFile(ctx, epoch, file, n.audit(ctx, n.seed.owner(), ActionAppsFileApplied, n.seed.File))
	}
	if failed != nil && ctx.Err() == nil {
		n.log.ErrorContext(ctx, "applying the apps file", "file", n.seed.File, "err", failed)
	}
}

// refused logs an entry that cannot be applied as it stands, and drops the
// error: the rest of the content counts as applied, or what somebody deletes
// meanwhile would come back with each leadership until the file is mended.
func (n *Node) refused(ctx context.Context, kind, name string, err error) error {
	if !errors.Is(err, ErrInvalid) {
		return err
	}
	n.log.ErrorContext(ctx, "refused: mend the apps file", "file", n.seed.File, kind, name, "err", err)
	return nil
}

func (n *Node) plantApps(ctx context.Context) error {
	var errs []error
	how := Applying{Act: &Act{}}
	for _, app := range parentsFirst(n.seed.Apps) {
		app.Owner = n.seed.owner()
		if known, ok := n.App(app.Name); ok && known.Owner != app.Owner {
			n.log.WarnContext(ctx, "app left as it is: it belongs to somebody else", "app", app.Name, "owner", known.Owner)
			continue
		}
		applied, err := n.Apply(ctx, app, how)
		if err != nil {
			errs = append(errs, n.refused(ctx, "app", app.Name, err))
			continue
		}
		n.log.InfoContext(ctx, "app applied", "app", app.Name, "change", string(applied.Change), "file", n.seed.File)
	}
	return errors.Join(errs...)
}

func (n *Node) plantClients(ctx context.Context) error {
	var errs []error
	for _, client := range n.seed.Clients {
		client.Owner = n.seed.owner()
		var known Client
		n.cache.reading(func(r *records) { known = r.clients[client.Name] })
		if known.Name != "" && known.Owner != client.Owner {
			n.log.WarnContext(ctx, "client left as it is: it belongs to somebody else", "client", client.Name, "owner", known.Owner)
			continue
		}
		if err := checkClient(client); err != nil {
			errs = append(errs, n.refused(ctx, "client", client.Name, err))
			continue
		}
		if sameClient(client, known) {
			continue
		}
		action := ActionClientUpdated
		if known.Name == "" {
			action = ActionClientAdded
		}
		client.Revision, client.Created = known.Revision, n.now()
		if err := n.store.PutClient(ctx, client, n.audit(ctx, client.Owner, action, client.Name)); err != nil {
			errs = append(errs, err)
			continue
		}
		n.log.InfoContext(ctx, "client applied", "client", client.Name, "file", n.seed.File)
	}
	return errors.Join(errs...)
}

// sameClient reports whether two clients are one with the same key and permissions.
func sameClient(a, b Client) bool {
	same := maps.EqualFunc(a.Can, b.Can, slices.Equal)
	return same && a.Name == b.Name && a.Digest == b.Digest && a.Note == b.Note && a.Owner == b.Owner && a.Expires.Equal(b.Expires)
}

// parentsFirst orders apps so that each comes after its parent.
func parentsFirst(apps []App) []App {
	depth := map[string]int{}
	parents := map[string]string{}
	for _, app := range apps {
		parents[app.Name] = app.Parent
	}
	for _, app := range apps {
		for up := app.Parent; up != "" && depth[app.Name] <= maxLineage; up = parents[up] {
			depth[app.Name]++
		}
	}
	return slices.SortedStableFunc(slices.Values(apps), func(a, b App) int {
		if d := depth[a.Name] - depth[b.Name]; d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
}
