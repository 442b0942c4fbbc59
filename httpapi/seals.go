package httpapi

import (
	"maps"
	"slices"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// getSeals counts what is sealed with which key. It makes the node read every
// secret record, so it is for administrators only.
func (a *API) getSeals(r request) (answer, error) {
	if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
		return answer{}, err
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	seals, err := a.node.Seals(ctx)
	if err != nil {
		return answer{}, err
	}
	return ok(wireSeals(seals, a.node.Nodes())), nil
}

func wireSeals(seals coordinator.Seals, nodes []coordinator.NodeInfo) client.Seals {
	records := maps.Clone(seals.Records)
	wire := client.Seals{Keys: []client.SealKey{}, Unsealed: records[0]}
	for _, node := range nodes {
		for _, id := range node.SealKeys {
			records[id] += 0 // there, if for nothing
		}
	}
	delete(records, 0)
	for _, id := range slices.Sorted(maps.Keys(records)) {
		key := client.SealKey{ID: id, Primary: id == seals.Primary, Records: records[id], MissingOn: []string{}}
		for _, node := range nodes {
			if !slices.Contains(node.SealKeys, id) {
				key.MissingOn = append(key.MissingOn, node.Name)
			}
		}
		wire.Keys = append(wire.Keys, key)
	}
	return wire
}
