package httpapi

import (
	"context"
	"iter"
	"time"

	"freshet/coordinator"
)

// Node is what an API serves: *coordinator.Node, or a stand-in of a test.
type Node interface {
	Tokens
	Changes
	Apps
	Clients
	Cluster
	Surfaces
}

var _ Node = (*coordinator.Node)(nil)

// Tokens reads values, asks for newer ones and takes those that are pushed.
type Tokens interface {
	// Read must take no lock that a writer holds when nothing is waited for.
	Read(ctx context.Context, name coordinator.Name, w coordinator.Want) (*coordinator.View, error)
	View(name coordinator.Name) (*coordinator.View, bool)
	Views() []*coordinator.View // sorted by name
	Explain(v *coordinator.View, now time.Time) coordinator.Explanation
	Refresh(ctx context.Context, name coordinator.Name, c coordinator.RefreshCall) (*coordinator.View, error)
	Report(ctx context.Context, name coordinator.Name, r coordinator.ReportCall) (coordinator.Report, error)
	Push(ctx context.Context, name coordinator.Name, p coordinator.Push) (coordinator.Pushed, error)
}

// Changes tells those who follow what has changed; see coordinator.Point.
type Changes interface {
	Moved() <-chan struct{} // closed when it is time to look again
	Changes(after coordinator.Point, reach coordinator.Reach) (iter.Seq[coordinator.Changed], coordinator.Point)
	Resume(ctx context.Context, p coordinator.Position) (coordinator.Point, bool)
}

// Apps administers apps.
type Apps interface {
	Apps() []coordinator.App // sorted by name, as applied
	App(name string) (coordinator.App, bool)
	Effective(name string) (coordinator.App, error)
	Apply(ctx context.Context, app coordinator.App, how coordinator.Applying) (coordinator.Applied, error)
	Preview(app coordinator.App, how coordinator.Applying) (coordinator.Applied, error)
	Remove(ctx context.Context, by, app string) error
	PauseApp(ctx context.Context, by, app string, paused bool) error
	Injection(app string) (coordinator.Injection, error)
}

// Clients knows who may call.
type Clients interface {
	// Authenticate does the same work whatever the key.
	Authenticate(key coordinator.Secret) (coordinator.Client, bool)
	Clients() []coordinator.Client
	AddClient(ctx context.Context, c coordinator.Client) error
	RemoveClient(ctx context.Context, by, name string) error
}

// Cluster tells how the node and the cluster are.
type Cluster interface {
	Name() string
	Status() coordinator.ClusterStatus
	Nodes() []coordinator.NodeInfo // sorted by name
	Upstreams() []coordinator.UpstreamState
	Bars() []coordinator.Bar // sorted by app and egress
	LiftBars(ctx context.Context, by, app, egress string) (int, error)
	Health() coordinator.Health
	Margin() time.Duration                                // kept of a value's life for clocks that differ
	Seals(ctx context.Context) (coordinator.Seals, error) // reads every secret record there is
	Finalize(ctx context.Context, by string) (format int, err error)
	PauseCluster(ctx context.Context, by string, paused bool) error
	Audit(ctx context.Context, q coordinator.AuditQuery) (found []coordinator.Audit, next string, err error)
}

// Surfaces finds what calls of programs mean that were written for a platform.
type Surfaces interface {
	DropIn(provider string) (coordinator.DropIn, bool)
	Identified(identity string) (app string, ok bool)
	// Recognize must take no lock that a writer holds.
	Recognize(value coordinator.Secret) []coordinator.Name
}
