# Ramjet. Each target is a line or two around go and gok; "make help" lists them.

BOARD ?= amd64
BOX   ?= ramjet
KEY   ?= update.key
SITE  ?= accelerator/demo/site
# Stories that measure times run alone; then the others, two at a time.
FIRST   = $(addprefix ./appliance/vmtest/,serve update badupdate cold unplug)
STORIES = $(addprefix ./appliance/vmtest/,rpi publish forward failover config hang recorder arm64)
# Too long for every day; see soak.
SOAK    = $(addprefix ./appliance/vmtest/,powercut)

.DEFAULT_GOAL := help
.PHONY: help run test check lint stories soak image vm update signed bench microbench vuln clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 18

run: ## serve a demo site with a demo backend on :8080; needs Go alone
	go run ./accelerator -demo

test: ## everything: format, vet, staticcheck, tests, and the stories in QEMU
	go run ./appliance/vmtest/needs
	$(MAKE) --no-print-directory check
	$(MAKE) --no-print-directory stories

check: lint ## the part of test that needs no QEMU
	go test -race $$(go list ./... | grep -vxF "$$(go list $(FIRST) $(STORIES) $(SOAK))")
	go test -run TestGigabyte ./accelerator # It measures memory, of which the race detector takes a lot.

lint: ## format, vet, staticcheck
	@unformatted=$$(gofmt -l accelerator appliance); test -z "$$unformatted" || { echo "run gofmt on: $$unformatted"; exit 1; }
	go vet ./... && go tool staticcheck ./...

stories: ## the part of test that boots the real image in QEMU
	go test -count=1 -timeout 20m -v -p 1 $(FIRST)
	go test -count=1 -timeout 20m -v -p 2 $(STORIES)

soak: ## half an hour of all kinds of clients, while the site changes and the program reloads; all bad updates; 70 power cuts
	go test -run TestSoak -timeout 2h -v ./accelerator -soak 30m
	go test -count=1 -timeout 1h -v ./appliance/vmtest/rpi -network
	go test -count=1 -timeout 1h -v ./appliance/vmtest/badupdate -all
	go test -count=1 -timeout 1h -v ./appliance/vmtest/badupdate -all -board arm64
	go test -count=1 -timeout 1h -v ./appliance/vmtest/badupdate -all -board rpi
	go test -count=1 -timeout 1h -v ./appliance/vmtest/powercut -cuts 20
	go test -count=1 -timeout 1h -v ./appliance/vmtest/powercut -cuts 20 -board arm64
	go test -count=1 -timeout 1h -v ./appliance/vmtest/powercut -cuts 10 -board rpi
	go test -count=1 -timeout 1h -v ./appliance/vmtest/publish -boots 20

image: ## a flashable disk image under build/. BOARD=amd64, arm64 or rpi
	go run ./appliance/image -board $(BOARD)

vm: ## boot the image in QEMU. BOARD=amd64 or arm64, SITE=directory, ACCEL=kvm where it works
	go run ./appliance/vmtest/vm -board $(BOARD) -site $(SITE) $(if $(ACCEL),-accel $(ACCEL))

update: ## send this version to a running box: gok update. BOARD=its kind, BOX=its host name or address
	go run ./appliance/image -board $(BOARD) -box $(BOX) -prepare
	go tool gok --parent_dir build -i ramjet-$(BOARD) update

signed: ## the same, signed with a key of minisign: KEY=its file
	go run ./appliance/image -board $(BOARD) -parts build/parts-$(BOARD)
	go run ./appliance sign -key $(KEY) build/parts-$(BOARD)
	go run ./appliance update -box $(BOX) build/parts-$(BOARD)

bench: ## compare with nginx, H2O, HAProxy, and publishing with rsync: 25 minutes on a quiet machine; writes both RESULTS.md
	go run ./accelerator/bench
	go run ./appliance/publish/bench

microbench: ## the benchmarks of single functions
	go test -run '^$$' -bench . ./accelerator/...

vuln: ## look for known vulnerabilities; needs the network
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

clean: ## remove build/, with the update password of the boxes flashed from here
	rm -rf build
