# The things that are run by hand; everything else is `go test ./...`.

# A walk over faults for as long as you like, and a seed to repeat one.
FRESHET_SOAK ?= 60m
export FRESHET_SOAK FRESHET_SEED

.PHONY: gate soak crowd

gate: ## all that must pass before a merge
	bash .ci/run

# How many readers there are, and for how long the slowest tenth reads nothing. Each
# is an open file in two processes.
crowd: export FRESHET_TEST_READERS ?= 10000
crowd: export FRESHET_TEST_READERS_SILENT ?= 1m
crowd: ## a crowd of readers on one node, see docs/reliability.md
	go test -count=1 -timeout 0 -v -run '^TestACrowdFollowsOneNode$$' ./httpapi

soak: ## faults at random over real processes, see docs/reliability.md
	CGO_ENABLED=1 go test -race -count=1 -timeout 0 -v -run '^TestARandomWalkOverFaultsBreaksNoPromise$$' ./cmd/freshet
