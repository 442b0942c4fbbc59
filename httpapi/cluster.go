package httpapi

import (
	"net/http"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func (a *API) clusterRoutes(r router) {
	a.stateRoutes(r)
	a.barRoutes(r)
	r.handle(http.MethodGet, "/v1/audit", a.json(a.listAudit, "app", "by", "limit", "cursor"))
	r.handle(http.MethodGet, "/v1/status", a.json(a.getStatus))
	r.handle(http.MethodGet, "/v1/nodes", a.json(a.listNodes))
	r.handle(http.MethodGet, "/v1/seals", a.json(a.getSeals))
	r.handle(http.MethodPost, "/v1/pause", a.json(a.pauseCluster(true)))
	r.handle(http.MethodPost, "/v1/finalize", a.json(a.finalize))
	r.handle(http.MethodPost, "/v1/resume", a.json(a.pauseCluster(false)))
}

func (a *API) getStatus(r request) (answer, error) {
	if err := r.mayAny(seeing()...); err != nil {
		return answer{}, err
	}
	s := a.seen(r)
	status := client.Status{
		Node:            s.Node,
		Refresher:       s.Refresher,
		Epoch:           int64(s.Epoch),
		Nodes:           s.Nodes,
		Apps:            s.Apps,
		Tokens:          s.Tokens,
		States:          map[string]int{},
		Paused:          s.Paused,
		Revision:        s.Revision,
		WatchAgeSeconds: s.Health.Age.Seconds(),
		SkewSeconds:     s.Skew.Seconds(),
		Etcd:            client.Etcd{DBBytes: s.Room.Bytes, QuotaBytes: s.Room.Quota, Full: s.Room.Full()},
		Synced:          s.Health.Synced,
		Stale:           s.Health.Stale,
		Draining:        s.Health.Draining,
		Source:          sourceOf(s.Health),
		Build:           a.build,
	}
	if s.OutageTolerance >= 0 {
		status.OutageToleranceSeconds = new(s.OutageTolerance.Seconds())
	}
	if r.mayCluster(seeing()...) == nil {
		status.Upstreams = upstreamsOf(a.node.Upstreams())
	}
	for state, tokens := range s.States {
		status.States[string(state)] = tokens
	}
	return ok(status), nil
}

func upstreamsOf(down []coordinator.UpstreamState) (list []client.Upstream) {
	for _, u := range down {
		list = append(list, client.Upstream{Name: u.Name, State: string(u.State), Since: seconds(u.Since), Waiting: u.Waiting})
	}
	return list
}

// seen is the cluster's status with apps, tokens, and what follows from them
// counted over what the client may see only.
func (a *API) seen(r request) coordinator.ClusterStatus {
	s := a.node.Status()
	if r.mayCluster(seeing()...) == nil {
		return s
	}
	s.Apps, s.Tokens, s.States, s.OutageTolerance = 0, 0, map[coordinator.Status]int{}, -1
	for _, app := range a.node.Apps() {
		if r.mayApp(app.Name, seeing()...) == nil {
			s.Apps++
		}
	}
	now, margin := time.Now(), a.node.Margin()
	for _, v := range a.node.Views() {
		if r.may(v.Name, seeing()...) != nil {
			continue
		}
		s.Tokens++
		s.States[v.Status(now)]++
		if lives := v.Lives(now, margin); lives > 0 && (s.OutageTolerance < 0 || lives < s.OutageTolerance) {
			s.OutageTolerance = lives
		}
	}
	return s
}

func (a *API) listNodes(r request) (answer, error) {
	if err := r.mayAny(seeing()...); err != nil {
		return answer{}, err
	}
	refresher := a.node.Status().Refresher
	list := client.NodeList{Nodes: []client.Node{}}
	for _, n := range a.node.Nodes() {
		list.Nodes = append(list.Nodes, client.Node{
			Name:      n.Name,
			Instance:  n.Instance,
			Address:   n.Address,
			Build:     n.Build,
			Refresher: n.Name == refresher,
			Campaigns: n.Refresher,
			StartedAt: seconds(n.Started),
			Applied:   n.Applied,
			SchemaMin: n.SchemaMin,
			SchemaMax: n.SchemaMax,
			Hazards:   n.Hazards,
		})
	}
	return ok(list), nil
}

func (a *API) finalize(r request) (answer, error) {
	if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
		return answer{}, err
	}
	if err := r.noBody(); err != nil {
		return answer{}, err
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	format, err := a.node.Finalize(ctx, r.actor())
	return ok(client.Finalized{Format: format}), err
}

func (a *API) pauseCluster(paused bool) endpoint {
	return func(r request) (answer, error) {
		if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
			return answer{}, err
		}
		if err := r.noBody(); err != nil {
			return answer{}, err
		}
		ctx, cancel := a.limited(r, 0)
		defer cancel()
		return answer{status: http.StatusNoContent}, a.node.PauseCluster(ctx, r.actor(), paused)
	}
}
