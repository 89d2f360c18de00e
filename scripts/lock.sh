#!/usr/bin/env bash
# Resolves pyproject.toml into requirements/*.lock: names, versions and hashes for every system, no addresses.
# Called by `make lock`, after a dependency was added or to take newer versions (UPGRADE=1 make lock).
set -euo pipefail
cd "$(dirname "$0")/.."

command -v uv >/dev/null && uv --version >/dev/null || {
  echo "make lock needs uv: pip install uv" >&2
  exit 1
}

compile() {
  local output=$1
  shift
  UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-strip-extras ${UPGRADE:+--upgrade} "$@" -o "$output"
  echo "$output: $(grep -c '^[a-z].*==' "$output") packages"
}

compile requirements/run.lock --extra all --group build pyproject.toml
# The versions of run.lock are binding for the other environment, so that tests test what runs.
compile requirements/dev.lock --extra all --extra piper --extra talk --group build --group test --group check -c requirements/run.lock pyproject.toml
compile requirements/node.lock --group node
compile requirements/places.lock --group places
