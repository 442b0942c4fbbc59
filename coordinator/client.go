package coordinator

import (
	"crypto/sha256"
	"path"
	"strings"
	"time"
)

// Verb is one thing a client may be permitted to do.
type Verb string

// The verbs of permissions.
const (
	VerbRead    Verb = "read"    // values; includes reporting them dead
	VerbRefresh Verb = "refresh" // ask for a newer version
	VerbPush    Verb = "push"    // write values
	VerbProxy   Verb = "proxy"   // call the platform through us
	VerbView    Verb = "view"    // states, never values
	VerbAdmin   Verb = "admin"   // everything about apps and clients, except values
)

// Verbs returns all verbs there are.
func Verbs() []Verb { return []Verb{VerbRead, VerbRefresh, VerbPush, VerbProxy, VerbView, VerbAdmin} }

// Digest is the only form in which a client key is kept. Client keys are random
// and long, so one pass of SHA-256 is enough.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a client key.
func DigestOf(key Secret) Digest { return sha256.Sum256([]byte(key.Reveal())) }

// Client is somebody who calls our API.
type Client struct {
	Name     string
	Digest   Digest
	Can      map[Verb][]string // :: verb → globs of token names; "*" stays within a segment, "**" crosses
	Note     string
	Owner    string
	Expires  time.Time // zero: never
	Created  time.Time
	Revision int64
}

// May reports whether the client may use verb on the token. The zero Client may nothing.
func (c Client) May(verb Verb, name Name) bool {
	for _, glob := range c.Can[verb] {
		if matchName(glob, name.String()) {
			return true
		}
	}
	return false
}

// MayAny reports whether the client may use verb on anything at all.
func (c Client) MayAny(verb Verb) bool { return len(c.Can[verb]) > 0 }

// matchName matches a name like "shop/access_token" against a glob.
func matchName(glob, name string) bool {
	before, after, crosses := strings.Cut(glob, "**")
	if !crosses {
		ok, err := path.Match(glob, name)
		return err == nil && ok
	}
	// "**" takes any text: try every rest of the name behind a matching head.
	for i := 0; i <= len(name); i++ {
		head, err := path.Match(before, name[:i])
		if err != nil {
			return false
		}
		if head && matchTail(after, name[i:]) {
			return true
		}
	}
	return false
}

func matchTail(glob, rest string) bool {
	for i := 0; i <= len(rest); i++ {
		if matchName(glob, rest[i:]) {
			return true
		}
	}
	return false
}
