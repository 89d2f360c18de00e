#!/usr/bin/env bash
# All tests. Called by `make test`. With arguments (make test ARGS="tests/unit -k clock") only those, in one process.
# The browser tests run by themselves: Playwright keeps an event loop running, beside which no other test could start one.
# Each file of them has servers and a browser of its own, so two files run at a time. Of the others three run at a time
# on two cores: many wait for processes that start, or for a clock.
set -uo pipefail
cd "$(dirname "$0")/.."
# More than a hundred Python processes are started: what one has compiled, the others read.
unset PYTHONDONTWRITEBYTECODE
PYTEST=(.venv/bin/python -m pytest -q)

if [[ $# -gt 0 ]]; then
  exec "${PYTEST[@]}" "$@"
fi
"${PYTEST[@]}" -n 3 --ignore tests/e2e
others=$?
"${PYTEST[@]}" -n 2 tests/e2e
browser=$?
exit $((others ? others : browser))
