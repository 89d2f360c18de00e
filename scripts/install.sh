#!/usr/bin/env bash
# Installs one part into .venv (and node_modules): run, dev, assets, places, protos or node-dev. Called by the Makefile.
# Python packages are checked against the hashes of the lock files; npm packages against package-lock.json.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv
PY=$VENV/bin/python
STAMPS=$VENV/.stamps
LOG=$(mktemp)
WORK=
trap 'rm -rf "$LOG" "$WORK"' EXIT

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$1"
  shift
  for line in "$@"; do say "  $line"; done
  exit 1
}

# Runs a command without its output; shows the end of it when it fails.
quietly() {
  "$@" >"$LOG" 2>&1 && return
  tail -n 30 "$LOG" >&2
  fail "Failed: $*" "Is the network there, and is there room on the disk? Run the same command again to go on."
}

has_uv() { uv --version >/dev/null 2>&1; }

find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s\n' "$name"
      return
    fi
  done
  fail "Python 3.11 or newer is needed, and none was found." \
    "Debian, Ubuntu: apt-get install python3 python3-venv     macOS: brew install python" \
    "Or name one: make run PYTHON=/path/to/python3"
}

make_venv() {
  [[ -x $PY ]] && "$PY" -c '' >/dev/null 2>&1 && return
  local python
  python=$(find_python)
  say "Making the environment .venv with $("$python" --version)"
  rm -rf "$VENV"
  if has_uv; then
    quietly uv venv -q --python "$python" "$VENV"
  elif "$python" -c 'import ensurepip' >/dev/null 2>&1; then
    quietly "$python" -m venv "$VENV"
  elif [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say "Installing Debian's package python3-venv"
    quietly apt-get update -q
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends python3-venv
    quietly "$python" -m venv "$VENV"
  else
    fail "This Python cannot make environments: its part 'venv' is missing." \
      "Debian, Ubuntu: sudo apt-get install python3-venv     then run the same command again"
  fi
}

# install_lock FILE [OPTION…] : installs exactly what a lock file names, by uv where there is one, else by pip.
install_lock() {
  if has_uv; then
    quietly uv pip install -q --python "$PY" --require-hashes -r "$@"
  else
    quietly "$PY" -m pip install -q --disable-pip-version-check --no-input --require-hashes -r "$@"
  fi
}

# The package itself, from this folder. What builds it is in the lock files too, so nothing is fetched.
install_package() {
  if has_uv; then
    quietly uv pip install -q --python "$PY" --no-deps --no-build-isolation -e .
  else
    quietly "$PY" -m pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
  fi
}

install_python() {
  make_venv
  mkdir -p "$STAMPS"
  say "Installing the Python packages of requirements/$1.lock (the first time takes a minute or two)"
  install_lock "requirements/$1.lock"
  install_package
  touch "$STAMPS/run" "$STAMPS/$1" # dev.lock holds all of run.lock, in the same versions
}

# npm of the machine, else the one of a locked Python package.
npm_ci() {
  local npm=(npm)
  if ! npm --version >/dev/null 2>&1; then
    say "No npm on this machine: installing one into .venv"
    install_lock requirements/node.lock
    npm=(env "PATH=$PWD/$VENV/bin:$PATH" "$VENV/bin/npm")
  fi
  quietly "${npm[@]}" ci --ignore-scripts --no-audit --no-fund "$@"
}

# GeoNames is 180 MB installed and its tables 1.4 MB: it is put into a folder of its own, which does not stay.
make_places() {
  WORK=$(mktemp -d "$VENV/places.XXXXXX")
  (install_lock requirements/places.lock --target "$WORK") || fail \
    "The place tables, by which the clock knows cities and countries, could not be made: GeoNames was not fetched." \
    "With network, run the same command again (35 MB). Without it, $VENV/bin/antiphon up starts all the same:" \
    "where there are no tables the clock knows the cities that name a time zone, such as Tokyo for Asia/Tokyo."
  quietly "$PY" -m antiphon.tools.builtin.place_tables "$WORK"
}

case ${1:-} in
  run | dev)
    install_python "$1"
    ;;
  assets)
    mkdir -p "$STAMPS"
    if [[ ! $STAMPS/node-dev -nt package-lock.json ]]; then
      say "Fetching the front-end packages"
      npm_ci --omit=dev
    fi
    quietly "$PY" -m antiphon.console.assets
    touch "$STAMPS/assets"
    ;;
  places)
    mkdir -p "$STAMPS"
    say "Making the place tables from GeoNames"
    make_places
    touch "$STAMPS/places"
    ;;
  protos)
    mkdir -p "$STAMPS"
    quietly "$PY" -m antiphon.speech.protos.make
    touch "$STAMPS/protos"
    ;;
  node-dev)
    mkdir -p "$STAMPS"
    say "Fetching the type checker and the accessibility checker"
    npm_ci
    touch "$STAMPS/node-dev"
    ;;
  *)
    fail "usage: scripts/install.sh run|dev|assets|places|protos|node-dev"
    ;;
esac
