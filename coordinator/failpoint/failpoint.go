// Package failpoint lets a test end or stop a process at a chosen point of a
// refresh. Built without the tag "failpoint" it does nothing and costs nothing.
//
// With the tag the variable FRESHET_FAILPOINT says what happens where, as a list
// of point:action[:nth] with commas in between, e.g.
//
//	FRESHET_FAILPOINT=after_answer:stop,before_salvage:kill
//	FRESHET_FAILPOINT=after_open:kill:2
//
// A point acts once, when it is reached for the nth time (default: the first).
// The actions are kill (as by kill -9), stop (until SIGCONT) and pause=DURATION.
package failpoint

// Point is a place in the code.
type Point string

// The points of one refresh, in order.
const (
	BeforeOpen     Point = "before_open"     // nothing is written yet
	AfterOpen      Point = "after_open"      // the intent is written, and its answer perhaps not read
	BeforeTakeover Point = "before_takeover" // as BeforeOpen, with another's intent in place
	AfterTakeover  Point = "after_takeover"  // the other's intent is replaced
	BeforeMark     Point = "before_mark"     // the refresh token was certainly not presented
	BeforeCall     Point = "before_call"     // before the last look at leadership and deadline
	AfterWrite     Point = "after_write"     // the request is on its way
	AfterAnswer    Point = "after_answer"    // the answer is in memory only
	AfterSpool     Point = "after_spool"     // the answer is on disk
	AfterPublish   Point = "after_publish"   // it is published, and the publication perhaps not answered
	BeforeSalvage  Point = "before_salvage"  // another took over meanwhile
	AfterSalvage   Point = "after_salvage"
	BeforeVoid     Point = "before_void" // no call was made
	BeforeReplay   Point = "before_replay"
	BeforeResign   Point = "before_resign" // leading has ended, the election key is there
)
