package coordinator

import "context"

// pushBack pushes a value again after the store was restored from a backup: one
// that this node has shown and the store has forgotten, or one that was pushed
// since, and published as a version under which others have shown another value,
// or that they have passed. The one that was pushed last counts, and its next
// version is above what was shown. Of many nodes that know it one does so.
func (n *Node) pushBack(ctx context.Context, name Name, shown int64) error {
	_ = n.knows(ctx, func(r *records) bool { return r.states[name].Version >= shown })
	var state State
	n.cache.reading(func(r *records) { state = r.states[name] })
	v, known := n.cache.view(name)
	if !known || state.Version > shown || n.inputWaits(name) {
		return nil
	}
	now, err := n.store.Read(ctx, Query{App: name.App, Group: name.Token, Tokens: []string{name.Token}})
	if err != nil {
		return err
	}
	last, at := now.Tokens[0], n.now()
	if v.Token != nil && !last.Issued.After(v.Token.Issued) {
		last = *v.Token
	}
	if last.Value.IsZero() || last.Expires.Sub(at) <= leastMargin {
		return nil
	}
	return n.pushAbove(ctx, last, shown, Input{}, state)
}

// overtake puts the value that this node has shown in the place of one that was
// pushed before it, and that waits to be published because the backup says so.
// That is done before the version is asked for: from then on whoever leads
// publishes what waits above all that was shown.
func (n *Node) overtake(ctx context.Context, name Name, shown int64) error {
	var waiting Input
	var waits bool
	var state State
	n.cache.reading(func(r *records) {
		waiting, waits = r.inputs[name]
		state = r.states[name]
	})
	v, known := n.cache.view(name)
	if !waits || !known || v.Token == nil || !waiting.Pushed.Before(v.Token.Issued) || v.Token.Expires.Sub(n.now()) <= leastMargin {
		return nil
	}
	return n.pushAbove(ctx, *v.Token, shown, waiting, state)
}

// pushAbove pushes a value again, in the place of what waits, for a version above
// one that was shown.
func (n *Node) pushAbove(ctx context.Context, last Token, shown int64, waiting Input, state State) error {
	n.log.WarnContext(ctx, "a pushed value is brought back", "token", last.Name.String(), "shown", shown)
	return n.store.PutInput(ctx, Input{
		Name: last.Name, ID: newID(), Incarnation: state.Incarnation, Value: last.Value, Type: last.Type, Scope: last.Scope, Extra: last.Extra,
		Pushed: last.Issued, Expires: last.Expires, Wanted: shown + 1, By: "node " + n.name, Node: n.name, Traceparent: last.Traceparent,
		Before: waiting.before(), Revision: waiting.Revision,
	}, state)
}
