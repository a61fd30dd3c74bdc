# make help lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 30s
COUNT ?= 3
# The examples that have a module of their own.
EXAMPLES := examples/routers examples/deals
# SQLite itself is translated C with locks of its own, as are its libc and its allocator: watched by the race detector
# they say nothing, since their memory is outside of Go's, and take more than half of the tests' time. The driver around
# them and all of this project are watched.
UNWATCHED := modernc.org/sqlite/lib modernc.org/libc modernc.org/memory
RACE := -race $(foreach p,$(UNWATCHED),-gcflags='$(p)=-race=false -d=checkptr=0')

.PHONY: help setup needs test race lint vuln bench fuzz verify pictures build packages snapshot reproduce clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

setup: ## install what the tests need (Debian: postgresql, gcc, node, nginx, caddy, prometheus, chromium, python3)
	@./internal/testenv/setup.sh

needs:
	@./internal/testenv/setup.sh --allowed

test: needs ## run all tests with the race detector; as root or in CI, install what they need first
	go vet $(RACE) ./... && for m in $(EXAMPLES); do (cd $$m && go vet $(RACE) ./...) || exit; done
	@set -o pipefail; { $(if $(HISTORIES),CLERKSYNC_TEST_HISTORIES=$(HISTORIES)) go test $(RACE) -vet=off -count=1 -p 3 -timeout 30m -v ./...; failed=$$?; \
		for m in $(EXAMPLES); do (cd $$m && go test $(RACE) -vet=off -count=1 -v ./...) || failed=1; done; \
		(cd tools/helm && go test -count=1 -v ./...) || failed=1; exit $$failed; } 2>&1 | \
		awk -f internal/testenv/summary.awk

race: ## run all tests COUNT times with the race detector, in random order
	go test $(RACE) -count=$(COUNT) -shuffle=on -timeout 60m ./...

lint: ## run golangci-lint
	$(TOOL) golangci-lint run
	for m in $(EXAMPLES); do (cd $$m && go tool -modfile=../../tools/go.mod golangci-lint run) || exit; done

vuln: ## look for known vulnerabilities (asks vuln.go.dev)
	$(TOOL) govulncheck ./...

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

bench-compare: ## compare the benchmarks with those of the revision REV, by turns (TURNS, 5)
	./bench/compare.sh $(or $(REV),$(error set REV to a revision)) $(TURNS)

fuzz: ## run each fuzz target for FUZZTIME
	@set -e; for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; done; done

verify: ## check formatting and every go.mod
	@test -z "$$($(TOOL) gofumpt -l . | tee /dev/stderr)"
	set -e; for m in . $(EXAMPLES) tools tools/lookalikes tools/pack tools/release tools/helm; do (cd $$m && go mod tidy -diff); done

pictures: needs ## take the pictures of the documents again
	go test ./console -count 1 -run 'TestConsoleInChromium/pictures' -args -pictures $(CURDIR)/docs/images

manifests: ## write packaging/kubernetes from the Helm chart
	cd tools/helm && go test -run TestPlainManifests -count=1 . -args -update

build: ## build the binary
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -o bin/clerksync ./cmd/clerksync

# VERSION names what is built between releases: its time, so that a later one is an upgrade.
VERSION ?= 0.0.1-snapshot.$(shell git log -1 --format=%ct)
ARCH ?= $(shell go env GOARCH)

packages: ## build dist/*.deb and dist/*.rpm from this checkout (VERSION, ARCH)
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -buildvcs=auto -ldflags='-s -w' -o bin/linux_$(ARCH)/clerksync ./cmd/clerksync
	go -C tools/pack build -o ../../bin/pack .
	bin/pack packages -binary bin/linux_$(ARCH)/clerksync -arch $(ARCH) -version $(VERSION) -time $$(git log -1 --format=%ct) -out dist

snapshot: ## build everything that a release has, into dist/, and publish nothing (RELEASE_KEY signs it)
	@git ls-remote --get-url >/dev/null && test -d .git || { echo "goreleaser and Go take version and time from a clone with a remote"; exit 1; }
	go -C tools/release build -o ../../bin/ github.com/goreleaser/goreleaser/v2 github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	go -C tools/pack build -o ../../bin/pack .
	PATH=$(CURDIR)/bin:$$PATH goreleaser release --snapshot --clean $(if $(RELEASE_KEY),,--skip=sign)
	bin/pack image -amd64 dist/clerksync_linux_amd64_v1/clerksync -arm64 dist/clerksync_linux_arm64_v8.0/clerksync -version $(VERSION) \
		-commit $$(git rev-parse HEAD) -time $$(git log -1 --format=%ct) -out dist/image

reproduce: ## build a snapshot twice and compare every hash, also that of the image
	$(MAKE) snapshot
	cat dist/checksums.txt dist/image/index.json > bin/first
	$(MAKE) snapshot
	cat dist/checksums.txt dist/image/index.json | diff bin/first -
	@echo "two builds have the same $$(wc -l < dist/checksums.txt) files and the same image"

clean: ## remove what was built
	rm -rf bin dist
