package faulttest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Figures count what was done and how long the cluster was without a refresher.
// They are safe for concurrent use.
type Figures struct {
	mu    sync.Mutex
	kinds map[string]*kindFigures
	wrong []string
}

type kindFigures struct {
	faults  int
	gaps    int
	longest time.Duration // gap
	bound   time.Duration // of the longest one
	lost    time.Duration // by the machine, of the longest one
	back    time.Duration // longest time to full health after the fault was lifted
}

// NewFigures returns figures of nothing.
func NewFigures() *Figures { return &Figures{kinds: map[string]*kindFigures{}} }

func (f *Figures) of(kind string) *kindFigures {
	if f.kinds[kind] == nil {
		f.kinds[kind] = &kindFigures{}
	}
	return f.kinds[kind]
}

// Fault counts one.
func (f *Figures) Fault(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(kind).faults++
}

// Faults counts all of them so far.
func (f *Figures) Faults() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := 0
	for kind := range maps.Values(f.kinds) {
		sum += kind.faults
	}
	return sum
}

// Gap notes how long nobody refreshed after a fault, and complains where that was
// longer than promised, with the allowance for what the machine lost.
func (f *Figures) Gap(kind string, gap, bound, allowance time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.of(kind)
	k.gaps++
	if gap > k.longest {
		k.longest, k.bound, k.lost = gap, bound, allowance
	}
	if gap > bound+allowance {
		f.wrong = append(f.wrong, fmt.Sprintf("%s: nobody refreshed for %s; the bound is %s and the machine lost %s", kind, gap, bound, allowance))
	}
}

// Back notes how long every node took to serve the newest versions again after a
// fault was lifted.
func (f *Figures) Back(kind string, took, allowance time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.of(kind)
	k.back = max(k.back, took)
	if took > lagLimit+allowance {
		f.wrong = append(f.wrong, fmt.Sprintf("%s: the nodes agreed only %s after it was lifted; the bound is %s and the machine lost %s", kind, took, lagLimit, allowance))
	}
}

// Wrong lists the bounds that were broken.
func (f *Figures) Wrong() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.wrong)
}

// Line is the figures in one line, for a person who waits.
func (f *Figures) Line(r *Reads) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	failed := 0
	for n := range maps.Values(r.failed) {
		failed += n
	}
	return fmt.Sprintf("%d faults, %d reads, %d of them failed", f.Faults(), r.made+r.wide, failed)
}

// Table is the figures as Markdown.
func (f *Figures) Table(l *Ledger, r *Reads, c *Calls, g *Grants) string {
	var b strings.Builder
	b.WriteString("| fault | times | gaps | longest gap | bound | allowed for the machine | longest way back |\n|---|---|---|---|---|---|---|\n")
	f.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(f.kinds)) {
		k := f.kinds[name]
		if k.faults == 0 && k.gaps == 0 {
			continue // not a fault
		}
		gap, bound, lost := "–", "–", "–"
		if k.gaps > 0 {
			gap, bound, lost = seconds(k.longest), seconds(k.bound), seconds(k.lost)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s | %s | %s |\n", name, k.faults, k.gaps, gap, bound, lost, seconds(k.back))
	}
	f.mu.Unlock()
	b.WriteString("\n| what | figure |\n|---|---|\n")
	row := func(what string, figure any) { fmt.Fprintf(&b, "| %s | %v |\n", what, figure) }
	row("faults", f.Faults())
	r.mu.Lock()
	row("reads from one node each", r.made)
	row("reads by clients that know all nodes", r.wide)
	for _, why := range slices.Sorted(maps.Keys(r.failed)) {
		row("failed reads: "+why, r.failed[why])
	}
	for _, why := range slices.Sorted(maps.Keys(r.dead)) {
		row("values served that the platform refused: "+why, r.dead[why])
	}
	r.mu.Unlock()
	c.mu.Lock()
	calls := 0
	for n := range maps.Values(c.begun) {
		calls += n
	}
	row("upstream calls", calls)
	row("calls beside one that the platform still had after its deadline (W2)", c.late)
	row("duplicate fetches by a node that was paused (W1)", c.doubled)
	row("duplicate fetches otherwise", len(c.wrong))
	c.mu.Unlock()
	g.mu.Lock()
	row("refresh tokens lost with an answer (W3, W5)", g.lost)
	row("refresh tokens lost otherwise", len(g.wrong))
	row("new consents given", g.consented)
	g.mu.Unlock()
	row("attempts", l.Attempts())
	row("leaderships", l.Elections())
	row("results saved after leadership was lost", l.Salvaged())
	row("times the history was lost to a compaction", l.Holes())
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
