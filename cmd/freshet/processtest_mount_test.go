//go:build unix && !linux

package main

import (
	"errors"
	"testing"
)

func smallDisk(t *testing.T, dir string) error {
	t.Helper()
	return errors.New("no disk is made at " + dir + ": that is known how to do on Linux only")
}
