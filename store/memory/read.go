package memory

import (
	"cmp"
	"context"
	"slices"

	"freshet/coordinator"
)

// Read returns what the transactions about one fetch group compare.
func (s *Store) Read(ctx context.Context, q coordinator.Query) (coordinator.Situation, error) {
	if f, ok := s.nextFault(OpRead); ok && f.err != nil {
		return coordinator.Situation{}, f.err
	}
	if err := s.reach(ctx); err != nil {
		return coordinator.Situation{}, err
	}
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	situation := coordinator.Situation{
		Leads:    c.leadsLocked(q.Epoch),
		Salvage:  c.salvageLocked(q.App, q.Group),
		Revision: c.revision,
	}
	if i, found := recordAt[coordinator.Intent](c, keyOf(coordinator.Intent{App: q.App, Group: q.Group})); found {
		situation.Intent = &i
	}
	if g, found := recordAt[coordinator.Grant](c, keyOf(coordinator.Grant{App: q.App})); found {
		situation.Grant = &g
	}
	for _, app := range q.Lineage {
		credentials, _ := recordAt[coordinator.Credentials](c, keyOf(coordinator.Credentials{App: app}))
		situation.Lineage = append(situation.Lineage, coordinator.Ancestor{
			App: app, Incarnation: credentials.Incarnation, Revision: credentials.Revision,
		})
	}
	for _, token := range q.Tokens {
		name := coordinator.Name{App: q.App, Token: token}
		situation.States = append(situation.States, orElse(c, coordinator.State{Name: name}))
		situation.Tokens = append(situation.Tokens, orElse(c, coordinator.Token{Name: name}))
	}
	for _, window := range q.Budgets {
		situation.Budgets = append(situation.Budgets, orElse(c, coordinator.Budget{App: q.Account, Window: window}))
	}
	return situation, nil
}

// orElse returns the record of a key, or the one given where there is none.
func orElse[R coordinator.Record](c *Cluster, record R) R {
	if there, found := recordAt[R](c, keyOf(record)); found {
		return there
	}
	return record
}

// salvageLocked returns the salvage of a fetch group, newest first.
func (c *Cluster) salvageLocked(app, group string) []coordinator.Salvage {
	var all []coordinator.Salvage
	for _, e := range c.keys[kindSalvage] {
		if s := e.record.(coordinator.Salvage); s.App == app && s.Group == group {
			all = append(all, copySalvage(s, e.mod))
		}
	}
	slices.SortFunc(all, func(a, b coordinator.Salvage) int {
		return cmp.Or(
			cmp.Compare(b.Incarnation, a.Incarnation), cmp.Compare(b.Generation, a.Generation),
			cmp.Compare(b.IntentRevision, a.IntentRevision), cmp.Compare(b.Revision, a.Revision),
		)
	})
	return all
}
