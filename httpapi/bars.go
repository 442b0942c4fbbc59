package httpapi

import (
	"net/http"

	"freshet/httpapi/client"
)

func (a *API) barRoutes(r router) {
	r.handle(http.MethodGet, "/v1/bars", a.json(a.listBars))
	r.handle(http.MethodDelete, "/v1/bars/{app}", a.json(a.liftBars, "egress"))
}

func (a *API) listBars(r request) (answer, error) {
	if err := r.mayAny(seeing()...); err != nil {
		return answer{}, err
	}
	list := client.BarList{Bars: []client.Bar{}}
	for _, b := range a.node.Bars() {
		if r.mayApp(b.App, seeing()...) != nil {
			continue
		}
		list.Bars = append(list.Bars, client.Bar{
			App: b.App, Egress: b.Egress, Node: b.Node, Reason: b.Reason, At: seconds(b.At), Until: seconds(b.Until),
		})
	}
	return ok(list), nil
}

func (a *API) liftBars(r request) (answer, error) {
	app, err := r.administered()
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	lifted, err := a.node.LiftBars(ctx, r.actor(), app, r.query["egress"])
	return ok(client.BarsLifted{Lifted: lifted}), err
}
