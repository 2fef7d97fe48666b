# "make" alone lists the targets.

LINT_VERSION := 2.15.0
LINT         := build/bin/golangci-lint-$(LINT_VERSION)
ACTIONLINT   := build/bin/actionlint-1.7.12
CYCLONEDX    := build/bin/cyclonedx-gomod-1.10.0
GITLEAKS     := build/bin/gitleaks-8.30.1
GOVULNCHECK  := build/bin/govulncheck-1.9.0
LAB          := build/payment-lab
PROGRAMS     := payment-consumer order-producer payment-lab
# Integration tests wait for real servers, which take their time on a busy machine.
TEST_TIMEOUT := 30m
TEST_FLAGS   :=
# The race detector needs a C compiler. Without one the tests run all the same; CI has one.
RACE         := $(if $(shell command -v $${CC:-gcc} 2>/dev/null),-race)

.DEFAULT_GOAL := help
.PHONY: help doctor demo up down build test unit faults soak mutants exhibits reliability bench \
	bench-compare bench-baseline bench-scale lint fmt compose-check kube-check observe-check \
	workflow-check security release release-check smoke lab lab-check exercise clean $(PROGRAMS)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 18

doctor: payment-lab ## check that this machine has what the servers need
	@$(LAB) doctor

demo: build ## the whole story on real servers, in under a minute
	@$(LAB) demo

lab: build ## see idempotence happen, on a page in the browser, and break things
	@$(LAB) serve

up: build ## start the same servers in the background, and write .stack/env
	@$(LAB) up

down: payment-lab ## end the servers that "make up" started
	@$(LAB) down

build: $(PROGRAMS) ## build the three programs into build/

$(PROGRAMS):
	@command -v go >/dev/null || { echo 'Go is missing: get 1.26 or newer from https://go.dev/dl' >&2; exit 1; }
	@go build -o build/$@ ./cmd/$@

test: build ## every test on real servers, with the race detector
	@$(if $(RACE),,echo 'no C compiler: the tests run without the race detector')
	@$(LAB) exec -- go test $(RACE) -count=1 -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) ./...

# Without the variables of a sourced .stack/env, which would turn the other tests on.
unit: ## the tests that need no server; the others are skipped
	@env $$(env | sed -n 's/^\(PAYMENT_[A-Z_]*\)=.*/-u \1/p') go test -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) ./...
	@echo 'Tests that need servers were skipped (go test -v names them): make test runs them.'

CASE     :=
SEED     :=
DURATION := 10m
MUTANT   :=

faults: build ## every case of the fault suite, or CASE=F22; SEED=n repeats a run
	@$(LAB) faults $(if $(CASE),--case $(CASE)) $(if $(SEED),--seed $(SEED))

soak: build ## faults at random, DURATION=2h SEED=n
	@$(LAB) soak --duration $(DURATION) $(if $(SEED),--seed $(SEED))

mutants: build ## deliberate mistakes, which the fault suite must catch, or MUTANT=insert-ignore
	@$(LAB) mutants $(if $(MUTANT),--mutant $(MUTANT)) $(if $(SEED),--seed $(SEED))

reliability: build ## write docs/reliability.md from the last faults, mutants and soak
	@$(LAB) reliability

exhibits: build ## three wrong orders of writes, and how they fail
	@$(LAB) exhibits

N :=

exercise: ## check the answers to the exercises of docs/guide.md, or N=3
	@go test -count=1 -tags exercise -run 'TestExercise/^$(or $(N),.*)$$' ./docs/exercises

QUICK     :=
TOLERANCE := 0.15

# The consumers under measurement are built by the command itself.
bench: payment-lab ## what idempotence costs, on a machine that does nothing else; or QUICK=1
	@$(LAB) bench $(if $(filter-out 0,$(QUICK)),--quick)

bench-compare: payment-lab ## the last measurement against the one that is kept here
	@$(LAB) bench-compare --tolerance $(TOLERANCE)

bench-scale: payment-lab ## throughput with more processes, queues and rows, about half an hour
	@$(LAB) bench-scale

bench-baseline: ## keep the last measurement, and the plot that the README shows
	cp bench/out/result.json bench/baseline.json
	cp bench/out/throughput.svg bench/throughput.svg

lint: $(LINT) ## go vet and golangci-lint
	go vet ./...
	$(LINT) run --allow-parallel-runners ./...
	@for tool in tools/*/; do echo "$$tool" && (cd $$tool && $(CURDIR)/$(LINT) run \
		--allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

# One that is installed is used if it is the same version; to build it takes minutes.
$(LINT):
	@mkdir -p $(@D)
	@if golangci-lint version 2>/dev/null | grep -q 'version v*$(LINT_VERSION) '; \
	then ln -sf "$$(command -v golangci-lint)" $@; \
	else $(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint); fi

# install PACKAGE builds the version that the name of the target ends in.
version = $(lastword $(subst -, ,$(@F)))
install = GOBIN=$(CURDIR)/$@.new go install $(1)@v$(version) && mv $@.new/* $@ && rmdir $@.new

$(ACTIONLINT):
	@$(call install,github.com/rhysd/actionlint/cmd/actionlint)
$(GITLEAKS):
	@$(call install,github.com/zricethezav/gitleaks/v8)
$(GOVULNCHECK):
	@$(call install,golang.org/x/vuln/cmd/govulncheck)
$(CYCLONEDX):
	@$(call install,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)

fmt: ## format the Go files
	gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

# A module of its own, so that the programs do not depend on compose's libraries.
compose-check: ## validate docker-compose.yml, for which no engine is needed
	@cd tools/composecheck && go vet ./... && go test -count=1 ./... && go run . ../..

# The same for Kubernetes' libraries.
kube-check: ## validate deploy/kubernetes, for which no cluster is needed
	@cd tools/kubecheck && go vet ./... && go test -count=1 ./... && go run . ../..

# The same for what drives a browser, which has to be there: Chromium or Chrome; and npm.
SHOTS :=
PRESS := 3m
lab-check: build ## the lab's page in a browser; SHOTS=folder for pictures, PRESS=1m, SEED=n
	@cd tools/labcheck && go vet ./... && go test -count=1 ./... && \
		go run . -press $(PRESS) $(if $(SEED),-seed $(SEED)) \
		$(if $(SHOTS),-shots $(abspath $(SHOTS))) ../..

# The same for Prometheus' libraries.
WRITE :=
observe-check: ## validate alerts and dashboard, and try each alert
	@cd tools/observecheck && go vet ./... && \
		go run . $(if $(WRITE),-write) ../.. && go test -count=1 ./...

# What it finds must not depend on which other linters happen to be installed.
workflow-check: $(ACTIONLINT) ## validate the workflows of GitHub
	$(ACTIONLINT) -shellcheck= -pyflakes=

# All commits, which hold all that is tracked, and what is changed and not committed yet.
# VULNS=required fails where the database of vulnerabilities cannot be reached.
VULNS :=
security: $(LINT) $(GITLEAKS) $(GOVULNCHECK) ## gosec, secrets in tree and history, vulnerabilities
	$(LINT) run --allow-parallel-runners --enable-only gosec ./...
	$(GITLEAKS) git --no-banner --no-color --redact --verbose
	$(GITLEAKS) git --no-banner --no-color --redact --verbose --pre-commit
	@bash deploy/vulncheck.sh $(GOVULNCHECK) $(VULNS)

# Which to build, such as linux/amd64; all that are released if empty.
PLATFORMS :=
release: $(CYCLONEDX) ## archives of both programs in build/release, with checksums and SBOMs
	@bash deploy/release.sh build/release $(CYCLONEDX) $(PLATFORMS)

release-check: $(CYCLONEDX) ## build a release twice, in two places, and compare
	@bash deploy/release-check.sh $(CYCLONEDX) $(PLATFORMS)

smoke: ## build and run docker-compose.yml, pay some orders, and take all away; needs Docker
	@bash deploy/smoke.sh

clean: ## end the background servers, and remove build/ and .stack/ with all data
	@if [ -e .stack/data ]; then $(MAKE) --no-print-directory down; fi
	rm -rf build .stack
