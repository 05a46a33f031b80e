# Sluice. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The lab and the tests on real switches need root; compiling does not.
ROOT := $(filter 0,$(shell id -u))
SUDO := $(if $(ROOT),,sudo --preserve-env=SLUICE_REQUIRE_OVS,SLUICE_BINARY,PATH)
GO_TEST := go test $(if $(ROOT),,-exec '$(SUDO)')
GOLANGCI := go tool -modfile=lint.mod golangci-lint
LINT := .golangci.yml
REPORT := bin/testreport
# What make mutants tries.
PKG := ./flows
N := 40
SEED := 1
GO_DIRS = $(shell go list -f '{{.Dir}}' ./...)
# Packages that start no goroutine (TestSequential holds that): the race detector finds nothing in their own tests, in
# which it takes four times as long. It looks at them in the tests of those that use them.
SEQUENTIAL := ./store ./flows/... ./datapath/openflow

# Waits for most of its time, so it begins first, and two others run beside it.
FIRST := ./hostagent

# Tests that make a lab, of which a machine has one.
E2E := ./integration
IN_LAB := ./integration/bench ./integration/lab
# What make test leaves to make soak, to stay under 25 minutes on two processors: tests that wait for minutes, and small
# runs of benchmarks whose parts other tests use too.
SOAK := TestATenantIsOneSeries|TestBalanceByHand|TestConservation|TestEventsTellOfTrouble|TestFailOverBesideATrunk|TestFlappingGatewayHostIsDamped|TestFloatingAddress[A-Z]|TestHeavyTenantsPart|TestMonitoring|TestRatesOfOnePort|TestStarFailsOver|TestSumsOutliveTheirHost|TestTenantsBeyondTheSlots
# Of TestMonitoring make test runs all but the alerts, which wait for minutes.
LATER := $(subst TestMonitoring,TestMonitoring/together/alerts,$(SOAK))
SOAK_CASES := TestEveryCase/(attach-docker|fail-over|flood|ovn|packets|paper-1|paper-2|paper-3|paper-4|probes|rates)

.PHONY: help
help: ## this list
	@echo 'Sluice: networks for the tenants of a shared container cluster'
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## install from Debian what is missing (Open vSwitch, iproute2, ...)
	@scripts/deps

.PHONY: build
build: ## bin/sluice, bin/sluice-cni
	@mkdir -p bin
	go build -o bin/ ./cmd/...

.PHONY: deb
deb: ## bin/sluice_VERSION_ARCH.deb, the Debian package
	@scripts/deb

.PHONY: deb-check
deb-check: ## lintian; install, upgrade, remove and purge the package in a bare Debian tree
	@$(SUDO) scripts/debcheck

.PHONY: demo
demo: deps build ## the main job, from nothing: 3 hosts, 2 tenants, every claim checked
	@$(SUDO) bin/sluice lab demo

.PHONY: test
test: deps lint tests ## everything: lint, unit tests, tests on real switches
	@echo 'make test: all of it passed'

.PHONY: lint
lint: ## gofmt, and golangci-lint with go vet and staticcheck in it
	@bad=$$(gofmt -l $(GO_DIRS)); if [ -n "$$bad" ]; then echo "gofmt: run gofmt -w on"; echo "$$bad"; exit 1; fi
	@echo 'ok gofmt'
	@$(GOLANGCI) run --config=$(LINT) --show-stats=false ./... && echo 'ok golangci-lint'

# What needs neither root nor a switch: short enough to run before each commit.
.PHONY: check
check: lint ## in under a minute, without root: lint, and the tests of the pure packages
	@go test -short . ./scripts/... ./store ./flows/... ./datapath/openflow ./metrics ./controller/cluster ./controller/host ./controller/session

# Root and Open vSwitch are there (deps), so a test that skips is a failure.
# Up to two tests that fail run once more by themselves (docs/design/070-unsteady-tests.md).
TEST_ENV := SLUICE_REQUIRE_OVS=1 SLUICE_BINARY=$(CURDIR)/bin/sluice
RUN_TESTS := $(GO_TEST) -timeout=60m -json
REPORT_OF := $(REPORT) -no-skips -again=2 -packages
ELSEWHERE = $(shell go list $(FIRST) $(SEQUENTIAL) $(IN_LAB) $(E2E))

# Both halves run at once: tests in the lab wait for most of their time. The others are patient, and leave it the processor.
.PHONY: tests
tests: build $(REPORT)
	@$(MAKE) --no-print-directory -j2 lab-tests unit

.PHONY: unit
unit: $(REPORT) ## tests of the packages, with the race detector where goroutines meet
	@echo 'unit tests'
	@nice -n 19 env $(TEST_ENV) $(REPORT_OF) "$$(go list $(FIRST); go list ./... | grep -vxF "$$(printf '%s\n' $(ELSEWHERE))")" -- $(RUN_TESTS) -race -p=3
	@nice -n 19 env $(TEST_ENV) $(REPORT_OF) '$(SEQUENTIAL)' -- $(RUN_TESTS)

.PHONY: lab-tests
lab-tests: e2e
	@echo 'tests of the lab and of the benchmarks'
	@$(TEST_ENV) $(REPORT_OF) '$(IN_LAB)' -- $(RUN_TESTS) -race -p=1 -skip='$(SOAK_CASES)'

.PHONY: e2e
e2e: build $(REPORT) ## end-to-end tests: the laws, with traffic through real switches
	@echo 'end-to-end tests'
	@$(TEST_ENV) $(REPORT_OF) '$(E2E)' -- $(RUN_TESTS) -count=1 -skip='$(LATER)'

.PHONY: soak
soak: deps build $(REPORT) ## the tests that make test leaves out for their length, and ten minutes of counting
	@$(TEST_ENV) SLUICE_CONSERVE=10m $(REPORT_OF) '$(E2E)' -- $(RUN_TESTS) -count=1 -run='$(SOAK)'
	@$(TEST_ENV) $(REPORT_OF) ./integration/bench -- $(RUN_TESTS) -count=1 -run='$(SOAK_CASES)'

$(REPORT): $(wildcard scripts/testreport/*.go)
	@mkdir -p bin
	@go build -o $@ ./scripts/testreport

.PHONY: fuzz
fuzz: ## each fuzz target for 20 seconds
	@scripts/fuzz 20s

.PHONY: mutants
mutants: ## do the tests notice mistakes? make mutants PKG=./flows N=40 SEED=1
	@nice go run ./scripts/mutants -short -n $(N) -seed $(SEED) $(PKG)

.PHONY: bench
bench: deps build ## what is promised, measured beside what it is compared with
	@$(SUDO) bin/sluice bench

.PHONY: benchstat
benchstat: ## the Go benchmarks beside those of a revision: make benchstat BASE=HEAD~20
	@scripts/benchstat '$(BASE)' $(COUNT)

.PHONY: docs
docs: ## write the generated pages and golden files anew
	go test $$(grep -rl --include=*_test.go '"update"' . | xargs -n1 dirname | sort -u) -run 'Golden|Docs|Generated|Scenarios' -update

# The tests hold the same rules without npm (controller/api/openapi_lint_test.go).
.PHONY: openapi
openapi: ## lint docs/openapi.json by redocly's recommended rules; needs npm
	@npx --yes @redocly/cli@2 lint docs/openapi.json

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .cache
