package httpapi

import (
	"freshet/coordinator"
	"freshet/httpapi/client"
)

// listAudit lists who changed what. It names everything there is, so it is for
// those who administer all of it.
func (a *API) listAudit(r request) (answer, error) {
	if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
		return answer{}, err
	}
	limit, err := r.query.limit()
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	found, next, err := a.node.Audit(ctx, coordinator.AuditQuery{
		Before: r.query["cursor"], Limit: limit, App: r.query["app"], By: r.query["by"],
	})
	if err != nil {
		return answer{}, err
	}
	list := client.AuditList{Records: []client.AuditRecord{}, NextCursor: next}
	for _, record := range found {
		list.Records = append(list.Records, client.AuditRecord{
			ID: record.ID, At: seconds(record.At), By: record.By, Action: string(record.Action),
			Objects: record.Objects, Changed: record.Changed, Node: record.Node, Traceparent: record.Traceparent,
		})
	}
	return ok(list), nil
}
