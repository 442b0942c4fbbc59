//go:build race

package httpapi_test

// raced: under the race detector a connection costs ten times as much.
const raced = true
