package coordinator

import (
	"fmt"
	"testing"
)

// numbered is a node that shows tokens, whose changes are numbered round and round.
func numbered(tokens, changes int) *Node {
	n := &Node{cache: newCache()}
	for i := range changes {
		name := Name{App: fmt.Sprintf("app%d", i%tokens), Token: DefaultToken}
		cell := n.cache.cell(name)
		cell.view.Store(&View{Name: name})
		n.number(name, cell, i%2 == 0)
	}
	return n
}

// number numbers a change.
func (n *Node) number(name Name, cell *cell, value bool) {
	n.changes.mu.Lock()
	defer n.changes.mu.Unlock()
	n.changes.putLocked(name, cell, value)
}

// However far behind a reader is, it finds each token once.
func TestChangesAreFoundFromEverywhere(t *testing.T) {
	const tokens, all = 5000, 6000 // more than are logged
	n := numbered(tokens, all)
	gone := Name{App: "app7", Token: DefaultToken}
	n.cache.cell(gone).view.Store(nil)
	n.number(gone, n.cache.cell(gone), true)
	n.cache.cell(Name{App: "never", Token: DefaultToken}) // somebody waits for it
	for after, want := range map[int64]int{
		0: tokens - 1, 1: tokens, 1000: tokens, 1500: 4500, all - 10: 11, all: 1, all + 1: 0,
	} {
		changes, reached := n.Changes(Point{Number: after}, Reach{})
		found := map[Name]bool{}
		for c := range changes {
			if found[c.Name] {
				t.Errorf("after %d: %s comes twice", after, c.Name)
			}
			found[c.Name] = true
			if (c.View == nil) != (c.Name == gone) {
				t.Errorf("after %d: %s is shown as %v", after, c.Name, c.View)
			}
		}
		if len(found) != want || reached.Number != all+1 {
			t.Errorf("after %d: %d tokens up to %d, want %d up to %d", after, len(found), reached.Number, want, all+1)
		}
	}
}

// A reader may have been told of a token by another node before this one showed
// its first; it must be told all the same when that token is gone.
func TestWhoGoesOnBeforeTheFirstChangeIsToldWhatIsGone(t *testing.T) {
	n := &Node{cache: newCache()}
	for i := range int64(rewoundBeats + 1) {
		n.changes.witness(Heartbeat{Revision: i + 1, Node: "n1"}, false)
	}
	name := Name{App: "shop", Token: DefaultToken}
	cell := n.cache.cell(name)
	cell.view.Store(&View{Name: name})
	n.number(name, cell, true)
	cell.view.Store(nil)
	n.number(name, cell, true)
	at, ok := n.changes.find(positionOf(Heartbeat{Revision: rewoundBeats + 1, Node: "n1"}))
	if !ok {
		t.Fatal("the position is not found")
	}
	var told []Changed
	changes, _ := n.Changes(at, Reach{})
	for c := range changes {
		told = append(told, c)
	}
	if len(told) != 1 || told[0].Name != name || told[0].View != nil {
		t.Errorf("told %+v, want that %s is gone", told, name)
	}
}

func TestPositionsAreBoundedAndTheNewestAreKept(t *testing.T) {
	n := numbered(1, 1)
	const beats = mostBeats + 10
	for i := range int64(beats) {
		n.changes.witness(Heartbeat{Revision: i + 1, Node: "n1"}, false)
	}
	if kept := len(n.changes.beats); kept > mostBeats || kept < mostBeats/2 {
		t.Errorf("%d positions are kept, want at most %d", kept, mostBeats)
	}
	for revision, want := range map[int64]bool{1: false, beats - 1000: true, beats: true} {
		if _, ok := n.changes.find(positionOf(Heartbeat{Revision: revision, Node: "n1"})); ok != want {
			t.Errorf("the position at revision %d is found: %t, want %t", revision, ok, want)
		}
	}
}
