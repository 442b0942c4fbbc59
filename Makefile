# The things that are run by hand; everything else is `go test ./...`.

# A walk over faults for as long as you like, and a seed to repeat one.
FRESHET_SOAK ?= 60m
export FRESHET_SOAK FRESHET_SEED

# How long each fuzz target looks for input that breaks it.
FUZZTIME ?= 30s

.PHONY: gate soak crowd fuzz

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

fuzz: ## each fuzz target of the sources for a while, see docs/reliability.md
	@failed=; for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		targets=$$(go test -list '^Fuzz' $$pkg) || exit 1; \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || failed="$$failed $$target"; \
		done; \
	done; \
	test -z "$$failed" || { echo "broken:$$failed"; exit 1; }
