# shellcheck shell=bash
# Words shared by the scripts: talk on stderr, stop with a reason, install a system package. Sourced, never run.

# Everything but a result goes to stderr, so that $(scripts/…) captures the result alone.
say() { printf '\033[2m%s:\033[0m %s\n' "$(basename "$0" .sh)" "$*" >&2; }
[ -t 2 ] || say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# apt_install PACKAGE…: installs what is missing of them; fails, with a reason, where there is no apt or no root.
apt_install() {
  local missing=() package
  have apt-get || { say "no apt-get here: install the equivalent of: $*"; return 1; }
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
    say "not root and no password-free sudo: run 'sudo apt-get install ${missing[*]}' and try again"
    return 1
  fi
  say "installing ${missing[*]} by apt"
  apt_get install "${missing[@]}" || { apt_get update && apt_get install "${missing[@]}"; }
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >&2
}

# one_at_a_time NAME: later callers with the same name wait here until this script is done.
one_at_a_time() {
  mkdir -p target
  if have flock; then
    exec 9>"target/.$1.lock"
    flock 9
  fi
}
