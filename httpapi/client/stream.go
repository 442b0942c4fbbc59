package client

// The events of GET /v1/stream. Each has an id and one line of JSON as its data.
const (
	EventToken   = "token"   // a Token: a value, the first or a new one
	EventState   = "state"   // a State: no living value, or another state or end of the one there is
	EventDeleted = "deleted" // a StreamDeleted
	EventSynced  = "synced"  // a StreamSynced: everything up to here was told
	EventEnd     = "end"     // a StreamEnd: the node ends the stream
)

// StreamDeleted says that a token exists no more.
type StreamDeleted struct {
	App   string `json:"app"`
	Token string `json:"token"`
}

// StreamSynced says that everything was told. Where Resumed is false, what was
// not among it exists no more, or may not be read any more; that can come later
// in a stream as well, when the client's permissions have changed.
type StreamSynced struct {
	Resumed bool `json:"resumed"` // told was what had changed since Last-Event-ID
}

// StreamEnd says why a node ends a stream.
type StreamEnd struct {
	Reason string `json:"reason"` // one of the End constants
}

// Why a node ends a stream.
const (
	EndDraining        = "draining"        // the node is going away: ask another one
	EndSlow            = "slow"            // the reader did not take what it was sent; it rarely sees this
	EndForbidden       = "forbidden"       // the client may not read this any more
	EndUnauthenticated = "unauthenticated" // the client key was deleted or has expired
)
