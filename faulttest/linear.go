package faulttest

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// linearLimit bounds how long one history is looked at.
const linearLimit = 30 * time.Second

// step is an operation on the register that a node's memory of one token is: the
// node applies a published version, or answers a read with the one it holds.
type step struct {
	apply   bool
	version int64
}

// register is the model of one token on one node in one process life: versions
// are applied one after another, and a read sees the last one. What a node has
// not heard of yet it need not apply: etcd orders the versions, the watch may lag.
func register(first int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, _ any) (bool, any) {
			held, isVersion := state.(int64)
			s, isStep := input.(step)
			switch {
			case !isVersion || !isStep:
				return false, state
			case s.apply:
				return s.version == held+1, s.version
			}
			return s.version == held, held
		},
		DescribeOperation: func(input, _ any) string {
			s, _ := input.(step)
			if s.apply {
				return fmt.Sprintf("apply %d", s.version)
			}
			return fmt.Sprintf("read %d", s.version)
		},
	}
}

// Linear says why the reads of one token from one process cannot be explained by
// the versions that were published; empty: they can.
func Linear(published []Value, runs []Run) string {
	if len(runs) == 0 {
		return ""
	}
	first, last := runs[0].Version, runs[0].Version
	for _, run := range runs {
		first, last = min(first, run.Version), max(last, run.Version)
	}
	var history []porcupine.Operation
	next := first
	for _, v := range published {
		// A fetch that had not begun cannot have been read. Its value is applied at
		// any time after, but in its turn; so are those of a hole in the history.
		for ; next <= v.Version && next <= last; next++ {
			history = append(history, operation(len(history), step{true, next}, v.Issued.UnixNano(), math.MaxInt64))
		}
	}
	for _, run := range runs {
		for _, read := range run.ends() {
			history = append(history, operation(len(history), step{false, run.Version}, read.Sent.UnixNano(), read.Answered.UnixNano()))
		}
	}
	switch porcupine.CheckOperationsTimeout(register(first-1), history, linearLimit) {
	case porcupine.Ok:
		return ""
	case porcupine.Unknown:
		return fmt.Sprintf("%d operations could not be judged within %s", len(history), linearLimit)
	case porcupine.Illegal:
	}
	return fmt.Sprintf("no order of applying versions %d to %d explains %d runs of reads", first, last, len(runs))
}

func operation(client int, s step, from, to int64) porcupine.Operation {
	return porcupine.Operation{ClientId: client, Input: s, Call: from, Return: to}
}
