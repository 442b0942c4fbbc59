// Package outbound is what providers have in common about one call to an upstream:
// a transport that sends it once, the class of what went wrong on the way and
// whether the upstream can have acted, bounded answers, and texts of others made
// fit for an error. Whoever wraps a transport must not record queries or bodies.
package outbound
