package coordinator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// fingerprintBytes of the HMAC are shown: enough to tell values apart, useless to find them.
const fingerprintBytes = 8

// Of returns the fingerprint of a value: a prefix of its HMAC under the
// cluster's key, the only form in which a value appears outside of an answer's
// body. Empty while the key is not known.
func (k FingerprintKey) Of(value Secret) string {
	if k.Key.IsZero() || value.IsZero() {
		return ""
	}
	sum := k.sum(value)
	return hex.EncodeToString(sum[:fingerprintBytes])
}

// valueSum is the whole HMAC of a value, by which a node finds it again. It never
// leaves the process.
type valueSum [sha256.Size]byte

func (k FingerprintKey) sum(value Secret) (sum valueSum) {
	mac := hmac.New(sha256.New, []byte(k.Key.Reveal()))
	mac.Write([]byte(value.Reveal()))
	mac.Sum(sum[:0])
	return sum
}
