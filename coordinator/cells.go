package coordinator

import (
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// cells holds a cell for every token that was ever shown or waited for, app by
// app, so that those of one app are found without a look at all.
type cells struct {
	apps sync.Map // :: app → *appCells
}

// appCells are the cells of one app's tokens, sorted. The slice is never changed,
// but replaced by a longer one.
type appCells struct {
	sorted atomic.Pointer[[]tokenCell]
}

type tokenCell struct {
	token string
	cell  *cell
}

// find returns the cell of a token; nil: there is none.
func (c *cells) find(name Name) *cell {
	found, _, _ := c.of(name.App).find(name.Token)
	return found
}

// get returns the cell of a token, made if need be.
func (c *cells) get(name Name) *cell {
	if found := c.find(name); found != nil {
		return found
	}
	app := c.of(name.App)
	if app == nil {
		made, _ := c.apps.LoadOrStore(name.App, &appCells{})
		app = made.(*appCells) //nolint:forcetypeassert // apps holds nothing else
	}
	return app.get(name.Token)
}

// of returns the cells of an app; nil: there are none.
func (c *cells) of(app string) *appCells {
	found, ok := c.apps.Load(app)
	if !ok {
		return nil
	}
	return found.(*appCells) //nolint:forcetypeassert // apps holds nothing else
}

// within yields the cells of the tokens that a reach may hold.
func (c *cells) within(reach Reach) iter.Seq2[Name, *cell] {
	return func(yield func(Name, *cell) bool) {
		if !reach.bounded {
			c.apps.Range(func(app, found any) bool {
				return found.(*appCells).each(app.(string), yield) //nolint:forcetypeassert // apps holds nothing else
			})
			return
		}
		for _, app := range reach.apps {
			if !c.of(app).each(app, yield) {
				return
			}
		}
	}
}

// all yields every cell.
func (c *cells) all() iter.Seq2[Name, *cell] { return c.within(Reach{}) }

// find returns the cell of a token, or nil and where it belongs.
func (a *appCells) find(token string) (_ *cell, sorted *[]tokenCell, i int) {
	if a == nil {
		return nil, nil, 0
	}
	sorted = a.sorted.Load()
	if sorted == nil {
		return nil, nil, 0
	}
	i, ok := slices.BinarySearchFunc(*sorted, token, func(c tokenCell, token string) int { return strings.Compare(c.token, token) })
	if !ok {
		return nil, sorted, i
	}
	return (*sorted)[i].cell, sorted, i
}

func (a *appCells) get(token string) *cell {
	for {
		found, sorted, i := a.find(token)
		if found != nil {
			return found
		}
		var longer []tokenCell
		if sorted != nil {
			longer = slices.Clone(*sorted)
		}
		made := &cell{}
		longer = slices.Insert(longer, i, tokenCell{token, made})
		if a.sorted.CompareAndSwap(sorted, &longer) {
			return made
		}
	}
}

// each yields the cells; false: no more are wanted.
func (a *appCells) each(app string, yield func(Name, *cell) bool) bool {
	if a == nil || a.sorted.Load() == nil {
		return true
	}
	for _, c := range *a.sorted.Load() {
		if !yield(Name{App: app, Token: c.token}, c.cell) {
			return false
		}
	}
	return true
}
