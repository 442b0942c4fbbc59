package memory

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"

	"freshet/coordinator"
)

// The operations of a Spool that can be made to fail.
const (
	OpReserve  Op = "reserve"
	OpCalling  Op = "calling"
	OpKeep     Op = "keep"
	OpDrop     Op = "drop"
	OpKept     Op = "kept"
	OpUncalled Op = "uncalled"
)

// Errors of a Spool's faults.
var (
	ErrDiskFull    = errors.New("the disk is full")
	ErrSpoolEnded  = errors.New("the process that used this spool has ended")
	ErrNotReserved = errors.New("nothing is reserved")
)

// Spool is a spool on a disk in memory, as one process uses it. It implements
// coordinator.Spool. What it keeps is there for the next process (see Restart)
// until the disk is lost.
type Spool struct {
	disk *disk
	life int // of the disk's processes, which this one is
}

var _ coordinator.Spool = (*Spool)(nil)

// disk outlives the processes that use it.
type disk struct {
	mu     sync.Mutex
	files  map[string]file // :: attempt → what is kept for it
	life   int             // of the process that uses it now
	full   bool
	faults map[Op][]fault // :: operation → what happens to its next calls
}

// file is a reservation, or a result.
type file struct {
	life   int // of the process that made it
	called bool
	result *coordinator.Salvage
}

// NewSpool returns the spool of a first process, on an empty disk.
func NewSpool() *Spool {
	return &Spool{disk: &disk{files: map[string]file{}, faults: map[Op][]fault{}}}
}

// Restart returns the spool as the next process finds it, on the same disk.
// From then on the former one returns ErrSpoolEnded and changes nothing.
func (s *Spool) Restart() *Spool {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.life++
	return &Spool{disk: s.disk, life: s.disk.life}
}

// Full makes the disk full, or gives it room again. Without room nothing can be
// reserved, and only what was reserved can be kept.
func (s *Spool) Full(full bool) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.full = full
}

// LoseDisk forgets all that is kept, as if the node came back on another machine.
func (s *Spool) LoseDisk() {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	clear(s.disk.files)
}

// FailNext makes the next n calls of op return err, having done what they were
// asked or not.
func (s *Spool) FailNext(op Op, n int, persist bool, err error) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	for range n {
		s.disk.faults[op] = append(s.disk.faults[op], fault{err: err, persist: persist})
	}
}

// Reserve makes room for the result of an attempt.
func (s *Spool) Reserve(attempt string) error {
	return s.use(OpReserve, func(d *disk) error {
		if _, there := d.files[attempt]; there {
			return nil
		}
		if d.full {
			return ErrDiskFull
		}
		d.files[attempt] = file{life: s.life}
		return nil
	})
}

// Calling notes that the call of an attempt is made next.
func (s *Spool) Calling(attempt string) error {
	return s.use(OpCalling, func(d *disk) error {
		f, there := d.files[attempt]
		if !there {
			return ErrNotReserved
		}
		f.called = true
		d.files[attempt] = f
		return nil
	})
}

// Keep saves a result.
func (s *Spool) Keep(result coordinator.Salvage) error {
	return s.use(OpKeep, func(d *disk) error {
		if _, there := d.files[result.Attempt]; d.full && !there {
			return ErrDiskFull
		}
		result = copySalvage(result, 0)
		d.files[result.Attempt] = file{life: s.life, result: &result}
		return nil
	})
}

// Drop forgets a result or a reservation.
func (s *Spool) Drop(attempt string) error {
	return s.use(OpDrop, func(d *disk) error {
		delete(d.files, attempt)
		return nil
	})
}

// Kept returns what former processes left, oldest first.
func (s *Spool) Kept() (kept []coordinator.Salvage, err error) {
	err = s.use(OpKept, func(d *disk) error {
		maps.DeleteFunc(d.files, func(_ string, f file) bool { return f.life < s.life && f.result == nil && f.called })
		for _, f := range d.files {
			if f.life < s.life && f.result != nil {
				kept = append(kept, copySalvage(*f.result, 0))
			}
		}
		return nil
	})
	slices.SortFunc(kept, func(a, b coordinator.Salvage) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Attempt, b.Attempt))
	})
	return kept, err
}

// Uncalled returns the attempts of former processes that made no call.
func (s *Spool) Uncalled() (attempts []string, err error) {
	err = s.use(OpUncalled, func(d *disk) error {
		for attempt, f := range d.files {
			if f.life < s.life && f.result == nil && !f.called {
				attempts = append(attempts, attempt)
			}
		}
		return nil
	})
	return attempts, err
}

// use lets the next fault of op happen, or does it.
func (s *Spool) use(op Op, do func(*disk) error) error {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.life != d.life {
		return ErrSpoolEnded
	}
	faults := d.faults[op]
	if len(faults) == 0 {
		return do(d)
	}
	d.faults[op] = faults[1:]
	if faults[0].persist {
		_ = do(d) // the fault's error is the one told
	}
	return faults[0].err
}

// InUse returns the attempts for which something is reserved or kept, sorted.
func (s *Spool) InUse() []string {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	return slices.Sorted(maps.Keys(s.disk.files))
}
