package sandbox

import (
	"fmt"
	"net/netip"
	"time"
)

// address is what an app's administrator has said about one caller's address;
// guarded by wechat.mu.
type address struct {
	approved    bool
	pending     bool
	rejections  int
	barredUntil time.Time
}

// Confirm answers, as the app's administrator, whether token calls from ip are
// welcome; it matters where App.ConfirmIPs is set. A first rejection bars the
// address for an hour of the platform's, each later one for a day.
func (s *Sandbox) Confirm(appid, ip string, approve bool) error {
	parsed, err := netip.ParseAddr(ip)
	if err != nil {
		return fmt.Errorf("confirming: %w", err)
	}
	p := s.wechat
	p.mu.Lock()
	defer p.mu.Unlock()
	acc := p.accounts[appid]
	if acc == nil {
		return fmt.Errorf("confirming for %q: %w", appid, ErrUnknownApp)
	}
	a := acc.address(parsed.Unmap().String())
	a.pending, a.approved = false, approve
	if approve {
		a.rejections, a.barredUntil = 0, time.Time{}
		return nil
	}
	a.rejections++
	a.barredUntil = time.Now().Add(p.clock.shrink(a.bar()))
	return nil
}

func (acc *account) address(ip string) *address {
	if acc.addresses[ip] == nil {
		acc.addresses[ip] = &address{}
	}
	return acc.addresses[ip]
}

func (a *address) bar() time.Duration {
	if a.rejections > 1 {
		return 24 * time.Hour
	}
	return time.Hour
}

// checkAddressLocked asks the administrator about an address nobody has answered
// for, once; until the answer, calls from there are refused.
func (p *wechat) checkAddressLocked(acc *account, ip string, now time.Time) *wechatError {
	if !acc.app.ConfirmIPs {
		return nil
	}
	switch a := acc.address(ip); {
	case a.approved:
		return nil
	case now.Before(a.barredUntil) && a.rejections > 1:
		return &wechatError{code: codeBarredForDay}
	case now.Before(a.barredUntil):
		return &wechatError{code: codeBarredForHour}
	case a.pending:
		return &wechatError{code: codeConfirmPending}
	default:
		a.pending = true
		p.oracle.confirmation(acc.app.AppID)
		return &wechatError{code: codeConfirmNeeded}
	}
}
