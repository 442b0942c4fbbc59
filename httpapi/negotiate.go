package httpapi

import (
	"mime"
	"strconv"
	"strings"
)

// prefersText reports whether an Accept header prefers text/plain to JSON.
func prefersText(accept []string) bool {
	if len(accept) == 0 {
		return false
	}
	if len(accept) == 1 && !strings.Contains(accept[0], "text/") {
		return false // the common cases, without reading further
	}
	var text, json float64
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		switch media {
		case "text/plain":
			text = max(text, quality(params))
		case "application/json":
			json = max(json, quality(params))
		}
	}
	return text > json
}

func quality(params map[string]string) float64 {
	text, given := params["q"]
	if !given {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}

// matches reports whether an If-None-Match header names the tag. Tags are
// compared weakly, as the header demands.
func matches(header []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, line := range header {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}
