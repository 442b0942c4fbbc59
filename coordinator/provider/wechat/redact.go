package wechat

import (
	"strings"

	"freshet/coordinator/provider/outbound"
)

const (
	maxMessage = outbound.MaxMessage
	ridMark    = "rid: " // the platform's trace id, at the end of most messages
	maxRid     = 64
)

// clean makes what the platform says fit for an error, and keeps the trace id.
func clean(s string, hide ...string) string {
	s = outbound.Hide(s, hide...)
	if len(s) <= maxMessage {
		return s
	}
	head, tail := s, ""
	if at := strings.LastIndex(s, ridMark); at >= 0 {
		head, tail = strings.TrimSpace(s[:at]), " "+outbound.Cut(s[at:], maxRid)
	}
	return outbound.Cut(head, maxMessage-len(tail)) + tail
}
