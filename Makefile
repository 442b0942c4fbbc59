# The two things that are run by hand; everything else is `go test ./...`.

# A walk over faults for as long as you like, and a seed to repeat one.
FRESHET_SOAK ?= 60m
export FRESHET_SOAK FRESHET_SEED

.PHONY: gate soak

gate: ## all that must pass before a merge
	bash .ci/run

soak: ## faults at random over real processes, see docs/reliability.md
	CGO_ENABLED=1 go test -race -count=1 -timeout 0 -v -run '^TestARandomWalkOverFaultsBreaksNoPromise$$' ./cmd/freshet
