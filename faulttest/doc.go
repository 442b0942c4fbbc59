// Package faulttest breaks a cluster and judges what its readers saw. It holds
// what a test over real processes needs and has no process of its own: a proxy
// that cuts, silences and delays each direction of a connection, a ledger of all
// that was written to etcd, records of reads and of upstream calls, and the checks
// that say which promise was broken.
//
// A check never trusts the cluster about itself: it compares what clients were
// answered with what etcd holds and with what the emulated platform has seen.
// What the test itself did to the cluster is declared in [Windows]; only what a
// declared window explains is forgiven, and it is counted.
package faulttest
