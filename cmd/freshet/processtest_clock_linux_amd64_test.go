package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// theirClock is the variable that names a process's clock, a file; see clock.
const theirClock = "TEST_CLOCK"

// clockGettime is what this process reads its clocks with.
//
//go:linkname clockGettime runtime.vdsoClockgettimeSym
var clockGettime uintptr //nolint:gochecknoglobals // the runtime's

const (
	clockSize = 4096 // a page
	clockSet  = 32   // where the seconds stand by which it was set
)

// clockCode is clock_gettime(2), and adds to the wall clock the seconds that stand
// behind it. The other clocks are as they are: a clock that somebody sets moves no
// monotonic one.
func clockCode() []byte {
	return []byte{
		0xB8, 0xE4, 0x00, 0x00, 0x00, // mov eax, SYS_clock_gettime
		0x0F, 0x05, // syscall
		0x85, 0xFF, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 0x0A, // jne to ret
		0x48, 0x8B, 0x0D, clockSet - 18, 0x00, 0x00, 0x00, // mov rcx, [rip+…]
		0x48, 0x01, 0x0E, // add [rsi], rcx: the seconds
		0xC3, // ret
	}
}

// clock is the wall clock of one node's processes, which a test can set: a file that
// holds the code that reads it and by how much it was set.
type clock struct{ file *os.File }

// newClock returns one that is right; the error says why there is none here.
func newClock(t *testing.T) (*clock, error) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = file.Close() })
	page := make([]byte, clockSize)
	copy(page, clockCode())
	_, err = file.WriteAt(page, 0)
	return &clock{file}, err
}

// set makes it differ from the machine's by so much, in whole seconds.
func (c *clock) set(t *testing.T, by time.Duration) {
	t.Helper()
	if _, err := c.file.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(by/time.Second)), clockSet); err != nil {
		t.Fatal(err)
	}
}

func (c *clock) env() string { return theirClock + "=" + c.file.Name() }

// wearClock makes this process read the clock that its variable names, if any.
func wearClock() error {
	name := os.Getenv(theirClock)
	if name == "" {
		return nil
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // the page stays
	page, err := syscall.Mmap(int(file.Fd()), 0, clockSize, syscall.PROT_READ|syscall.PROT_EXEC, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("reading the clock %s: %w", name, err)
	}
	clockGettime = uintptr(unsafe.Pointer(&page[0]))
	return nil
}
