package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"freshet/coordinator/failpoint"
	"freshet/coordinator/schedule"
)

// refresher is one leadership of this node: what it has planned and what is
// under way. All fields but the channels are owned by run.
type refresher struct {
	node *Node
	held Leadership
	log  *slog.Logger

	queue   schedule.Queue[groupID]
	planned map[groupID]task
	ofApp   map[string][]groupID // :: app → its groups that were planned last
	live    map[groupID]string   // :: group with a worker → its upstream
	busy    map[string]int       // :: upstream → workers
	waiting map[string][]groupID
	resting map[groupID]time.Time // :: group whose attempt ended without an outcome → until when
	probes  map[groupID]time.Time // :: group → when its value is looked at next
	gates   map[string]*gate      // :: upstream → what stands before calls to it
	eased   map[groupID]time.Time // :: group that a jump of the clock made due → not before
	pace    pace

	finished chan ended
	beats    chan []UpstreamState // holds one
	workers  sync.WaitGroup
}

// ended is what a worker leaves behind.
type ended struct {
	id  groupID
	err error
}

// pauseAfterError is how long a group rests whose attempt ended without an
// outcome: what refused it would refuse it again.
const pauseAfterError = 5 * time.Second

// lead refreshes tokens until led ends. root ends when the node shall stop; led
// also when leadership can no longer be assumed. Calls under way are read to
// their deadline and their results saved before it returns.
func (n *Node) lead(root, led context.Context, l Leadership) error {
	r := &refresher{
		node: n, held: l, log: n.log.With("epoch", int64(l.Epoch)),
		planned: map[groupID]task{}, ofApp: map[string][]groupID{}, live: map[groupID]string{}, busy: map[string]int{}, waiting: map[string][]groupID{}, resting: map[groupID]time.Time{}, gates: map[string]*gate{}, probes: map[groupID]time.Time{}, eased: map[groupID]time.Time{},
		finished: make(chan ended), beats: make(chan []UpstreamState, 1),
	}
	if !n.cache.reached(led.Done(), l.Revision) {
		return context.Cause(led)
	}
	r.log.InfoContext(led, "leading", "revision", l.Revision)
	began := time.Now()
	defer func() { r.log.InfoContext(led, "following", "led_for", time.Since(began).Round(time.Millisecond)) }()

	ctx, cancel := context.WithCancel(led)
	var helpers sync.WaitGroup
	helpers.Go(func() { r.beat(ctx) })
	helpers.Go(func() { n.plant(ctx, l.Epoch) })
	helpers.Go(func() { n.trimAudit(ctx, l.Epoch) })
	err := r.run(root, ctx)
	cancel()
	helpers.Wait()
	failpoint.Hit(failpoint.BeforeResign)
	if errors.Is(err, errHandOver) {
		r.log.WarnContext(led, "handing over", "why", err)
		return nil
	}
	return err
}

// run is the loop that owns the plan. It returns when ctx ends or leadership
// turned out to be gone, after its workers have ended.
func (r *refresher) run(root, led context.Context) error {
	ctx, stop := context.WithCancel(led)
	defer r.workers.Wait()
	defer stop()
	beat := time.NewTicker(r.node.heartbeat)
	defer beat.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	r.heedJump()
	r.replanAll()
	r.tick()
	for {
		timer.Reset(r.untilNext())
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.node.inbox.wake:
			r.takeInbox()
		case <-timer.C:
		case <-beat.C:
			if r.node.handsOver(r.node.now()) {
				return errHandOver
			}
			r.heedJump()
			r.nudge()
			r.tick()
		case e := <-r.finished:
			if errors.Is(e.err, ErrFenced) {
				return e.err
			}
			r.end(e)
		}
		r.start(root, ctx)
	}
}

// tick lets the heartbeat go on: it stops when this loop hangs.
func (r *refresher) tick() {
	select {
	case r.beats <- r.upstreams():
	default:
	}
}

// beat writes a heartbeat for each tick of the loop.
func (r *refresher) beat(ctx context.Context) {
	for {
		var upstreams []UpstreamState
		select {
		case <-ctx.Done():
			return
		case upstreams = <-r.beats:
		}
		err := r.node.store.Beat(ctx, Heartbeat{Epoch: r.held.Epoch, Node: r.node.name, At: r.node.now(), Upstreams: upstreams})
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "heartbeat", "err", err)
		}
	}
}

// untilNext returns how long until the earliest planned task. The loop also wakes
// with each heartbeat, so that a wall clock that was set is noticed.
func (r *refresher) untilNext() time.Duration {
	at, ok := r.queue.Next()
	if !ok || r.node.Room().Full() {
		return time.Hour
	}
	return max(at.Sub(r.node.now()), 0)
}

// takeInbox plans anew for the apps that have changed.
func (r *refresher) takeInbox() {
	r.heedJump()
	apps, all := r.node.inbox.take()
	if all {
		r.replanAll()
		return
	}
	for app := range apps {
		r.replan(app)
	}
}

func (r *refresher) replanAll() {
	r.node.inbox.take()
	var apps []string
	r.node.cache.reading(func(known *records) { apps = slices.Sorted(maps.Keys(known.apps)) })
	for id := range r.planned {
		r.forget(id)
	}
	clear(r.ofApp)
	for _, app := range apps {
		r.replan(app)
	}
}

// replan sets what each group of an app needs next. Groups with a worker are
// planned when it ends.
func (r *refresher) replan(app string) {
	now := r.node.now()
	current := map[groupID]struct{}{}
	r.node.cache.reading(func(known *records) {
		for _, t := range r.node.tasks(known, app) {
			if _, live := r.live[t.id]; live {
				continue
			}
			t, ok := r.node.planNext(known, t, now)
			if !ok {
				continue
			}
			if budget, counted := known.budgetOf(t.app, t.group, now); counted {
				t.budgets = []Budget{budget}
			}
			t = r.node.heedBars(known, r.planProbe(t, now), now)
			t.at = later(later(steady(t.at, now), r.resting[t.id]), r.eases(t))
			current[t.id] = struct{}{}
			r.planned[t.id] = t
			r.queue.Set(t.id, t.at)
		}
	})
	for _, id := range r.ofApp[app] {
		_, stays := current[id]
		if _, planned := r.planned[id]; planned && !stays {
			r.forget(id)
			delete(r.probes, id)
			delete(r.eased, id)
		}
	}
	if len(current) == 0 {
		delete(r.ofApp, app)
		return
	}
	r.ofApp[app] = slices.Collect(maps.Keys(current))
}

func (r *refresher) forget(id groupID) {
	delete(r.planned, id)
	r.queue.Remove(id)
}

// start begins what is due, as far as each upstream has workers to spare.
// Nothing is begun whose result might find no room in the store.
func (r *refresher) start(root, ctx context.Context) {
	if r.node.Room().Full() {
		return
	}
	now := r.node.now()
	for ctx.Err() == nil {
		id, ok := r.queue.Pop(now)
		if !ok {
			return
		}
		t := r.planned[id]
		upstream := r.upstreamOf(t)
		if r.busy[upstream] >= r.node.workers {
			r.waiting[upstream] = append(r.waiting[upstream], id)
			continue
		}
		if r.yields(&t, upstream) || !r.admit(upstream, &t) {
			continue
		}
		delete(r.planned, id)
		r.live[id] = upstream
		r.busy[upstream]++
		if t.kind == taskProbe {
			r.nextProbe(&t)
		} else {
			delete(r.eased, id)
		}
		r.workers.Go(func() {
			e := ended{id: id, err: r.work(root, ctx, t)}
			select {
			case r.finished <- e:
			case <-ctx.Done():
			}
		})
	}
}

// end takes a worker's place back, plans its group anew, and lets the next one
// that waits for the upstream have its turn.
func (r *refresher) end(e ended) {
	r.heedJump()
	upstream := r.live[e.id]
	delete(r.live, e.id)
	r.busy[upstream]--
	delete(r.resting, e.id)
	if e.err != nil {
		r.resting[e.id] = r.node.now().Add(pauseAfterError)
	}
	r.replan(e.id.app)
	r.afterCall(upstream)
	for len(r.waiting[upstream]) > 0 {
		next := r.waiting[upstream][0]
		r.waiting[upstream] = r.waiting[upstream][1:]
		t, ok := r.planned[next]
		if !ok {
			continue
		}
		r.queue.Set(next, t.at)
		if !t.at.After(time.Now()) {
			return
		}
		// It was planned again while it waited, had its turn then, and takes nobody else's.
	}
}

// work does one task. ErrFenced means that leadership turned out to be gone; any
// other error that the attempt ended without an outcome.
func (r *refresher) work(root, ctx context.Context, t task) error {
	a := &attempt{node: r.node, held: r.held, task: t, log: r.log.With("app", t.app.Name, "group", t.group.Name)}
	defer t.pass.answered(errNotCalled)
	err := a.do(root, ctx)
	// The next plan, and the memory of a node that ends, shall know the outcome.
	shown, cancel := context.WithTimeout(context.WithoutCancel(ctx), seenLimit)
	defer cancel()
	r.node.cache.reached(shown.Done(), a.committed)
	if err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "refresh ended without an outcome", "attempt", a.intent.Attempt, "err", err)
	}
	return err
}

// do does the attempt's task.
func (a *attempt) do(root, ctx context.Context) error {
	switch a.task.kind {
	case taskAnswer:
		return a.answer(ctx)
	case taskGiveUp:
		return a.giveUp(ctx)
	case taskRaise:
		return a.raise(ctx)
	case taskDoubt:
		return a.doubt(ctx)
	case taskVoid:
		a.intent = *a.task.foreign
		return a.void(ctx)
	case taskProbe:
		return a.watch(ctx)
	case taskInput:
		return a.takeInput(ctx)
	case taskFetch, taskTakeOver:
	}
	return a.run(root, ctx)
}

// chance returns a number in [0, 1) for jitter.
func chance() float64 { return rand.Float64() }
