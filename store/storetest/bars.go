package storetest

import (
	"errors"
	"testing"

	"freshet/coordinator"
)

func barTests() []Test {
	return []Test{
		{"Bars/GoWithTheLifeOfTheirApp", testBarsGo},
		{"Bars/DeletedOnlyAsRead", testDeleteBar},
	}
}

// bars returns the bars there are.
func (w *world) bars() (bars []coordinator.Bar) {
	for _, record := range snapshot(w.T, w.store) {
		if b, ok := record.(coordinator.Bar); ok {
			bars = append(bars, b)
		}
	}
	return bars
}

func testBarsGo(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.must(w.store.PutBar(soon(t), coordinator.Bar{App: app, Egress: "n1", Until: at(5000)}))
	w.must(w.store.PutBar(soon(t), coordinator.Bar{App: "other", Egress: "n1", Until: at(5000)}))
	same := appNamed(app, 1)
	same.Labels = map[string]string{"team": "retail"}
	w.putApp(same, nil)
	if got := w.bars(); len(got) != 2 {
		t.Fatalf("after a change within one life: %+v", got)
	}
	w.putApp(appNamed(app, 2), nil)
	if got := w.bars(); len(got) != 1 || got[0].App != "other" {
		t.Errorf("after a new life: %+v", got)
	}
	w.must(w.store.PutBar(soon(t), coordinator.Bar{App: app, Egress: "n1", Until: at(5000)}))
	w.deleteApp()
	if got := w.bars(); len(got) != 1 || got[0].App != "other" {
		t.Errorf("after the app's end: %+v", got)
	}
}

func testDeleteBar(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.must(w.store.PutBar(soon(t), coordinator.Bar{App: "shop", Egress: "n1", Until: at(5000)}))
	read := w.bars()[0]
	w.must(w.store.PutBar(soon(t), coordinator.Bar{App: "shop", Egress: "n1", Until: at(6000)}))
	if err := w.store.DeleteBar(soon(t), read); !errors.Is(err, coordinator.ErrConflict) {
		t.Errorf("deleting a bar that has changed: %v", err)
	}
	w.must(w.store.DeleteBar(soon(t), w.bars()[0]))
	if got := w.bars(); len(got) != 0 {
		t.Errorf("bars %+v", got)
	}
}
