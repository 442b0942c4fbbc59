//go:build !race

package httpapi

// RaceEnabled says that the race detector watches, which makes everything slower and larger.
const RaceEnabled = false
