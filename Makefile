# The commands of this repository; `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# The race detector needs a C compiler on most systems.
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && CGO_ENABLED=1 go env CGO_ENABLED | sed -n 's/^1$$/-race/p')

# Where the image is pushed to, by whoever pushes it.
IMAGE ?= ghcr.io/drainer-dev/drainer

# How long a suite of tests may take. Its tests wait as long as that, and say
# every 15 s what for: go test shows it only if no package is named.
TIMEOUT = 40m

# How many random clusters test-random tries, and the seed that they follow from.
CLUSTERS = 10000
SEED = 1

# The major versions of Helm that test-chart runs.
HELM = v4

# How long test-fuzz runs each fuzz test.
FUZZTIME = 30s

# The seed of the faults in test-faults and soak; 0 for another one each time.
FAULTSEED = 0
FAULTFLAGS =

# The nodes that test-simulation fills with 30 pods each, a fifth of which is drained at
# once. With 1,000 that takes 42 s of the processor's time.
LOAD = 1000

# How long soak lasts; with more than half an hour give it more TIMEOUT, too.
SOAK = 10m

# Empty for all of test-e2e and test-chart; otherwise without the two tests that
# take minutes each: every part of the policies left out, one at a time, and the
# documented installation in three shells.
QUICK =

# Suites that wait more than they compute run at the same time. What only make
# test-all does comes last.
QUICK_PARTS = "test-e2e QUICK=yes + test-chart QUICK=yes + test-monitoring"
ALL_PARTS = "test-e2e + test-chart HELM=v4,v3 + test-monitoring" "test-compat + test-release + test-random" \
	"test-faults + test-fuzz" test-simulation demo

.PHONY: help build image demo bench configuration chart dashboards pictures mutants versions vulnerabilities programs lint format \
	test test-all test-unit test-e2e test-chart test-compat test-monitoring test-random test-release test-simulation \
	test-kubelet test-fuzz test-faults faults-table soak

help: ## List the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# The same source and version give the same bytes, whatever the folder and with
# or without git: nothing of them is stamped into the program.
build: ## Build bin/drainer
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o bin/drainer ./cmd/drainer

image: ## Build the container image for this machine (needs Docker with BuildKit)
	docker build --build-arg VERSION="$(VERSION)" --build-arg COMMIT="$(COMMIT)" -t "$(IMAGE):$(VERSION)" .

# Only variables on make's own command line lead to another cluster than the
# local one: what is exported in a shell is easily forgotten there.
given = $(findstring command line,$(origin $(1)))
DEMO_FLAGS = $(if $(call given,DEMO_CONTEXT),-context="$$DEMO_CONTEXT") $(if $(call given,DEMO_NODES),-nodes="$$DEMO_NODES")

demo: ## Show the main job on a local cluster, or on yours: make demo DEMO_CONTEXT=NAME DEMO_NODES="a b"
	$(foreach v,DEMO_CONTEXT DEMO_NODES,$(if $(findstring environment,$(origin $(v))),@echo "$(v) in the environment is ignored; give it to make: make demo $(v)=..."))
	@test/compile ./test/demo
	go run ./test/demo $(DEMO_FLAGS)

bench: ## Measure drainer beside kubectl drain; writes docs/benchmarks.md
	go run ./test/bench -out docs

configuration: ## Regenerate the reference of the configuration file from pkg/config
	go run ./test/configuration/generate

chart: ## Regenerate the chart's README and schema, and deploy, from charts/drainer
	go run -C test/chart ./generate

test: ## Test what a change can break: lint, unit tests, and e2e, chart and monitoring on real programs
	@MAKE="$(MAKE)" test/parts programs lint test-unit $(QUICK_PARTS)

test-all: ## Run every test: test with both major versions of Helm, the oldest Kubernetes, the release, random clusters, faults, fuzzing, and the demo
	@MAKE="$(MAKE)" test/parts -k "programs HELM=v4,v3" lint test-unit $(ALL_PARTS)

programs: ## Build what the tests run on: the local cluster, Helm, Prometheus
	@test/compile ./test/cluster/programs
	go run ./test/cluster/programs -helm=$(HELM) cluster chart prometheus

# Twice as many packages at a time as there are processors: while one is linked
# or waits, another is tested. The race detector makes searching all texts for
# words take ten times as long, and finds nothing there: one goroutine does it.
test-unit: ## Run the quick tests, with the race detector where there is a C compiler
	@test -n "$(RACE)" || echo "no C compiler: the unit tests run without the race detector"
	go test $(RACE) -shuffle=on -timeout=$(TIMEOUT) -p=$$((2 * $$(getconf _NPROCESSORS_ONLN))) $$(go list ./... | grep -v -e /test/e2e -e /test/kubelet -e /test/prose)
	go test ./test/prose
	go test -C test/random -timeout=$(TIMEOUT) ./...

test-e2e: ## Run the e2e tests on a real control plane
	go test -C test/e2e -count=1 -timeout=$(TIMEOUT) -parallel=10 -skip='^TestFault|^TestSoak$$$(if $(QUICK),|^TestConfinementGuards$$)'

# Those that disturb the whole cluster run first, and alone.
test-faults: ## Run drainer under faults on a real control plane; FAULTSEED=n repeats their timing
	go test -C test/e2e -count=1 -timeout=$(TIMEOUT) -parallel=6 -run='^TestFault' -faults.seed=$(FAULTSEED) $(FAULTFLAGS)

faults-table: ## Run test-faults and write its table into docs/reliability.md
	$(MAKE) test-faults FAULTFLAGS=-faults.table

soak: ## Let everything go wrong at random for a while, on a real control plane; SOAK=10m, FAULTSEED=n
	go test -C test/e2e -count=1 -timeout=$(TIMEOUT) -v -run='^TestSoak$$' -soak=$(SOAK) -faults.seed=$(FAULTSEED)

test-compat: ## Run the e2e tests on the oldest Kubernetes that drainer is tested against
	DRAINER_TEST_KUBERNETES=1.34 go run ./test/cluster/programs cluster
	DRAINER_TEST_KUBERNETES=1.34 $(MAKE) test-e2e

test-release: bin/staticcheck ## Check the Dockerfile, the workflows, and that builds are reproducible
	go vet -C test/release ./...
	cd test/release && ../../bin/staticcheck ./...
	go test -C test/release -count=1 -timeout=$(TIMEOUT) ./...

test-chart: ## Run the tests of the Helm chart, on a real control plane; HELM=v4,v3 for both versions
	go test -C test/chart -count=1 -timeout=$(TIMEOUT) -helm=$(HELM) $(if $(QUICK),-skip='^TestInstall$$/^documented$$')

test-kubelet: ## Run a drain on a real kubelet; needs Linux, root, containerd, runc and containernetworking-plugins
	go test ./test/kubelet -count=1 -timeout=$(TIMEOUT) -v

test-simulation: ## Run the whole controller in simulated time: with 5,000 nodes, 30,000 pods, and in 300 random clusters; LOAD=nodes, SEED=n
	go test -count=1 -timeout=$(TIMEOUT) -v -run 'TestStoryBigStart' ./pkg/drain -story.nodes=5000
	go test -count=1 -timeout=$(TIMEOUT) -v -run 'TestStoryLoad' ./pkg/drain -story.load=$(LOAD)
	go test -C pkg/drain -count=1 -timeout=$(TIMEOUT) -run 'TestStoryRandom$$' -story.runs=300 -story.seed=$(SEED)

# Garbage is collected less often than it would be: that takes a third of the time.
test-random: ## Run random clusters and faults against the invariants, and see planted bugs found; CLUSTERS=n, SEED=n
	GOGC=400 go test -C test/random -count=1 -timeout=$(TIMEOUT) -v -run TestRandom . -clusters=$(CLUSTERS) -seed=$(SEED)
	GOGC=400 go run ./test/mutants -planted

# Every fuzz test is found, so none is forgotten. Go fuzzes one at a time. What it
# finds it writes to testdata/fuzz beside the test: commit that with the fix. By
# default most of the time goes into making inputs smaller that are only new.
test-fuzz: ## Try arbitrary annotations, configurations, answers, pods and snapshots, each for FUZZTIME; FUZZTIME=30s
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' pkg | xargs -n1 dirname | sort -u); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' "$$package"/*_test.go); do \
			echo "fuzzing $$package $$target"; \
			go test -run='^$$' -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=100x "./$$package" || exit 1; \
		done; \
	done

# .gremlins.yaml has its settings. Without vet, debug information and inlining a
# mutant takes half as long; what only vet finds is no test's merit, either. No
# mutant changes what the package depends on. How long a mutant may take follows
# from how long the tests take at first, which a cached result does not tell.
mutants: bin/gremlins ## Delete one guard at a time and see a test fail, then change pkg/plan in general ways
	go run ./test/mutants
	GOFLAGS="-count=1 -vet=off -ldflags=-w -gcflags=-l -skip=^TestDependencies$$" bin/gremlins unleash ./pkg/plan

test-monitoring: ## Test dashboards, alerts and runbooks, with a real Prometheus
	go test -C test/monitoring -count=1 -timeout=$(TIMEOUT)

dashboards: ## Write the chart's Grafana dashboards
	cd test/monitoring && go run ./dashboards/generate

pictures: ## Draw the plugin's terminal and the dashboards for docs/pictures; the dashboards need npm and Chromium
	@test/compile ./test/pictures
	go run ./test/pictures
	cd test/monitoring/pictures && npm ci --no-audit --no-fund
	cd test/monitoring && go run ./pictures

lint: bin/staticcheck bin/gofumpt ## Check the code
	@unformatted=$$(bin/gofumpt -l .); test -z "$$unformatted" || { echo "run make format for:"; echo "$$unformatted"; exit 1; }
	for module in . test/chart test/monitoring test/random; do \
		(cd $$module && go vet ./... && $(CURDIR)/bin/staticcheck ./...) || exit 1; \
	done

vulnerabilities: bin/govulncheck ## Look for known vulnerabilities in what drainer calls; asks the Go vulnerability database
	bin/govulncheck ./cmd/...

versions: ## Let all go.mod files agree, so that what they share is compiled once
	go run ./test/cluster/align

format: bin/gofumpt ## Format the code
	bin/gofumpt -w .

bin/staticcheck: tools/go.mod
	go build -C tools -o ../bin/ honnef.co/go/tools/cmd/staticcheck

bin/govulncheck: tools/govulncheck/go.mod
	go build -C tools/govulncheck -o ../../bin/ golang.org/x/vuln/cmd/govulncheck

bin/gremlins: tools/gremlins/go.mod
	go build -C tools/gremlins -o ../../bin/ github.com/go-gremlins/gremlins/cmd/gremlins

bin/gofumpt: tools/go.mod
	go build -C tools -o ../bin/ mvdan.cc/gofumpt
