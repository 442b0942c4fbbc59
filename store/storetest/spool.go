package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"freshet/coordinator"
)

// Disk is a fresh, empty disk that nodes are started on, one after the other.
type Disk interface {
	// Start returns the spool as a process finds it that starts now. The
	// process before it has ended, without a word.
	Start(t *testing.T) coordinator.Spool
}

// SpoolTest is one test of the contract of coordinator.Spool.
type SpoolTest struct {
	Name string
	Run  func(t *testing.T, d Disk)
}

// RunSpool runs the contract of coordinator.Spool, each test on a disk of its own.
func RunSpool(t *testing.T, open func(t *testing.T) Disk) {
	for _, test := range SpoolTests() {
		t.Run(test.Name, func(t *testing.T) { test.Run(t, open(t)) })
	}
}

// SpoolTests returns the tests one by one.
func SpoolTests() []SpoolTest {
	return []SpoolTest{
		{"KeepsEveryField", testSpoolFields},
		{"KeepsWithoutAReservation", testSpoolUnreserved},
		{"KeepsUntilDropped", testSpoolUntilDropped},
		{"ForgetsWhatIsDropped", testSpoolDrop},
		{"ForgetsReservationsOfFormerProcesses", testSpoolForgetsReservations},
		{"TellsWhichAttemptsOfFormerProcessesMadeNoCall", testSpoolUncalled},
		{"TellsOnlyOfFormerProcesses", testSpoolFormer},
		{"KeepsTheLastOfAnAttempt", testSpoolTwice},
		{"TellsTheOldestFirst", testSpoolOrder},
		{"KeepsLargeResults", testSpoolLarge},
		{"TakesAnyAttempt", testSpoolNames},
		{"ServesManyAtOnce", testSpoolTogether},
	}
}

// aside is a result for the spool; every field is set.
func aside(attempt string, seconds int) coordinator.Salvage {
	var s coordinator.Salvage
	fill(&s)
	s.Attempt, s.Began = attempt, at(seconds)
	return s
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keeps checks which results a spool tells of, in order.
func keeps(t *testing.T, s coordinator.Spool, want ...coordinator.Salvage) {
	t.Helper()
	got, err := s.Kept()
	noError(t, err)
	if diff := diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func testSpoolFields(t *testing.T, d Disk) {
	spool, full, empty := d.Start(t), aside("a", 1), coordinator.Salvage{Attempt: "b"}
	for _, s := range []coordinator.Salvage{full, empty} {
		noError(t, spool.Reserve(s.Attempt))
		noError(t, spool.Keep(s))
	}
	for i := range reflect.TypeFor[coordinator.Salvage]().NumField() {
		if name := reflect.TypeFor[coordinator.Salvage]().Field(i).Name; name != "Revision" && reflect.ValueOf(full).Field(i).IsZero() {
			t.Errorf("this test leaves the field %s empty", name)
		}
	}
	keeps(t, d.Start(t), empty, full)
}

func testSpoolUnreserved(t *testing.T, d Disk) {
	noError(t, d.Start(t).Keep(aside("a", 1)))
	keeps(t, d.Start(t), aside("a", 1))
}

func testSpoolUntilDropped(t *testing.T, d Disk) {
	noError(t, d.Start(t).Keep(aside("a", 1)))
	for range 2 {
		spool := d.Start(t)
		keeps(t, spool, aside("a", 1))
		keeps(t, spool, aside("a", 1))
	}
	spool := d.Start(t)
	noError(t, spool.Drop("a"))
	keeps(t, spool)
	keeps(t, d.Start(t))
}

func testSpoolDrop(t *testing.T, d Disk) {
	spool := d.Start(t)
	noError(t, spool.Drop("never there"))
	noError(t, spool.Reserve("reserved"))
	noError(t, spool.Drop("reserved"))
	noError(t, spool.Keep(aside("kept", 1)))
	noError(t, spool.Drop("kept"))
	noError(t, spool.Drop("kept"))
	noError(t, spool.Keep(aside("other", 2)))
	keeps(t, d.Start(t), aside("other", 2))
}

func testSpoolForgetsReservations(t *testing.T, d Disk) {
	former := d.Start(t)
	noError(t, former.Reserve("a"))
	noError(t, former.Reserve("b"))
	noError(t, former.Calling("b"))
	spool := d.Start(t)
	noError(t, spool.Reserve("own"))
	keeps(t, spool)
	noError(t, spool.Keep(aside("own", 1)))
	keeps(t, d.Start(t), aside("own", 1))
}

func testSpoolUncalled(t *testing.T, d Disk) {
	spool := d.Start(t)
	for _, attempt := range []string{"uncalled", "called", "kept", "dropped"} {
		noError(t, spool.Reserve(attempt))
	}
	noError(t, spool.Calling("called"))
	noError(t, spool.Calling("kept"))
	noError(t, spool.Keep(aside("kept", 1)))
	noError(t, spool.Drop("dropped"))
	uncalled(t, spool)
	if spool.Calling("never reserved") == nil {
		t.Error("a call without a reservation is noted")
	}
	for _, own := range []string{"own", "own of the next"} {
		spool = d.Start(t)
		noError(t, spool.Reserve(own))
		noError(t, spool.Calling(own))
		keeps(t, spool, aside("kept", 1))
		uncalled(t, spool, "uncalled")
	}
	noError(t, spool.Drop("uncalled"))
	uncalled(t, spool)
	uncalled(t, d.Start(t))
}

// uncalled checks which attempts a spool tells of that made no call.
func uncalled(t *testing.T, s coordinator.Spool, want ...string) {
	t.Helper()
	got, err := s.Uncalled()
	noError(t, err)
	if diff := diff(want, got); diff != "" {
		t.Errorf("uncalled (-want +got):\n%s", diff)
	}
}

func testSpoolFormer(t *testing.T, d Disk) {
	noError(t, d.Start(t).Keep(aside("former", 1)))
	spool := d.Start(t)
	noError(t, spool.Keep(aside("own", 2)))
	keeps(t, spool, aside("former", 1))
	keeps(t, d.Start(t), aside("former", 1), aside("own", 2))
}

func testSpoolTwice(t *testing.T, d Disk) {
	spool := d.Start(t)
	noError(t, spool.Reserve("a"))
	noError(t, spool.Reserve("a"))
	long, short := aside("a", 1), coordinator.Salvage{Attempt: "a", App: "shop"}
	noError(t, spool.Keep(long))
	noError(t, spool.Keep(short))
	noError(t, spool.Reserve("a")) // changes nothing
	keeps(t, d.Start(t), short)
}

func testSpoolOrder(t *testing.T, d Disk) {
	spool := d.Start(t)
	for _, s := range []coordinator.Salvage{aside("b", 3), aside("c", 1), aside("a", 2)} {
		noError(t, spool.Keep(s))
	}
	keeps(t, d.Start(t), aside("c", 1), aside("a", 2), aside("b", 3))
}

// Some platforms answer with tokens of many kilobytes.
func testSpoolLarge(t *testing.T, d Disk) {
	spool, large := d.Start(t), aside("a", 1)
	large.Refresh = coordinator.NewSecret(string(make([]byte, 300<<10)))
	noError(t, spool.Reserve("a"))
	noError(t, spool.Keep(large))
	keeps(t, d.Start(t), large)
}

func testSpoolNames(t *testing.T, d Disk) {
	spool := d.Start(t)
	var want []coordinator.Salvage
	for i, attempt := range []string{"..", "../a", "a/b", "a b", "ä%2F", ".hidden", "a.bad", "lock"} {
		want = append(want, aside(attempt, i))
		noError(t, spool.Reserve(attempt))
		noError(t, spool.Keep(want[i]))
	}
	keeps(t, d.Start(t), want...)
}

func testSpoolTogether(t *testing.T, d Disk) {
	spool := d.Start(t)
	var want []coordinator.Salvage
	var all sync.WaitGroup
	for i := range 8 {
		result := aside(fmt.Sprint(i), i)
		if i%2 == 0 {
			want = append(want, result)
		}
		all.Go(func() {
			err := spool.Reserve(result.Attempt)
			if err == nil {
				err = spool.Keep(result)
			}
			if err == nil && i%2 != 0 {
				err = spool.Drop(result.Attempt)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	keeps(t, d.Start(t), want...)
}
