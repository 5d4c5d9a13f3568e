#!/usr/bin/env bash
# Builds a proxy-wasm filter and prints the path of the module: scripts/wasm.sh [CRATE_DIR [NAME]] → target/wasm/NAME.wasm
# Without arguments: our filter, wasm-filter → target/wasm/countersign.wasm. WASM_TOOLCHAIN=rustup|debian skips the choice.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

CRATE=${1:-wasm-filter}
NAME=${2:-countersign}
TARGET=wasm32-unknown-unknown
BUILD_DIR="$PWD/target/wasm-build" # its own: another compiler there must not invalidate the main one's work
OUT="$PWD/target/wasm/$NAME.wasm"

has_std() { [ -e "$(rustc --print sysroot)/lib/rustlib/$TARGET/lib" ]; }

add_target() {
  have rustup || return 1
  say "adding the target $TARGET to the Rust toolchain"
  timeout 120 rustup target add "$TARGET" >&2 && has_std
}

choose() {
  if [ -n "${WASM_TOOLCHAIN:-}" ]; then
    echo "$WASM_TOOLCHAIN"
  elif has_std || add_target; then
    echo rustup
  else
    say "rustup cannot give us $TARGET; trying Debian's own Rust, which brings the sources of std"
    echo debian
  fi
}

# The linker of the rustup toolchain understands the objects of any Rust of its age; Debian's lld may be years older.
find_linker() {
  local sysroot
  if have rustup && sysroot=$(rustc --print sysroot 2>/dev/null); then
    find "$sysroot/lib/rustlib" -name rust-lld -type f 2>/dev/null | head -1 | grep . && return
  fi
  command -v wasm-ld || find /usr/bin -name 'wasm-ld-*' | sort -V | tail -1 | grep .
}

# build COMMAND… prints the path of the module cargo made. No path of this machine gets into its panic messages.
build() {
  local flags="--remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$flags "$@" --manifest-path "$CRATE/Cargo.toml" --locked --profile wasm --target "$TARGET" --target-dir "$BUILD_DIR" \
    --lib --message-format json-render-diagnostics | grep -o '"[^"]*\.wasm"' | tail -1 | tr -d '"'
}

build_rustup() { build cargo build; }

build_debian() {
  local linker
  apt_install rustc-web cargo-web rust-web-src lld ||
    die "no Rust with the target $TARGET: run 'rustup target add $TARGET' where rustup has network, or install Debian's rust-web packages"
  linker=$(find_linker) || die "no linker for $TARGET: neither rust-lld in the Rust toolchain nor wasm-ld found"
  # -Zbuild-std is unstable; RUSTC_BOOTSTRAP unlocks it in this one build only.
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker \
    build /usr/bin/cargo build -Zbuild-std=std,panic_abort
}

one_at_a_time wasm
[ -f "$CRATE/Cargo.toml" ] || die "$CRATE/Cargo.toml not found: the first argument is the directory of a crate"
have cc || apt_install gcc libc6-dev || die "a C compiler is needed: Rust links with it"
route=$(choose)
module=$("build_$route") || die "building $CRATE for $TARGET failed (toolchain: $route)"
mkdir -p "$(dirname "$OUT")"
# Only a changed module gets a new time stamp, so that nothing downstream rebuilds or reloads for nothing.
cmp -s "$module" "$OUT" || { cp "$module" "$OUT.new" && mv "$OUT.new" "$OUT"; }
say "$NAME.wasm: $(stat -c %s "$OUT") bytes ($route toolchain)"
echo "$OUT"
