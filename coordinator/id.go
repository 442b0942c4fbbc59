package coordinator

import "crypto/rand"

// newID returns a random name for an attempt or a process.
func newID() string { return rand.Text() }
