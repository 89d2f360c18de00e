#!/usr/bin/env bash
# Makes sure that programs the tests and benchmarks start are there: postgresql, redis, chromium, nginx, caddy,
# systemd-analyze, flite. Called by the Makefile.
# As root on Debian it installs what is missing; elsewhere it says what is missing and goes on, and those tests are
# skipped with that reason (or fail, when CI=true).
set -euo pipefail

present() {
  case $1 in
    postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null ;;
    redis) command -v redis-server >/dev/null || command -v valkey-server >/dev/null ;;
    chromium) command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ;;
    nginx | caddy | systemd-analyze | flite) command -v "$1" >/dev/null ;;
    *) printf 'unknown program: %s\n' "$1" >&2 && exit 2 ;;
  esac
}

package() {
  case $1 in
    redis) echo redis-server ;;
    nginx) echo nginx-light ;;
    systemd-analyze) echo systemd ;;
    *) echo "$1" ;;
  esac
}

missing=()
packages=()
for program in "$@"; do
  if ! present "$program"; then
    missing+=("$program")
    packages+=("$(package "$program")")
  fi
done
[[ ${#missing[@]} == 0 ]] && exit 0

if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  echo "Installing Debian's packages: ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update -q && apt-get install -yq --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "Could not install ${packages[*]}; their tests are skipped, or fail when CI=true." >&2
  fi
else
  echo "Not on this machine: ${missing[*]}. Their tests are skipped." >&2
  echo "  Debian, Ubuntu: sudo apt-get install ${packages[*]}" >&2
fi
