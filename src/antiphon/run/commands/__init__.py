"""The commands of `antiphon`, a module for each subject. `run.cli` adds them to its parser in the order of its help.

Each has `add_commands`. Imports of the heavy parts stand in the commands that need them, so that `antiphon --help` and
refusals are instant. What a command prints on stdout is meant to be used (a key stands alone on the last line); the
rest goes to stderr.
"""

from __future__ import annotations

DONE, FAILED, REFUSED = 0, 1, 3
"""Exit statuses. 2 means that the command line was not understood; `argparse` ends with it by itself."""
