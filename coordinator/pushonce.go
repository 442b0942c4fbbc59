package coordinator

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
)

// id names the attempt as which a push is published. One that its client has
// named keeps it however often it is sent, and through whichever node.
func (p Push) id(name Name) string {
	if p.IdempotencyKey == "" {
		return newID()
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{p.By, name.String(), p.IdempotencyKey}, "\x00")))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// sentBefore reports whether a push is there already: it waits, or was published,
// and may have been replaced since, or before. What is to be answered is in it then. One that
// was dropped becomes a new one.
func (i *Input) sentBefore(waiting Input, seen State, held *Token) (bool, error) {
	if waiting.ID == i.ID {
		if !i.repeats(Token{Value: waiting.Value, Type: waiting.Type, Scope: waiting.Scope, Extra: waiting.Extra}) {
			return false, errOtherValue(i.Name)
		}
		i.Wanted, i.Expires = waiting.Wanted, waiting.Expires
		return true, nil
	}
	if slices.Contains(waiting.Before, i.ID) {
		i.Wanted = waiting.Wanted
		return true, nil
	}
	for _, outcome := range seen.Outcomes {
		replaced := slices.Contains(outcome.Before, i.ID)
		switch {
		case outcome.Attempt != i.ID && !replaced:
			continue
		case outcome.Result == ResultFailed:
			i.ID = newID()
			return false, nil
		case !replaced && held != nil && held.Version == outcome.Version && !i.repeats(*held):
			return false, errOtherValue(i.Name)
		}
		i.Wanted = outcome.Version
		if !replaced && seen.Version == outcome.Version {
			i.Expires = seen.Expires
		}
		return true, nil
	}
	return false, nil
}

func errOtherValue(name Name) error {
	return Invalidf("this idempotency key was used for another value of %s: use a new one for each value, and send it again only with the same", name)
}
