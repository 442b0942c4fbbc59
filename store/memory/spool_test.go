package memory_test

import (
	"errors"
	"slices"
	"testing"

	"freshet/coordinator"
	"freshet/store/memory"
	"freshet/store/storetest"
)

// disk starts one process after the other on a disk in memory.
type disk struct{ spool *memory.Spool }

func (d *disk) Start(*testing.T) coordinator.Spool {
	d.spool = d.spool.Restart()
	return d.spool
}

func TestSpoolContract(t *testing.T) {
	storetest.RunSpool(t, func(t *testing.T) storetest.Disk {
		t.Parallel()
		return &disk{memory.NewSpool()}
	})
}

func TestFullDiskKeepsWhatWasReserved(t *testing.T) {
	spool := memory.NewSpool()
	if err := spool.Reserve("a"); err != nil {
		t.Fatal(err)
	}
	spool.Full(true)
	if err := spool.Reserve("b"); !errors.Is(err, memory.ErrDiskFull) {
		t.Errorf("reserving on a full disk: %v", err)
	}
	if err := spool.Keep(coordinator.Salvage{Attempt: "b"}); !errors.Is(err, memory.ErrDiskFull) {
		t.Errorf("keeping on a full disk: %v", err)
	}
	if err := spool.Keep(coordinator.Salvage{Attempt: "a"}); err != nil {
		t.Errorf("keeping what was reserved: %v", err)
	}
	if got := spool.InUse(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("in use: %q", got)
	}
}

func TestFaultsOfASpool(t *testing.T) {
	spool, broken := memory.NewSpool(), errors.New("input/output error")
	spool.FailNext(memory.OpKeep, 1, false, broken)
	spool.FailNext(memory.OpKeep, 1, true, broken)
	for _, attempt := range []string{"lost", "kept"} {
		if err := spool.Keep(coordinator.Salvage{Attempt: attempt}); !errors.Is(err, broken) {
			t.Errorf("keeping %q: %v", attempt, err)
		}
	}
	next := spool.Restart()
	if kept, err := next.Kept(); err != nil || len(kept) != 1 || kept[0].Attempt != "kept" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if err := spool.Drop("kept"); !errors.Is(err, memory.ErrSpoolEnded) {
		t.Errorf("the spool of an ended process: %v", err)
	}
	next.LoseDisk()
	if kept, err := next.Restart().Kept(); err != nil || len(kept) != 0 {
		t.Errorf("on another disk: kept %+v, %v", kept, err)
	}
}
