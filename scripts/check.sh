#!/usr/bin/env bash
# Everything about the tree that is no test: style, types, import rules, lock files, workflows, images.
# Called by `make check`. It goes on after a failure, so that one run shows all of them, and needs no network.
set -uo pipefail
cd "$(dirname "$0")/.."

BIN=.venv/bin
export PATH="$PWD/$BIN:$PATH" # a Node.js of the environment, where the machine has none

failed=()

# check NAME COMMAND… : one line when it passes, its output when not.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    printf 'ok      %s\n' "$name"
  else
    printf 'FAILED  %s\n%s\n\n' "$name" "$output"
    failed+=("$name")
  fi
}

check "ruff: rules" "$BIN/ruff" check --quiet .
check "ruff: format" "$BIN/ruff" format --check --quiet --diff .
check "pyright" node_modules/.bin/pyright --pythonpath "$BIN/python"
check "import rules" "$BIN/lint-imports"
check "lock files" "$BIN/python" scripts/check_locks.py
check "tracked files" "$BIN/python" scripts/check_tree.py
check "workflows" "$BIN/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
check "compose file" "$BIN/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
check "Dockerfile" "$BIN/hadolint" Dockerfile
for script in scripts/*.sh .ci/run; do
  check "bash: $script" bash -n "$script"
done

if [[ ${#failed[@]} -gt 0 ]]; then
  printf '\n%s failed: %s\n' "${#failed[@]}" "$(IFS=,; echo "${failed[*]}")"
  exit 1
fi
