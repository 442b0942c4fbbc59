package model

const (
	maxNodes    = 3
	maxAttempts = 5  // numbered from 1
	pushed      = 15 // the value somebody set by hand; it never dies
)

// status is that of the State in the store.
type status uint8

const (
	fresh status = iota
	failing
	uncertain
	reauthorize
)

// What State.Unresolved says of the grant's refresh token.
const (
	resolved   = iota // it was not presented, as far as anybody can know
	unresolved        // an attempt may have spent it
	refused           // the same, and the platform has refused it since
)

// state is one situation of the whole cluster. It holds small numbers only, so
// that many of them fit into memory and two are equal if their bytes are.
type state struct {
	// In the store.
	key         [maxNodes]uint8 // :: node → epoch of its election key; 0: none
	nextEpoch   uint8
	intent      uint8 // attempt whose intent is open; 0: none
	opened      uint8 // intents so far: stands for their revisions
	version     uint8 // State.Version
	revision    uint8 // of the State
	status      status
	unresolved  uint8
	doubted     uint8 // life that unresolved was said of
	ended       uint8 // attempts among the outcomes of the State, as bits
	value       uint8 // of the Token; minted by the platform as 1, 2, 3 …
	wanted      uint8 // version that is asked for
	asked       uint8 // version a client's request on its way is about
	incarnation uint8 // of the credentials
	life        uint8 // incarnation the grant was given in
	generation  uint8 // of the grant
	refresh     uint8 // the refresh token it holds
	grant       uint8 // its revision
	base        uint8 // generation its refresh token was fetched with
	producer    uint8 // order of the intent it was fetched under
	salvage     uint8 // attempts whose salvage is stored, as bits

	// At the platform.
	minted    uint8 // newest value
	overlap   uint8 // the one before, while it lives
	current   uint8 // refresh token
	spent     uint8 // the one before, while it may be presented again
	family    uint8 // life that current belongs to
	revoked   uint8
	refreshes uint8 // refresh tokens minted

	graceOver uint8 // a call that begins now could end outside the grace
	valueOver uint8 // the published value has expired

	// What may still happen.
	faults, lateWrites, lateArrivals, reports, changes, disks, faulted uint8

	nodes       [maxNodes]node
	nextAttempt uint8
	attempts    [maxAttempts + 1]attempt
	stray       message // a transaction on its way whose sender has gone
}

// node is what a process believes.
type node struct {
	alive   uint8
	epoch   uint8 // of its candidacy; 0: none
	leads   uint8 // it believes so
	overdue uint8 // its local lease deadline has passed
	seen    uint8 // foreign intent that it waits for
	waited  uint8 // it has waited long enough
}

// stage is how far the worker of an attempt is.
type stage uint8

const (
	unused     stage = iota
	opening          // its intent was sent
	looking          // its intent stands; next comes the last read before the call
	ready            // it has read; next comes the call
	calling          // the request was written
	answered         // the answer is in memory
	denied           // the platform refused the refresh token
	unanswered       // the call ended without an answer
	publishing       // sent: Publish, Void or Salvage
	rereading        // refused: read everything again
	done
	dead // the process ended, and left a result on its disk
)

// attempt is one intent and the call made under it.
type attempt struct {
	stage       stage
	node        uint8
	epoch       uint8 // 0: replayed from the disk
	previous    uint8 // attempt it took over
	order       uint8 // of its intent
	incarnation uint8 // of the credentials it calls with
	read        read
	life        uint8 // of the grant
	version     uint8 // held when it was opened
	generation  uint8
	refresh     uint8 // presented
	net         net
	value       uint8 // answered
	yielded     uint8 // refresh token answered
	source      uint8 // attempt whose salvage it publishes
	sent        message
	answer      answer
	flags       flags
}

// read is what an attempt has read last, and its transactions compare.
type read struct {
	revision, grant, lineage, version uint8
	salvage                           uint8 // that was there, as bits
}

// net is where a request is.
type net uint8

const (
	unsent    net = iota
	requested     // on its way to the platform
	replied       // the answer is on its way back
	over          // nothing is under way
)

// flags of an attempt.
type flags uint16

const (
	expired     flags = 1 << iota // its deadline has passed
	lateWrite                     // it was written after that
	lateArrival                   // it acted after that
	spooled                       // the result is on the node's disk
	received                      // the process has the result
	written                       // the request was written
	gamble                        // with a refresh token that might be spent
	chance                        // as the last chance
	overlooked                    // there was salvage when it looked
	published                     // the result was published
	dropped                       // the result was superseded
	lost                          // the result ended with its process
	lostDisk                      // or with its disk
	closing                       // what is sent is a failure or a void: there is no result
	rejected                      // the platform refused the refresh token
)

// op is a transaction.
type op uint8

const (
	none op = iota
	opOpen
	opPublish // with or without leadership
	opFail
	opVoid
	opSalvage
)

func (o op) String() string {
	return [...]string{"nothing", "Open", "Publish", "Publish(failure)", "Void", "Salvage"}[o]
}

// message is a transaction: what it compares, and what it writes beside the result.
type message struct {
	op         op
	attempt    uint8
	epoch      uint8 // 0: not fenced
	source     uint8 // attempt whose salvage it publishes
	read       read  // its salvage is what the transaction deletes
	status     status
	unresolved uint8
}

// answer of the store to what was sent.
type answer uint8

const (
	waiting answer = iota
	committed
	conflict
)

func bit(a uint8) uint8 { return 1 << a }

// has reports whether all of some flags are set.
func (a *attempt) has(f flags) bool { return a.flags&f == f }

// works reports whether a process is at work on the attempt.
func (a *attempt) works() bool { return a.stage != unused && a.stage != done && a.stage != dead }

// holds reports whether the node of an attempt leads, as far as the store knows.
func (s *state) holds(m message) bool {
	return m.epoch != 0 && s.key[s.attempts[m.attempt].node] == m.epoch
}

// first reports whether a node's election key is the oldest there is.
func (s *state) first(n uint8) bool {
	for _, epoch := range s.key {
		if epoch != 0 && epoch < s.key[n] {
			return false
		}
	}
	return s.key[n] != 0
}

// initial is a cluster whose node A leads, with version 1 published and 2 wanted.
func (c Config) initial() state {
	s := state{
		key: [maxNodes]uint8{1, 2}, nextEpoch: 3, version: 1, revision: 1, value: 1, wanted: 2,
		incarnation: 1, life: 1, generation: 3, refresh: 1, grant: 1, minted: 1, current: 1, family: 1, refreshes: 1,
		faults: c.Faults, lateWrites: c.LateWrites, lateArrivals: c.LateArrivals, reports: c.Reports,
		changes: c.ChangeLimit, disks: c.Disks, nextAttempt: 1,
	}
	for n := range c.Nodes {
		s.nodes[n].alive = 1
	}
	s.nodes[0].epoch, s.nodes[0].leads, s.nodes[1].epoch = 1, 1, 2
	return s
}
