package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"freshet/coordinator"
)

// AnswerLoser is a Harness that can lose the answer to the next write of a
// Registry that node i sends, whether or not it is committed.
type AnswerLoser interface {
	LoseAnswer(i int, committed bool)
}

func auditTests() []Test {
	return []Test{
		{"Audit/GoesWithEachChange", func(t *testing.T, h Harness) { testAudit(t, h, func() {}) }},
		{"Audit/OnceWhereAnAnswerIsLostThatCameTooLate", func(t *testing.T, h Harness) { testAuditAnswer(t, h, true) }},
		{"Audit/OnceWhereAChangeIsLost", func(t *testing.T, h Harness) { testAuditAnswer(t, h, false) }},
		{"Audit/NoneOfWhatIsRefused", testAuditRefused},
		{"Audit/NoneOfWhatIsSoAlready", testAuditAlready},
		{"Audit/KeepsEveryField", testAuditFields},
		{"Audit/OneForManyChangesOfOneAct", testAuditGrows},
		{"Audit/InPagesNewestFirst", testAuditPages},
		{"Audit/IsInNoBatch", testAuditBatches},
		{"Audit/IsTrimmedByTheRefresher", testTrimAudit},
	}
}

// deed is a change of a Registry, and how it is made.
type deed struct {
	name string
	do   func(store coordinator.Store, a *coordinator.Audit) error
}

// deeds are all changes that are recorded, in an order in which each finds what
// it needs. Each can be made once: again it is refused, or it is so already.
func (w *world) deeds() []deed {
	bazaar, c, bar := appNamed("bazaar", 1), coordinator.Client{Name: "orders"}, coordinator.Bar{App: app, Egress: "n1"}
	change := func(a *coordinator.Audit) coordinator.AppChange {
		return coordinator.AppChange{App: bazaar, Seen: w.read().Revision, Audit: a}
	}
	return []deed{
		{"putting an app", func(s coordinator.Store, a *coordinator.Audit) error { return s.PutApp(soon(w.T), change(a)) }},
		{"deleting an app", func(s coordinator.Store, a *coordinator.Audit) error { return s.DeleteApp(soon(w.T), change(a)) }},
		{"putting a client", func(s coordinator.Store, a *coordinator.Audit) error { return s.PutClient(soon(w.T), c, a) }},
		{"deleting a client", func(s coordinator.Store, a *coordinator.Audit) error {
			there, _ := find(w.records(), c)
			return s.DeleteClient(soon(w.T), there, a)
		}},
		{"pausing", func(s coordinator.Store, a *coordinator.Audit) error {
			return s.PutPaused(soon(w.T), &coordinator.Paused{By: "somebody"}, a)
		}},
		{"resuming", func(s coordinator.Store, a *coordinator.Audit) error { return s.PutPaused(soon(w.T), nil, a) }},
		{"lifting bars", func(s coordinator.Store, a *coordinator.Audit) error {
			return s.LiftBars(soon(w.T), []coordinator.Bar{bar, {App: app, Egress: "n2"}}, a)
		}},
		{"applying a file", func(s coordinator.Store, a *coordinator.Audit) error {
			return s.PutAppliedFile(soon(w.T), w.leader.Epoch, coordinator.AppliedFile{File: "apps.yaml", Hash: "one"}, a)
		}},
	}
}

// auditOf is a record; those with a higher n are newer.
func auditOf(n int) *coordinator.Audit {
	return &coordinator.Audit{ID: fmt.Sprintf("01JFRESHET%016d", n), At: at(n), By: "api:orders", Action: coordinator.ActionAppUpdated}
}

// audits returns all records of who changed what, newest first.
func (w *world) audits() []coordinator.Audit {
	w.Helper()
	page, err := w.store.Audit(soon(w.T), "", 100)
	w.must(err)
	if page.Next != "" {
		w.Fatalf("%d records, and there are more", len(page.Records))
	}
	return page.Records
}

// audited checks which records there are, by their numbers, newest first.
func (w *world) audited(what string, want ...int) {
	w.Helper()
	var got, wanted []string
	for _, a := range w.audits() {
		got = append(got, a.ID)
	}
	for _, n := range want {
		wanted = append(wanted, auditOf(n).ID)
	}
	if diff := diff(wanted, got); diff != "" {
		w.Errorf("records after %s (-want +got):\n%s", what, diff)
	}
}

// testAudit makes each change by node 1, which does not lead, and looks for its record.
func testAudit(t *testing.T, h Harness, before func()) {
	w := newWorld(t, h)
	var want []int
	for n, d := range w.deeds() {
		before()
		if err := d.do(h.Node(1), auditOf(n)); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		want = append([]int{n}, want...)
		w.audited(d.name, want...)
	}
	if got := w.bars(); len(got) != 2 {
		t.Errorf("two bars were written, and there are %+v", got)
	}
}

func testAuditAnswer(t *testing.T, h Harness, committed bool) {
	loser, ok := h.(AnswerLoser)
	if !ok {
		t.Skip("the harness cannot lose an answer")
	}
	testAudit(t, h, func() { loser.LoseAnswer(1, committed) })
}

func testAuditRefused(t *testing.T, h Harness) {
	w := newWorld(t, h)
	stale := coordinator.AppChange{App: appNamed("new", 1), Seen: 1, Audit: auditOf(1)}
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutApp(soon(t), stale) })
	w.refused(coordinator.ErrConflict, func() error { return w.store.DeleteApp(soon(t), stale) })
	c := coordinator.Client{Name: "orders"}
	w.must(w.store.PutClient(soon(t), c, nil))
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutClient(soon(t), c, auditOf(2)) })
	c.Revision = 1
	w.refused(coordinator.ErrConflict, func() error { return w.store.DeleteClient(soon(t), c, auditOf(3)) })
	w.refused(coordinator.ErrFenced, func() error {
		return w.store.PutAppliedFile(soon(t), w.leader.Epoch-1, coordinator.AppliedFile{File: "apps.yaml"}, auditOf(4))
	})
	w.audited("changes that were refused")
}

func testAuditAlready(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.must(w.store.PutPaused(soon(t), nil, auditOf(1)))
	w.audited("resuming what goes on")
	w.must(w.store.PutPaused(soon(t), &coordinator.Paused{By: "first"}, auditOf(2)))
	w.must(h.Node(1).PutPaused(soon(t), &coordinator.Paused{By: "second"}, auditOf(3)))
	w.audited("pausing twice", 2)
	if got, _ := find(w.records(), coordinator.Paused{}); got.By != "first" {
		t.Errorf("the pause is %q's, want the first one's", got.By)
	}
}

func testAuditFields(t *testing.T, h Harness) {
	w := newWorld(t, h)
	var full coordinator.Audit
	fill(&full)
	full.ID, full.At = auditOf(2).ID, at(5000)
	w.must(w.store.PutClient(soon(t), coordinator.Client{Name: "a"}, auditOf(1)))
	w.must(w.store.PutClient(soon(t), coordinator.Client{Name: "b"}, &full))
	got := w.audits()
	for n := range got {
		if got[n].Revision == 0 {
			t.Errorf("record %s has no revision", got[n].ID)
		}
		got[n].Revision = 0
	}
	if diff := diff([]coordinator.Audit{full, *auditOf(1)}, got); diff != "" {
		t.Errorf("records (-written +read):\n%s", diff)
	}
}

// A record that an act's next change writes anew is one record still.
func testAuditGrows(t *testing.T, h Harness) {
	w := newWorld(t, h)
	a := auditOf(1)
	for _, name := range []string{"one", "two"} {
		a.Objects = append(a.Objects, name)
		w.must(w.store.PutApp(soon(t), coordinator.AppChange{App: appNamed(name, 1), Seen: w.read().Revision, Audit: a}))
	}
	if got := w.audits(); len(got) != 1 || !slices.Equal(got[0].Objects, []string{"one", "two"}) {
		t.Errorf("records %+v, want one about both apps", got)
	}
}

// record writes records of these numbers.
func (w *world) record(numbers ...int) {
	w.Helper()
	for _, n := range numbers {
		w.must(w.store.PutClient(soon(w.T), coordinator.Client{Name: fmt.Sprintf("client-%d", n)}, auditOf(n)))
	}
}

func testAuditPages(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.record(3, 1, 5, 2, 4)
	for _, limit := range []int{0, -1} {
		if page, err := w.store.Audit(soon(t), "", limit); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("a page of %d records: %+v, error %v", limit, page, err)
		}
	}
	var pages [][]string
	for before := ""; ; {
		page, err := w.store.Audit(soon(t), before, 2)
		w.must(err)
		var ids []string
		for _, a := range page.Records {
			ids = append(ids, a.ID)
		}
		if pages = append(pages, ids); page.Next == "" || len(pages) > 3 {
			break
		}
		before = page.Next
		if len(pages) == 2 {
			w.record(6) // what comes meanwhile moves nothing
		}
	}
	id := func(n int) string { return auditOf(n).ID }
	if diff := diff([][]string{{id(5), id(4)}, {id(3), id(2)}, {id(1)}}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

func testAuditBatches(t *testing.T, h Harness) {
	w := newWorld(t, h)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	w.record(1)
	if b := changes.change(); len(b.Events) != 1 {
		t.Errorf("a change of one client is a batch of %d events: %+v", len(b.Events), b.Events)
	}
	must := func(n int, err error) {
		t.Helper()
		if n != 1 || err != nil {
			t.Errorf("%d records were deleted, error %v; want 1", n, err)
		}
	}
	must(w.store.TrimAudit(soon(t), w.leader.Epoch, 0))
	w.record(2)
	if b := changes.change(); len(b.Events) != 1 || b.Events[0].Deleted {
		t.Errorf("after a deletion of records the next change is a batch of %+v", b.Events)
	}
	for _, r := range snapshot(t, h.Node(2)) {
		if _, is := r.(coordinator.Audit); is {
			t.Errorf("a snapshot holds %+v", r)
		}
	}
}

func testTrimAudit(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.record(2, 5, 1, 4, 3)
	if n, err := w.store.TrimAudit(soon(t), w.leader.Epoch, 5); n != 0 || err != nil {
		t.Errorf("%d of five records were deleted, error %v; want none, all five are kept", n, err)
	}
	w.refused(coordinator.ErrFenced, func() error {
		_, err := w.store.TrimAudit(soon(t), w.leader.Epoch-1, 2)
		return err
	})
	w.audited("a fenced deletion", 5, 4, 3, 2, 1)
	if n, err := w.store.TrimAudit(soon(t), w.leader.Epoch, 2); n != 3 || err != nil {
		t.Errorf("%d of five records were deleted, error %v; want 3", n, err)
	}
	w.audited("a deletion of all but two", 5, 4)
}
