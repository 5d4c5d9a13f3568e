#!/usr/bin/env bash
# Formatting, clippy, dependencies and scripts; every check runs, then any failure fails. LINT_FAST=1 leaves out what
# takes minutes to get (building cargo-deny); whatever was left out is said last, loudly.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

DENY_VERSION=0.20.2
TOOLS="$PWD/target/tools"
failed=()
skipped=()

check() {
  say "$*"
  "$@" || failed+=("$*")
}

# A minimal Rust toolchain has neither clippy nor rustfmt.
need_component() {
  cargo "$2" --version >/dev/null 2>&1 || { have rustup && timeout 120 rustup component add "$1" >&2; } ||
    die "cargo $2 is missing: run 'rustup component add $1'"
}

find_cargo_deny() {
  if have cargo-deny; then command -v cargo-deny && return; fi
  [ -x "$TOOLS/bin/cargo-deny" ] || build_cargo_deny || return 1
  echo "$TOOLS/bin/cargo-deny"
}

build_cargo_deny() {
  [ -z "${LINT_FAST:-}" ] || return 1
  say "building cargo-deny $DENY_VERSION into target/tools (once, some minutes)"
  cargo install cargo-deny --version "$DENY_VERSION" --locked --debug --quiet --root "$TOOLS" --target-dir "$TOOLS/build" >&2 &&
    rm -rf "$TOOLS/build"
}

dependencies() {
  local deny
  deny=$(find_cargo_deny) || { skipped+=("cargo deny: not here; 'make lint' without LINT_FAST builds it"); return; }
  # The crates are read from Cargo.lock; only the advisory database comes from the network.
  check "$deny" --workspace --locked check --hide-inclusion-graph bans licenses sources
  if timeout 180 "$deny" --workspace --locked fetch db >/dev/null 2>&1; then
    check "$deny" --workspace --locked check --hide-inclusion-graph --disable-fetch advisories
  else
    skipped+=("cargo deny check advisories: the RustSec database (github.com/rustsec/advisory-db) can't be fetched from here")
  fi
}

scripts() {
  if have shellcheck || apt_install shellcheck; then
    check shellcheck -x scripts/*.sh .ci/run
  else
    skipped+=("shellcheck: not installed and can't be installed here")
  fi
}

need_component rustfmt fmt
need_component clippy clippy
check cargo fmt --all --check
check cargo fmt --manifest-path fuzz/Cargo.toml --check
scripts
dependencies
check cargo clippy --locked --keep-going --workspace --all-targets -- -D warnings

for what in "${skipped[@]}"; do say "NOT CHECKED: $what"; done
for what in "${failed[@]}"; do say "FAILED: $what"; done
[ ${#failed[@]} -eq 0 ]
