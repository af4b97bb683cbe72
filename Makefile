# `make` alone explains the targets.

GO      ?= go
FUZZTIME ?= 30s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# What can run under Wine: Wine 8 cannot remove folders the way Go does, and has none of the tools.
WINE_PKGS ?= ./internal/block/... ./internal/browse ./internal/dest/desttest ./internal/pipeline ./internal/job ./internal/image ./internal/trust ./internal/secret

# The tests call mkfs tools, which Debian keeps where users do not look.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help build run test histories race nocgo lint windows fuzz bench large wine cover fixtures screenshots clean

help: ## explain the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

build: ## compile bin/ingot
	$(GO) build -trimpath -o bin/ingot ./cmd/ingot

run: build ## compile, then image, verify and restore a small disk (ingot demo)
	bin/ingot demo

test: ## vet and all tests; as root installs the Debian packages they need
	scripts/need-packages.sh test
	$(GO) vet ./...
	$(GO) test -count=1 ./test ./... # the longest first; not from a cache, which does not see what runs as another process

histories: ## a thousand random histories of a disk and its backup sets
	$(GO) test ./internal/backup -run '^TestHistories$$' -histories 1000

race: ## the tests of the packages under the race detector (needs a C compiler)
	scripts/need-packages.sh test race
	@# Memory is measured without the detector, which has its own.
	CGO_ENABLED=1 $(GO) test -race -skip TestMemoryOfAHugeDisk $$($(GO) list ./internal/... | grep -v /filesys/)
	@# A file system is read by one goroutine, but for what these tests do.
	CGO_ENABLED=1 $(GO) test -race -run 'AtOnce|SideBySide' ./internal/filesys/...

nocgo: ## build all without cgo, test the packages that choose code by it
	CGO_ENABLED=0 $(GO) build ./...
	scripts/cgo-packages.sh | CGO_ENABLED=0 xargs --no-run-if-empty $(GO) test

lint: ## gofmt, vet for Linux and Windows, staticcheck, shellcheck
	scripts/need-packages.sh lint
	scripts/lint.sh $(STATICCHECK)

windows: ## build and vet for Windows, amd64 and arm64, tests included
	for arch in amd64 arm64; do \
	  echo "windows/$$arch"; \
	  GOOS=windows GOARCH=$$arch CGO_ENABLED=0 $(GO) build ./... && \
	  GOOS=windows GOARCH=$$arch CGO_ENABLED=0 $(GO) vet ./... || exit 1; \
	done

fuzz: ## run every fuzz target for FUZZTIME (30s)
	scripts/fuzz.sh $(FUZZTIME)

bench: build ## compare speed with partclone, ntfsclone, qemu-img, qemu-nbd, restic, borg (root, 40 GB, long)
	scripts/need-packages.sh bench
	bench/bench.sh
	bench/sets.sh
	bench/encrypt.sh
	bench/serve.sh

large: build ## image and restore large Windows-like disks, compare every file (root, 15 GB)
	scripts/need-packages.sh test
	test/roundtrip.sh

wine: ## run the tests of WINE_PKGS and the demo as Windows programs under Wine
	scripts/need-packages.sh wine
	scripts/wine.sh $(WINE_PKGS)

cover: ## test coverage, by function, in build/cover.txt
	mkdir -p build
	$(GO) test -coverprofile=build/cover.out -coverpkg=./... ./...
	$(GO) tool cover -func=build/cover.out >build/cover.txt
	tail -n 1 build/cover.txt

fixtures: ## make the disk of the demo anew (root)
	scripts/need-packages.sh test
	test/fixtures/demo-disk.sh cmd/ingot/demo/disk.img.zst cmd/ingot/testdata/demo-disk.files

screenshots: ## draw every page of the console, light and dark, wide and narrow, in build/screenshots
	scripts/need-packages.sh test
	rm -rf build/screenshots
	INGOT_SCREENSHOTS=$(CURDIR)/build/screenshots $(GO) test -count=1 ./test/console

clean: ## remove what was built
	rm -rf bin build
