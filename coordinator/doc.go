// Package coordinator keeps third-party access tokens fresh for a cluster.
//
// It is the domain: the nouns (App, Token, State, Intent …), the small
// contracts it needs of others (Store, Registry, Provider), and the two lives
// of a Node. Every node follows: it watches the store and keeps each token in
// memory, where reads cost nothing. One node at a time also leads: it decides
// what is due, records an intent, asks the platform once, and publishes the
// answer, which reaches its own memory the way it reaches everybody's:
//
//	upstream ─▶ Provider ─▶ refresh (refresher only) ─▶ Store ─▶ watch ─▶ cache (every node) ─▶ reads
//
// The package knows neither etcd nor HTTP. Package store keeps its contracts
// on etcd, package store/memory without it; httpapi serves it.
package coordinator
