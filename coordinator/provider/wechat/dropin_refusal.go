package wechat

import (
	"errors"

	"freshet/coordinator"
)

// The codes with which a node refuses calls in the platform's place.
const (
	codeBusy        = -1
	codeNotLatest   = 40001
	codeBadGrant    = 40002
	codeBadAppID    = 40013
	codeBadArgument = 40097
	codeBadSecret   = 40125 // not 40001 too, which some programs take for a dead token wherever it comes from
	codeNoToken     = 41001
	codeNoAppID     = 41002
	codeNoSecret    = 41004
	codeNeedsGET    = 43001
	codeNeedsPOST   = 43002
	codeEmptyBody   = 44002
	codeBadFormat   = 47001
	codeNotGranted  = 48001
)

// texts are the platform's words for them.
func texts() map[refusal]string {
	return map[refusal]string{ //nolint:gosec // texts about credentials, with none in them
		codeBusy:        "system error",
		codeNotLatest:   "invalid credential, access_token is invalid or not latest",
		codeBadGrant:    "invalid grant_type",
		codeBadAppID:    "invalid appid",
		codeBadArgument: "invalid args",
		codeBadSecret:   "invalid appsecret",
		codeNoToken:     "access_token missing",
		codeNoAppID:     "appid missing",
		codeNoSecret:    "appsecret missing",
		codeNeedsGET:    "require GET method",
		codeNeedsPOST:   "require POST method",
		codeEmptyBody:   "empty post data",
		codeBadFormat:   "data format error",
		codeNotGranted:  "api unauthorized",
	}
}

// Refusal answers with the platform's code for an error. What the platform could
// not know stands behind its words: programs read the code, people the text.
func (p *Provider) Refusal(err error) coordinator.Reply {
	code, hint := refusedWith(err)
	text := texts()[code]
	if hint != "" {
		text += ", hint: [" + hint + "]"
	}
	return reply(struct {
		Errcode refusal `json:"errcode"`
		Errmsg  string  `json:"errmsg"`
	}{code, text})
}

func refusedWith(err error) (code refusal, hint string) {
	own, isOwn := errors.AsType[refusal](err)
	switch {
	case isOwn:
		return own, ""
	case errors.Is(err, coordinator.ErrKeyRefused):
		return codeBadSecret, coordinator.ErrKeyRefused.Error()
	case errors.Is(err, coordinator.ErrValueRefused):
		return codeNotLatest, ""
	case errors.Is(err, coordinator.ErrNoValue):
		return codeNoToken, coordinator.ErrNoValue.Error()
	case errors.Is(err, coordinator.ErrUnknownApp):
		return codeBadAppID, "no such app, or this client may not read its token"
	case errors.Is(err, coordinator.ErrNotKept):
		return codeNotGranted, coordinator.ErrNotKept.Error()
	}
	if invalid, ok := errors.AsType[*coordinator.InvalidError](err); ok {
		return codeBadArgument, invalid.Message
	}
	if missing, ok := errors.AsType[*coordinator.NoValueError](err); ok {
		return codeBusy, missing.Err.Error()
	}
	return codeBusy, ""
}
