# Aidloop. `make run` and `make test` are all that a newcomer needs; both fetch and build what they use into .cache/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN     := .cache/bin/aidloop
DATA    ?= .cache/demo-data
FUZZTIME ?= 3m
BENCH   ?=
# Where thousands of short-lived databases lie: in memory, where the machine has such a place.
FAST    := $(shell test -w /dev/shm && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
GO      ?= go
# Packages where a data race would lose somebody's work.
RACED   := ./syncproto/... ./server/loop/... ./storage/sqlite/... ./storage/device/... ./mobile-api/...
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help run build test check race bench campaign mutants soak fuzz demo clean setup s3-server tusjs web web-tools

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)$$/  make \1\t\2/' | expand -t 22

setup:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go $$(sed -n 's/^go //p' go.mod) or newer and put it on the PATH."; exit 1; }

build: setup ## build the binary into .cache/bin
	@mkdir -p .cache/bin
	CGO_ENABLED=0 $(GO) build -o $(BIN) ./server/cmd/aidloop

run: build ## build and start everything with the demonstration world
	exec $(BIN) serve --demo --data $(DATA)

demo: build ## play one turn of the closed loop with real devices
	$(BIN) demo

test: setup s3-server tusjs web ## everything that a contribution must pass
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "run gofmt on:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) test -timeout 14m ./...
	@$(MAKE) --no-print-directory build

race: setup s3-server tusjs web-tools
	CGO_ENABLED=1 $(GO) test -race -timeout 25m $(RACED)

check: test race ## test, and the race detector and static analysis
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

bench: build ## print every duration and ratio; make bench BENCH="--only noop,live" for some
	$(BIN) bench $(BENCH)

campaign: build ## the long proofs: a million simulator steps, mutants, 200 kills of server and phones
	TMPDIR=$(FAST) $(BIN) sim --seed 1 --steps 1000000
	@$(MAKE) --no-print-directory mutants
	AIDLOOP_KILLS=100 $(GO) test -count=1 -timeout 60m -run 'TestKills|TestDeviceKills' -v ./fixtures/crash

mutants: setup ## put known bugs back, one at a time: each must be caught
	TMPDIR=$(FAST) AIDLOOP_STEPS=30000 AIDLOOP_TRIES=0 $(GO) run ./fixtures/mutants

soak: build ## simulate until told to stop
	TMPDIR=$(FAST) $(BIN) sim --seed $$(date +%s) --steps 0

fuzz: setup ## fuzz every decoder for FUZZTIME each, two side by side
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do echo "$$pkg $$f"; done; done | \
	  xargs -P 2 -L 1 bash -c 'out=$$($(GO) test -run "^$$" -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -parallel 1 $$0 2>&1); rc=$$?; echo "== $$0 $$1"; echo "$$out" | tail -n 4; [ $$rc = 0 ] || { echo "$$out"; exit 255; }'

s3-server: setup
	@storage/blob/s3/build-s3-server.sh

tusjs:
	@command -v npm >/dev/null || { echo "Node.js with npm is missing: install Node.js 20 or newer."; exit 1; }
	@cd mobile-api/blobs/testdata/tusjs && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; }

web-tools:
	@command -v npm >/dev/null || { echo "Node.js with npm is missing: install Node.js 20 or newer."; exit 1; }
	@cd mobile-api/app && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error; }

web: web-tools ## check and test the web app's sync core, in Node and in Chromium
	@mobile-api/app/tools/chromium.sh
	@cd mobile-api/app && npm test --silent && npm run --silent test:browser

clean: ## remove everything that was built or fetched
	rm -rf .cache mobile-api/blobs/testdata/tusjs/node_modules mobile-api/app/node_modules mobile-api/app/dist
