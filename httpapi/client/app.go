package client

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// App is what is said of an app when it is applied, here and in an apps file.
// Fields left out are inherited from the parent, else the default is meant.
type App struct {
	Provider    string                   `json:"provider,omitempty"`
	Parent      string                   `json:"parent,omitempty"`   // the app whose settings this one inherits
	Upstream    string                   `json:"upstream,omitempty"` // base URL instead of the provider's own
	Credentials Credentials              `json:"credentials,omitempty"`
	Options     map[string]string        `json:"options,omitempty"`
	Tokens      map[string]TokenSettings `json:"tokens,omitempty"` // :: token → its settings
	Refresh     RefreshSettings          `json:"refresh,omitzero"`
	Labels      map[string]string        `json:"labels,omitempty"`
	Paused      bool                     `json:"paused,omitempty"`
}

// RefreshSettings say how the tokens of an app are refreshed.
type RefreshSettings struct {
	Window  Window   `json:"window,omitzero"`
	Retry   Retry    `json:"retry,omitzero"`
	Timeout Duration `json:"timeout,omitzero"` // of one upstream call
	Budget  Budget   `json:"budget,omitzero"`
	Probe   Probe    `json:"probe,omitzero"` // between two looks at whether a value lives
}

// Credentials are secrets by field. They are written, and never answered.
type Credentials map[string]string

// Format prints which fields are set, whatever the verb.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%v", c.Fields()) }

// LogValue logs which fields are set.
func (c Credentials) LogValue() slog.Value { return slog.AnyValue(c.Fields()) }

// Fields returns the names of the fields that are set, sorted.
func (c Credentials) Fields() []string { return slices.Sorted(maps.Keys(c)) }

// AppInfo is an app as the cluster keeps it. The App in it holds the settings
// in effect: inherited ones and defaults are filled in, credentials left out.
type AppInfo struct {
	Name string `json:"name"`
	App
	CredentialsSet []string `json:"credentials_set"` // fields that have a value, inherited ones too
	Applied        App      `json:"applied"`         // what was said of this app alone
	Owner          string   `json:"owner,omitempty"` // "file:<name>" or "api:<client>"
	Incarnation    int64    `json:"incarnation"`
	Revision       int64    `json:"revision"`
	Problem        string   `json:"problem,omitempty"` // why the settings in effect cannot be told; they are as applied then
}

// The changes that applying an app can make.
const (
	ChangeCreated   = "created"
	ChangeUpdated   = "updated"
	ChangeUnchanged = "unchanged"
)

// AppChange is the answer to an app that was applied, or would be.
type AppChange struct {
	Change string  `json:"change"`
	DryRun bool    `json:"dry_run,omitempty"` // nothing was written
	App    AppInfo `json:"app"`

	// GrantKept means that the refresh token that was given did not replace the
	// one the cluster keeps; see ApplyOptions.ReplaceGrant.
	GrantKept bool `json:"grant_kept,omitempty"`
}

// AppList is one page of apps.
type AppList struct {
	Apps       []AppInfo `json:"apps"`
	NextCursor string    `json:"next_cursor,omitempty"` // of the next page; empty: this is the last
}
