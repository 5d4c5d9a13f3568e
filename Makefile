# Every target installs what it needs (scripts/*.sh); `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Settings, as in `make bench BENCH_ARGS="--quick"`.
BENCH_ARGS ?=
TEST_ARGS ?=
FUZZ_SECONDS ?= 10

# What the tests, the demo and the benchmarks need beside their own code. The tests fail when one is missing.
export COUNTERSIGN_ENVOY = $(or $(ENVOY),$(CURDIR)/target/envoy/bin/envoy)
export COUNTERSIGN_NATS = $(or $(NATS_SERVER),$(CURDIR)/target/nats/nats-server)
export COUNTERSIGN_WASM = $(CURDIR)/target/wasm/countersign.wasm
export COUNTERSIGN_EMPTY_WASM = $(CURDIR)/target/wasm/empty.wasm
export COUNTERSIGN_BIN = $(TARGET_DIR)/$(if $(filter demo bench,$@),release,debug)/countersign

# One selection of packages for every build of a profile: another one would mean other features, and every crate twice.
BUILD_RELEASE := cargo build --locked --release -p countersign -p countersign-tests -p loadtest

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: envoy wasm ## Two services behind real Envoys: allow, deny, cache, revoke, cut a stream; stays up (DEMO_EXIT=1: leaves)
	$(BUILD_RELEASE) --bin countersign --bin demo
	"$(TARGET_DIR)/release/demo"

.PHONY: test
test: envoy nats wasm fuzz ## Everything: fuzz targets briefly, unit, property and integration tests on a real Envoy and NATS
	cargo build --locked --workspace --all-targets
	cargo test --locked --workspace --lib --bins --tests $(TEST_ARGS)

.PHONY: wasm
wasm: ## Build the Envoy filter: target/wasm/countersign.wasm
	@scripts/wasm.sh

.PHONY: bench
bench: envoy nats wasm ## Measure against other ways to authorize, in one run: table and target/bench/report.json (BENCH_ARGS=…)
	scripts/wasm.sh loadtest/empty-filter empty
	$(BUILD_RELEASE) --bin countersign --bin loadtest
	"$(TARGET_DIR)/release/loadtest" suite $(BENCH_ARGS)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_SECONDS (10); FUZZ_TARGETS="xfcc link" picks some
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh $(FUZZ_TARGETS)

.PHONY: lint
lint: ## Formatting, clippy, licences and bans of dependencies, scripts
	@scripts/lint.sh

.PHONY: fmt
fmt: ## Format all Rust code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

.PHONY: envoy
envoy: ## Install the pinned Envoy into target/envoy (ENVOY=/path uses another)
	@scripts/envoy.sh

.PHONY: nats
nats: ## Unpack a nats-server into target/nats (NATS_SERVER=/path uses another)
	@scripts/nats.sh
