#!/usr/bin/env bash
# Runs fuzz targets (all, or those named) for FUZZ_SECONDS each, from the committed seeds in fuzz/corpus and what
# earlier runs found (target/fuzz/corpus). Needs neither a nightly Rust nor cargo-fuzz: libFuzzer is a dependency, and
# the coverage instrumentation is a pass that stable rustc has.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

SECONDS_EACH=${FUZZ_SECONDS:-10}
BUILD_DIR="$PWD/target/fuzz"
HOST=$(rustc -vV | sed -n 's/^host: //p')
INSTRUMENT="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares"

# The versions that are fuzzed are the versions that are shipped: the lock file is the workspace's, plus libFuzzer.
take_lock_file() {
  [ fuzz/Cargo.lock -nt Cargo.lock ] || cp Cargo.lock fuzz/Cargo.lock
}

build() {
  have c++ || apt_install g++ || die "a C++ compiler is needed to build libFuzzer"
  # With --target, build scripts and macros stay without instrumentation.
  RUSTFLAGS=$(tr -s ' \n' '  ' <<<"$INSTRUMENT") cargo build --manifest-path fuzz/Cargo.toml --target "$HOST" --target-dir "$BUILD_DIR" "$@" >&2
}

# run TARGET: one line when nothing was found; what happened, and how to see it again, when something was.
run() {
  local binary="$BUILD_DIR/$HOST/debug/$1" found="$BUILD_DIR/corpus/$1" artifacts="$BUILD_DIR/artifacts/$1/" log="$BUILD_DIR/$1.log"
  local options=("-max_total_time=$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 -max_len=16384 "-artifact_prefix=$artifacts")
  mkdir -p "$found" "$artifacts" "fuzz/corpus/$1"
  [ ! -f "fuzz/dict/$1.dict" ] || options+=("-dict=fuzz/dict/$1.dict")
  if "$binary" "${options[@]}" "$found" "fuzz/corpus/$1" >"$log" 2>&1; then
    say "$1: $(grep -a '^Done' "$log"), $(grep -ao 'cov: [0-9]*' "$log" | tail -1), nothing found"
  else
    { grep -a -A 3 'panicked at' "$log" || tail -n 30 "$log"; } >&2
    say "$1: FAILED; see it again with: $binary $(find "$artifacts" -type f -newer "$binary" | tail -1)"
    return 1
  fi
}

TARGETS=("$@")
[ $# -gt 0 ] || mapfile -t TARGETS < <(basename -s .rs -a fuzz/fuzz_targets/*.rs)
one_at_a_time fuzz
take_lock_file
build "${TARGETS[@]/#/--bin=}"
result=0
for target in "${TARGETS[@]}"; do run "$target" || result=1; done
exit "$result"
