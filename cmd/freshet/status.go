package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func newStatus(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show the cluster, its nodes, every token's state, and what is wrong",
		Long: `Shows who refreshes, which nodes there are, the state of every token this client
may see, and for each that is in trouble what to do. Outage tolerance is how
long nothing would be missed if refreshing stopped now.`,
		Example: `  freshet status
  freshet status -o json`,
		Args: exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		all, err := c.overview(ctx)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(all)
		}
		t.printOverview(all)
		return nil
	})
}

// overview is what status shows.
type overview struct {
	Status client.Status  `json:"status"`
	Nodes  []client.Node  `json:"nodes"`
	States []client.State `json:"states"`
}

func (c *cluster) overview(ctx context.Context) (overview, error) {
	var all overview
	var err error
	if all.Status, err = c.Status(ctx); err != nil {
		return all, err
	}
	if all.Nodes, err = c.Nodes(ctx); err != nil && !forbidden(err) {
		return all, err
	}
	if all.States, err = c.allStates(ctx); err != nil && !forbidden(err) {
		return all, err
	}
	return all, nil
}

// forbidden reports whether this client may not see something that others may.
func forbidden(err error) bool {
	problem, ok := errors.AsType[*client.Problem](err)
	return ok && problem.Status == http.StatusForbidden
}

// allStates reads every page.
func (c *cluster) allStates(ctx context.Context) ([]client.State, error) {
	var all []client.State
	opts := client.StatesOptions{Page: client.Page{Limit: 500}}
	for {
		page, err := c.States(ctx, opts)
		if err != nil {
			return nil, err
		}
		all = append(all, page.States...)
		if page.NextCursor == "" {
			return all, nil
		}
		opts.Cursor = page.NextCursor
	}
}

func (t *terminal) printOverview(all overview) {
	s := all.Status
	refresher := s.Refresher
	if refresher == "" {
		refresher = t.paint(red, "none")
	}
	t.table([][]string{
		{"refresher", fmt.Sprintf("%s, epoch %d", refresher, s.Epoch)},
		{"cluster", fmt.Sprintf("%s, %s, %s", count(s.Nodes, "node"), count(s.Apps, "app"), count(s.Tokens, "token"))},
		{"outage tolerance", tolerance(s.OutageToleranceSeconds)},
		{"answered by", answeredBy(s)},
	})
	t.printNodes(all.Nodes)
	t.printUpstreams(s.Upstreams)
	t.printStates(all.States)
	problems := problemsOf(all)
	if len(problems) == 0 {
		t.print("\n%s", t.paint(green, "nothing is wrong"))
		return
	}
	t.print("\nto do:")
	for _, problem := range problems {
		t.print("  %s", t.paint(red, problem))
	}
}

// answeredBy says whose view of the cluster this is, and how old.
func answeredBy(s client.Status) string {
	age := roughly(seconds(s.WatchAgeSeconds))
	if s.Source == client.SourceSnapshot {
		return fmt.Sprintf("%s, from the snapshot on its disk, heard from etcd %s ago", s.Node, age)
	}
	return fmt.Sprintf("%s, revision %d, heard from etcd %s ago", s.Node, s.Revision, age)
}

func (t *terminal) printNodes(nodes []client.Node) {
	if len(nodes) == 0 {
		return
	}
	rows := [][]string{{"NODE", "ROLE", "ADDRESS", "BUILD", "UP"}}
	for _, n := range nodes {
		role := "follower"
		if n.Refresher {
			role = t.paint(green, "refresher")
		} else if !n.Campaigns {
			role = "follower (never refreshes)"
		}
		rows = append(rows, []string{n.Name, role, orDash(n.Address), orDash(n.Build), roughly(time.Since(n.StartedAt))})
	}
	t.print("")
	t.table(rows)
}

func (t *terminal) printUpstreams(upstreams []client.Upstream) {
	if len(upstreams) == 0 {
		return
	}
	rows := [][]string{{"UPSTREAM", "CALLS", "SINCE", "WAITING"}}
	for _, u := range upstreams {
		rows = append(rows, []string{u.Name, t.paint(red, u.State), short(u.Since), fmt.Sprint(u.Waiting)})
	}
	t.print("")
	t.table(rows)
}

func (t *terminal) printStates(states []client.State) {
	if len(states) == 0 {
		return
	}
	rows := [][]string{{"TOKEN", "STATE", "VERSION", "FINGERPRINT", "EXPIRES", "NEXT", "REASON"}}
	for _, s := range states {
		rows = append(rows, []string{
			s.Name(), t.state(s.State), fmt.Sprint(s.Version), orDash(s.Fingerprint), short(s.ExpiresAt), nextTry(s), orDash(s.Reason),
		})
	}
	t.print("")
	t.table(rows)
}

// nextTry writes when a token is refreshed next; a dash where somebody must act first.
func nextTry(s client.State) string {
	switch coordinator.Status(s.State) {
	case coordinator.StatusUncertain, coordinator.StatusReauthorize:
		return "-"
	default:
		return short(s.DueAt)
	}
}

// short writes how far off an instant is.
func short(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	if left := time.Until(at); left > 0 {
		return "in " + roughly(left)
	}
	return roughly(time.Since(at)) + " ago"
}

// tolerance writes how long nothing would be missed if refreshing stopped now.
func tolerance(s *float64) string {
	if s == nil {
		return "- (no token lives)"
	}
	return roughly(seconds(*s))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
