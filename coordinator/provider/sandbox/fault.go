package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind names a kind of call, for faults and for the oracle.
type Kind string

// The kinds of call. KindAny, like an empty Kind, stands for all of them in a Fault.
const (
	KindAny         Kind = "any"
	KindToken       Kind = "token"        // GET /cgi-bin/token
	KindStableToken Kind = "stable_token" // POST /cgi-bin/stable_token
	KindTicket      Kind = "ticket"       // GET /cgi-bin/ticket/getticket
	KindProbe       Kind = "probe"        // quota/get and get_api_domain_ip
	KindClearQuota  Kind = "clear_quota"  // both forms
	KindBusiness    Kind = "business"     // every other WeChat path
	KindOAuthToken  Kind = "oauth_token"  //nolint:gosec // G101: a name, no credential; calls of /oauth/token
	KindOAuthUse    Kind = "oauth_use"    // /oauth/userinfo
)

// Action names what a fault does to a call.
type Action string

// The actions. All of them but Delay take the place of the platform's answer.
const (
	Delay    Action = "delay"    // wait for Fault.Delay, then go on as if nothing had been
	Hang     Action = "hang"     // never answer; ends when the caller gives up or the fault is cleared
	Reset    Action = "reset"    // reset the connection after the first bytes of an answer
	Status   Action = "status"   // answer with Fault.Status (default 503) and Fault.Body
	HTML     Action = "html"     // answer with a gateway's error page, Fault.Status (default 502)
	Truncate Action = "truncate" // announce the whole answer, send half of it, close
	Huge     Action = "huge"     // stream Fault.Bytes (default 64 MiB) of an answer that makes no sense
	Errcode  Action = "errcode"  // answer with Fault.Errcode as WeChat would
	Refuse   Action = "refuse"   // answer with Fault.Error as an OAuth server would
)

// Moment says on which side of the platform's own work a fault strikes.
type Moment string

// The moments. An empty Moment is Before.
const (
	Before Moment = "before" // the platform never acts (for Delay: acts later)
	After  Moment = "after"  // the platform has acted, a token is minted; only the answer suffers
)

// maxHuge bounds the body of a Huge fault.
const maxHuge = 1 << 30

// Fault is an order to fail. Of several faults that fit a call, the one that was
// added first strikes. In JSON the fields have the names in their tags and
// durations are written like "1m30s".
type Fault struct {
	App  string `json:"app,omitempty"`  // appid or client_id whose calls it strikes; empty: every app's
	Kind Kind   `json:"kind,omitempty"` // kind of call it strikes; empty: every kind
	Host string `json:"host,omitempty"` // host the call was sent to, without port; empty: every host
	Skip int    `json:"skip,omitempty"` // how many fitting calls it lets pass first
	// Count is how many calls it strikes; 0 means all until it is cleared.
	Count int    `json:"count,omitempty"`
	Do    Action `json:"do"`
	When  Moment `json:"when,omitempty"`
	// Delay, in the caller's time, passes before the action; the call counts as
	// in flight all the while. Caller gone before it ends: the platform does not
	// act any more, unless Late is set.
	Delay time.Duration `json:"-"`
	// Late makes the platform act at the end of the Delay even though the caller
	// has gone, like a request delivered after its deadline. Only for Delay, Before.
	Late    bool              `json:"late,omitempty"`
	Status  int               `json:"status,omitempty"`  // for Status, HTML and Refuse
	Header  map[string]string `json:"header,omitempty"`  // extra headers, for Status, HTML and Refuse
	Body    string            `json:"body,omitempty"`    // for Status and HTML, instead of the default
	Bytes   int64             `json:"bytes,omitempty"`   // for Huge; at most 1 GiB
	Errcode int               `json:"errcode,omitempty"` // for Errcode; any number but 0
	Error   string            `json:"error,omitempty"`   // for Refuse, e.g. "temporarily_unavailable"
	Errmsg  string            `json:"errmsg,omitempty"`  // for Errcode, instead of the platform's own text; for Refuse, the error_description
}

type faultFields Fault

type faultWire struct {
	faultFields
	Delay textDuration `json:"delay,omitzero"`
}

// MarshalJSON writes the fault with its delay in words.
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultWire{faultFields(f), textDuration(f.Delay)})
}

// UnmarshalJSON reads what MarshalJSON writes and refuses unknown names.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var wire faultWire
	if err := decodeStrict(data, &wire); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	*f = Fault(wire.faultFields)
	f.Delay = time.Duration(wire.Delay)
	return nil
}

func (f Fault) validate() error {
	kinds := []Kind{
		"", KindAny, KindToken, KindStableToken, KindTicket, KindProbe, KindClearQuota, KindBusiness,
		KindOAuthToken, KindOAuthUse,
	}
	actions := []Action{Delay, Hang, Reset, Status, HTML, Truncate, Huge, Errcode, Refuse}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("fault kind %q: want one of %q", f.Kind, kinds[1:])
	case !slices.Contains(actions, f.Do):
		return fmt.Errorf("fault action %q: want one of %q", f.Do, actions)
	case f.When != "" && f.When != Before && f.When != After:
		return fmt.Errorf("fault moment %q: want %q or %q", f.When, Before, After)
	case f.Skip < 0 || f.Count < 0 || f.Delay < 0:
		return errors.New("fault: skip, count and delay may not be negative")
	case f.Do == Delay && f.Delay == 0:
		return errors.New("fault delay: say how long")
	case f.Late && (f.Do != Delay || f.When == After):
		return errors.New("fault late: only for a delay before the platform acts")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("fault status %d: want 200 to 599", f.Status)
	case f.Bytes < 0 || f.Bytes > maxHuge:
		return fmt.Errorf("fault bytes %d: want at most %d", f.Bytes, maxHuge)
	case f.Do == Errcode && f.Errcode == 0:
		return errors.New("fault errcode: say which")
	case (f.Do == Refuse) != (f.Error != ""):
		return errors.New("fault refuse: say which error, and an error with refuse only")
	}
	return nil
}
