// Package model checks the refresh protocol by walking through every
// interleaving of a small cluster: one fetch group, two or three nodes, a
// handful of attempts and a counted number of faults. It knows nothing of the
// code; transactions, statuses and rules have the names they have there, so
// that a trace can be replayed against the real store.
//
// What is modelled: election keys and what a node believes of its own; Open,
// TakeOver, Publish with and without leadership, a failure, Void, Salvage,
// DropSalvage, Note; answers that are lost and transactions that commit later;
// the spool; the platform's side of each kind of token; changes by people.
//
// What is not: etcd itself (atomic here), caches of nodes, budgets, several
// tokens of a group, clocks that jump, a restore of etcd. "Can still end well"
// is reachability without further faults, so it assumes that whoever can go on
// does. Where all attempts there are have been used the walk is cut.
//
// Tokens whose values are pushed know no attempts; [Pushes] is their model.
//
// Each [Rule] can be taken out; the tests show which [Violation] follows.
package model
