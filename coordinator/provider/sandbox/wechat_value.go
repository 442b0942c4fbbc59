package sandbox

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Line names a series of values in which a newer one replaces the older.
type Line string

// The lines of a WeChat app. They are isolated: no value of one ends a value of
// another.
const (
	LinePlain  Line = "plain"
	LineStable Line = "stable"
	LineJSAPI  Line = "jsapi"
	LineWxCard Line = "wx_card"
	// LineTicket stands for both ticket lines in Kill and POST /_kill.
	LineTicket Line = "ticket"
)

// value is the life of one token or ticket; guarded by wechat.mu.
type value struct {
	text    string
	appid   string
	line    Line
	born    time.Time
	expires time.Time // as granted
	dies    time.Time // as things turned out: never after expires
	elder   *value    // the one it replaced, while that may live
}

func (v *value) alive(now time.Time) bool { return v != nil && now.Before(v.dies) }

// endBy shortens the life, never lengthens it.
func (v *value) endBy(at time.Time) {
	if at.Before(v.dies) {
		v.dies = at
	}
}

// expiresIn is what the platform tells the caller: whole seconds of the caller's
// time, at least one while the value lives.
func (v *value) expiresIn(now time.Time) int { return wholeSeconds(v.dies.Sub(now)) }

func wholeSeconds(d time.Duration) int { return max(int(d/time.Second), 1) }

// forgetAfter is how long, by the platform's clock, a dead value is told from one
// that never was.
const forgetAfter = 24 * time.Hour

// mintLocked issues a new value. The one it replaces lives on for the overlap; the
// one before that dies at once, so that never more than two of a line live.
func (p *wechat) mintLocked(acc *account, line Line, now time.Time) *value {
	life := acc.app.Lifetime
	if line == LineJSAPI || line == LineWxCard {
		life = acc.app.TicketLifetime
	}
	expires := now.Add(p.clock.shrink(life))
	v := &value{
		text: p.newText(), appid: acc.app.AppID, line: line,
		born: now, expires: expires, dies: expires, elder: acc.lines[line],
	}
	if old := v.elder; old != nil {
		old.endBy(now.Add(p.clock.shrink(acc.app.Overlap)))
		if old.elder != nil {
			old.elder.endBy(now)
			old.elder = nil
		}
	}
	p.forgetLocked(now)
	acc.lines[line] = v
	p.values[v.text] = v
	p.oracle.issued(v.appid, line)
	return v
}

// forgetLocked drops values that have been dead for long, looking only when there
// are twice as many as were left the last time.
func (p *wechat) forgetLocked(now time.Time) {
	if len(p.values) < p.forgetAt {
		return
	}
	limit := now.Add(-p.clock.shrink(forgetAfter))
	maps.DeleteFunc(p.values, func(_ string, v *value) bool { return v.dies.Before(limit) })
	p.forgetAt = 2*len(p.values) + 1024
}

// newText returns a value that looks like the platform's: a number, an underscore,
// 128 random characters.
func (p *wechat) newText() string {
	var raw [97]byte
	_, _ = rand.Read(raw[:]) // never fails
	return fmt.Sprintf("%s%d_%s", p.prefix, 60+int(raw[96])%40, base64.RawURLEncoding.EncodeToString(raw[:96]))
}

// wellFormed reports whether text could be a value at all.
func wellFormed(text string) bool {
	return len(text) >= 100 && len(text) <= 512 && valueAlphabet.MatchString(text)
}

// digest is how a value is named where it must not be shown.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// live returns every value that works now, by appid.
func (p *wechat) live() map[string][]TokenReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	live := make(map[string][]TokenReport)
	for _, v := range p.values {
		if !v.alive(now) {
			continue
		}
		live[v.appid] = append(live[v.appid], TokenReport{
			Line: v.line, Digest: digest(v.text), Value: v.text,
			Current:    p.accounts[v.appid].lines[v.line] == v,
			AgeSeconds: now.Sub(v.born).Seconds(), RemainingSeconds: v.dies.Sub(now).Seconds(),
		})
	}
	for _, tokens := range live {
		slices.SortFunc(tokens, func(a, b TokenReport) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(b.AgeSeconds, a.AgeSeconds))
		})
	}
	return live
}
