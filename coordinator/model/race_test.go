//go:build race

package model_test

// raced: a walk has one goroutine, so the race detector finds nothing in it and
// takes twenty times as long; the tests without it walk everything.
const raced = true
