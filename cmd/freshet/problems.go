package main

import (
	"fmt"
	"maps"
	"slices"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// state writes a token's state in the colour of its urgency.
func (t *terminal) state(state string) string {
	switch coordinator.Status(state) {
	case coordinator.StatusFresh:
		return t.paint(green, state)
	case coordinator.StatusPending, coordinator.StatusDue, coordinator.StatusThrottled, coordinator.StatusPaused:
		return t.paint(yellow, state)
	case coordinator.StatusFailing, coordinator.StatusExpired, coordinator.StatusBlocked,
		coordinator.StatusUncertain, coordinator.StatusReauthorize:
		return t.paint(red, state)
	}
	return state
}

// problemsOf says in one sentence each what is wrong and what to do.
func problemsOf(all overview) []string {
	var problems []string
	s := all.Status
	recalled, age := s.Source == client.SourceSnapshot, roughly(seconds(s.WatchAgeSeconds))
	if !recalled && !refreshes(all) {
		problems = append(problems, "no node refreshes: wait for an election, or start one whose configuration does not say \"refresher: false\"")
	}
	switch {
	case recalled:
		problems = append(problems, fmt.Sprintf("%s started while etcd was away and serves what its disk held %s ago; who refreshes, it cannot tell: check etcd and the network between", s.Node, age))
	case s.Stale:
		problems = append(problems, fmt.Sprintf("%s has heard nothing from etcd for %s: check etcd and the network between", s.Node, age))
	}
	if s.Etcd.Full {
		problems = append(problems, fmt.Sprintf("etcd is full (%d of %d bytes), so nothing is refreshed: compact and defragment it, raise its quota, disarm its alarm", s.Etcd.DBBytes, s.Etcd.QuotaBytes))
	}
	if s.SkewSeconds > 2 {
		problems = append(problems, fmt.Sprintf("the clock of %s is %.1f s behind the refresher's: check NTP", s.Node, s.SkewSeconds))
	}
	for _, u := range s.Upstreams {
		problems = append(problems, fmt.Sprintf("%s has not worked since %s: it is tried every half minute, and %d refreshes wait for it; look at the network between, and at the platform's own notices",
			u.Name, short(u.Since), u.Waiting))
	}
	if s.Paused {
		problems = append(problems, "refreshing is paused for the whole cluster: freshet resume")
	}
	for _, state := range all.States {
		if state.Todo != "" && state.Reason != coordinator.ReasonUpstreamDown { // of that the upstream tells
			problems = append(problems, state.Name()+" is "+state.State+": "+state.Todo)
		}
	}
	for _, n := range all.Nodes {
		for _, hazard := range slices.Sorted(maps.Keys(n.Hazards)) {
			problems = append(problems, fmt.Sprintf("%s has met the hazard %s %s since it began: its log names the apps, look at them at the platform",
				n.Name, hazard, count(int(n.Hazards[hazard]), "time")))
		}
	}
	return problems
}

// refreshes reports whether some node is the refresher, as far as we may see nodes.
func refreshes(all overview) bool {
	if all.Status.Refresher == "" || len(all.Nodes) == 0 {
		return all.Status.Refresher != ""
	}
	return slices.ContainsFunc(all.Nodes, func(n client.Node) bool { return n.Refresher })
}
