#!/usr/bin/env bash
# Prints the path of the nats-server that tests and benchmarks run, unpacking it into target/nats when it is not there.
# NATS_SERVER=/path/to/nats-server overrides it. Nothing is installed into the system, and no service is started.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# The first with all that is asked of it; Debian 12 has this one, everything newer something newer.
OLDEST=2.9.10
SERVER="$PWD/target/nats/nats-server"

version_of() { "$1" --version 2>/dev/null | sed -n 's/^nats-server: v//p'; }

# is_fit PATH: it runs, and is not too old.
is_fit() {
  local version
  version=$(version_of "$1")
  [ -n "$version" ] && [ "$(printf '%s\n' "$OLDEST" "$version" | sort -V | head -1)" = "$OLDEST" ]
}

# The package itself would start a server on port 4222 for everybody, so only its file is taken.
download() {
  apt-get -q download -o APT::Sandbox::User=root nats-server >&2
}

install_server() {
  local work found
  { have apt-get && have dpkg-deb; } ||
    die "no apt here: get nats-server $OLDEST or later (https://nats.io/download) and set NATS_SERVER=/path/to/nats-server"
  say "unpacking nats-server (Debian package) into target/nats"
  work="$PWD/target/nats/work"
  rm -rf "$work" && mkdir -p "$work"
  (cd "$work" && { download || { apt_get update && download; }; }) ||
    die "apt can't download nats-server (no network, or no such package here); set NATS_SERVER=/path/to/nats-server"
  dpkg-deb -x "$work"/nats-server_*.deb "$work/unpacked" || die "the package of nats-server can't be unpacked"
  found=$(find "$work/unpacked/usr" -type f -name nats-server -path '*bin/*')
  is_fit "$found" || die "this system's nats-server is '$(version_of "$found")', not $OLDEST or later; set NATS_SERVER=/path/to/nats-server"
  mv "$found" "$SERVER"
  rm -rf "$work"
}

if [ -n "${NATS_SERVER:-}" ]; then
  [ -n "$(version_of "$NATS_SERVER")" ] || die "NATS_SERVER=$NATS_SERVER does not run; unset it to have one installed"
  is_fit "$NATS_SERVER" || say "warning: $NATS_SERVER is older than $OLDEST, the oldest everything here is tested with"
  realpath "$NATS_SERVER"
  exit
fi
one_at_a_time nats
is_fit "$SERVER" || install_server
echo "$SERVER"
