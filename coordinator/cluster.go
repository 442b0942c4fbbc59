package coordinator

import "time"

// NodeInfo is what a node tells the cluster of itself, for as long as it lives.
type NodeInfo struct {
	Name      string
	Instance  string // unique for each process
	Address   string // of its API, for people and clients
	Build     string
	Egress    string    // address that platforms see it by, as its configuration names it
	Refresher bool      // whether it campaigns
	Started   time.Time // of the process
	Applied   int64     // revision of the last change of an app or token in its cache
	SchemaMin int       // oldest and newest record formats it reads
	SchemaMax int
	Hazards   map[string]int64 // :: hazard → how often the process has met it, see Hazard
	SealKeys  []int            // ids of the seal keys it has; none: it seals nothing
	Revision  int64
}

// Heartbeat is the refresher's beat, every HeartbeatEvery: it shows that the
// way from the refresher through the store to a node works, and what time the
// refresher thinks it is.
type Heartbeat struct {
	Epoch     Epoch
	Node      string
	At        time.Time
	Upstreams []UpstreamState // that do not work, sorted by name
	Revision  int64
}

// HeartbeatEvery is the pause between two heartbeats.
const HeartbeatEvery = 3 * time.Second

// Elected names the newest leadership; it survives the leader's key.
type Elected struct {
	Epoch    Epoch
	Node     string
	At       time.Time
	Revision int64
}

// Paused is the pause of the whole cluster.
type Paused struct {
	By       string
	At       time.Time
	Revision int64
}

// FingerprintKey is the key of the cluster's fingerprints, made once.
type FingerprintKey struct {
	Key      Secret
	Revision int64
}

// AppliedFile says which content of an apps file was applied last.
type AppliedFile struct {
	File     string
	Hash     string
	At       time.Time
	Revision int64
}
