package coordinator

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"
)

// Position is a place in the cluster's history that a reader is told, so that
// it can go on from there, on another node too. The zero Position is none.
//
// It names one heartbeat of the refresher, which every node sees: by its
// revision, and by what was written, so that a position of a history that ended
// with a restore from a backup is not taken for one of the present.
type Position struct {
	Incarnation uint64 // digest of the heartbeat
	Revision    int64  // of the heartbeat
}

// positionOf names a heartbeat.
func positionOf(h Heartbeat) Position {
	digest := fnv.New64a()
	var numbers []byte
	for _, number := range []int64{h.Revision, int64(h.Epoch), h.At.UnixNano()} {
		numbers = binary.BigEndian.AppendUint64(numbers, uint64(number)) //nolint:gosec // bits, not a number
	}
	_, _ = digest.Write(numbers)
	_, _ = digest.Write([]byte(h.Node))
	return Position{Incarnation: digest.Sum64(), Revision: h.Revision}
}

// String returns "<incarnation>.<revision>".
func (p Position) String() string {
	return strconv.FormatUint(p.Incarnation, 16) + "." + strconv.FormatInt(p.Revision, 10)
}

// ParsePosition reads what String has written; anything else is no position.
func ParsePosition(text string) (p Position, ok bool) {
	incarnation, revision, _ := strings.Cut(text, ".")
	var err1, err2 error
	p.Incarnation, err1 = strconv.ParseUint(incarnation, 16, 64)
	p.Revision, err2 = strconv.ParseInt(revision, 10, 64)
	if err1 != nil || err2 != nil || p.String() != text || p.Revision < 0 {
		return Position{}, false
	}
	return p, true
}
