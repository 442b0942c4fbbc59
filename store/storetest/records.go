package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"freshet/coordinator"
)

func recordTests() []Test {
	return []Test{
		{"Records/KeepEveryField", func(t *testing.T, h Harness) { testRecords(t, h, fill) }},
		{"Records/KeepWhatIsEmpty", func(t *testing.T, h Harness) { testRecords(t, h, func(any) {}) }},
	}
}

// specimens are one record of each kind that a test can write freely.
type specimens struct {
	app         coordinator.App
	client      coordinator.Client
	paused      coordinator.Paused
	bar         coordinator.Bar
	applied     coordinator.AppliedFile
	intent      coordinator.Intent
	budget      coordinator.Budget
	state       coordinator.State
	token       coordinator.Token
	grant       coordinator.Grant
	salvage     coordinator.Salvage
	request     coordinator.Request
	input       coordinator.Input
	beat        coordinator.Heartbeat
	node        coordinator.NodeInfo
	credentials coordinator.Credentials // of app
}

// newSpecimens fills every field by fill and then sets what ties the records together.
func newSpecimens(epoch coordinator.Epoch, fill func(any)) *specimens {
	s := &specimens{}
	for _, record := range []any{
		&s.app, &s.client, &s.paused, &s.bar, &s.applied, &s.intent, &s.budget, &s.state,
		&s.token, &s.grant, &s.salvage, &s.request, &s.input, &s.beat, &s.node,
	} {
		fill(record)
	}
	name := coordinator.Name{App: "specimen", Token: "access_token"}
	s.app.Name, s.client.Name, s.node.Name, s.applied.File = name.App, "client", "specimen", "apps.yaml"
	s.grant.App = name.App
	s.bar.App, s.bar.Egress = name.App, "nat/east"
	s.intent.App, s.intent.Group, s.intent.Attempt, s.intent.Epoch = name.App, group, "attempt", epoch
	s.budget.App, s.budget.Window = name.App, window
	s.state.Name, s.token.Name, s.request.Name, s.input.Name = name, name, name, name
	s.input.ID = "pushed"
	s.salvage.App, s.salvage.Group, s.salvage.Attempt = name.App, group, "salvaged"
	for n := range s.salvage.Tokens {
		s.salvage.Tokens[n].Version = 0
	}
	s.token.Expires, s.budget.Ends, s.input.Expires = at(5000), at(6000), at(5000) // what has expired is not kept
	s.beat.Epoch = epoch
	s.credentials = coordinator.Credentials{App: name.App, Incarnation: s.app.Incarnation, Fields: s.app.Credentials}
	return s
}

func testRecords(t *testing.T, h Harness, fill func(any)) {
	store := h.Node(0)
	leads := elect(t, store, "leader")
	s := newSpecimens(leads.Epoch, fill)
	changes := watch(t, store)
	info := s.node // the specimen is completed below, while this one is told
	start(t, func(ctx context.Context) {
		_ = h.Node(1).Join(ctx, func() coordinator.NodeInfo { return info })
	})
	changes.until(func(e coordinator.Event) bool { return s.isNode(e.Record) })
	s.write(t, store, leads.Epoch)
	changes.until(func(e coordinator.Event) bool { // among the leader's own beats
		b, ok := e.Record.(coordinator.Heartbeat)
		return ok && b.Epoch == s.beat.Epoch && b.Node == s.beat.Node && b.At.Equal(s.beat.At)
	})
	s.check(t, snapshot(t, h.Node(2)))
}

// write writes the specimens; the intent goes with the publication and is
// written again.
func (s *specimens) write(t *testing.T, store coordinator.Store, epoch coordinator.Epoch) {
	t.Helper()
	ctx := soon(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	before, err := store.Read(ctx, coordinator.Query{App: s.app.Name, Group: group, Account: s.app.Name})
	must(err)
	must(store.PutApp(ctx, coordinator.AppChange{App: s.app, Grant: &s.grant, Seen: before.Revision}))
	must(store.PutClient(ctx, s.client, nil))
	must(store.PutPaused(ctx, &s.paused, nil))
	must(store.PutBar(ctx, s.bar))
	must(store.PutAppliedFile(ctx, epoch, s.applied, nil))
	o := coordinator.Opening{Epoch: epoch, Intent: s.intent}
	i, err := store.Open(ctx, o)
	must(err)
	_, err = store.Publish(ctx, coordinator.Publication{
		Epoch: epoch, Intent: i, States: []coordinator.State{s.state}, Tokens: []coordinator.Token{s.token},
	})
	must(err)
	o.Budgets = []coordinator.Budget{s.budget}
	_, err = store.Open(ctx, o)
	must(err)
	must(store.Salvage(ctx, s.salvage))
	must(store.Beat(ctx, s.beat))
	now, err := store.Read(ctx, coordinator.Query{
		App: s.app.Name, Group: group, Tokens: []string{s.state.Name.Token}, Account: s.app.Name,
	})
	must(err)
	must(store.Ask(ctx, s.request, now.States[0]))
	must(store.PutInput(ctx, s.input, now.States[0]))
}

func (s *specimens) isNode(r coordinator.Record) bool {
	n, ok := r.(coordinator.NodeInfo)
	return ok && n.Name == s.node.Name
}

// check compares the specimens with what is there.
func (s *specimens) check(t *testing.T, there []coordinator.Record) {
	t.Helper()
	spec := s.app
	spec.Credentials = nil
	for _, r := range there {
		if n, ok := r.(coordinator.NodeInfo); ok && s.isNode(r) { // the store itself says which seal keys it has, and which formats it reads
			s.node.SealKeys, s.node.SchemaMin, s.node.SchemaMax = n.SealKeys, n.SchemaMin, n.SchemaMax
		}
	}
	for _, want := range []coordinator.Record{
		spec, s.credentials, s.client, s.paused, s.bar, s.applied, s.intent, s.budget, s.state, s.token, s.grant, s.salvage, s.request, s.input, s.node,
	} {
		checkRecord(t, want, there)
	}
}

func checkRecord(t *testing.T, want coordinator.Record, there []coordinator.Record) {
	t.Helper()
	for _, got := range there {
		if identify(got) != identify(want) {
			continue
		}
		if revisionOf(got) == 0 {
			t.Errorf("%s was read without its revision", identify(want))
		}
		if diff := diff(want, withoutRevision(got)); diff != "" {
			t.Errorf("%s (-written +read):\n%s", identify(want), diff)
		}
		return
	}
	t.Errorf("%s was written and is not there", identify(want))
}

func withoutRevision(r coordinator.Record) coordinator.Record {
	v := reflect.New(reflect.TypeOf(r)).Elem()
	v.Set(reflect.ValueOf(r))
	v.FieldByName("Revision").SetInt(0)
	return v.Interface().(coordinator.Record)
}

// fill gives every field of the record that p points to a value of its own,
// except revisions, which are given by the store, and what only a newer build writes.
func fill(p any) {
	f := filler{}
	f.fill(reflect.ValueOf(p).Elem())
}

// filler counts the values given.
type filler struct{ n int }

func (f *filler) fill(v reflect.Value) {
	f.n++
	if f.special(v) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for n := range v.NumField() {
			if name := v.Type().Field(n).Name; name != "Revision" && name != "CredentialsRevision" && name != "Newer" {
				f.fill(v.Field(n))
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(key)
			f.fill(value)
			v.SetMapIndex(key, value)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.each(v)
	case reflect.Array:
		f.each(v)
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1 / float64(f.n+1))
	case reflect.Uint8:
		v.Set(reflect.ValueOf(f.n).Convert(v.Type())) // its last byte
	default: // an integer, or a kind this must learn
		v.SetInt(int64(1000 + f.n))
	}
}

func (f *filler) each(v reflect.Value) {
	for n := range v.Len() {
		f.fill(v.Index(n))
	}
}

// special fills the types whose values have a meaning.
func (f *filler) special(v reflect.Value) bool {
	var value any
	switch v.Interface().(type) {
	case time.Time:
		value = at(f.n)
	case time.Duration:
		value = time.Duration(f.n) * time.Millisecond
	case coordinator.Secret:
		value = coordinator.NewSecret(fmt.Sprintf("secret-%d", f.n))
	case coordinator.Window: // a share or a length
		value = coordinator.Window{Length: time.Duration(f.n) * time.Minute}
		if f.n%2 == 0 {
			value = coordinator.Window{Share: 0.25}
		}
	case coordinator.Verb:
		value = coordinator.Verbs()[f.n%len(coordinator.Verbs())]
	case coordinator.Reason:
		value = coordinator.ReasonReport
	case coordinator.Status:
		value = coordinator.StatusThrottled
	case coordinator.Result:
		value = coordinator.ResultSalvaged
	case coordinator.Answer:
		value = coordinator.AnswerThrottled
	default:
		return false
	}
	v.Set(reflect.ValueOf(value))
	return true
}
