"""Checks the files under version control: no address of a package registry, no path of somebody's machine.

Called by `make check`. Either would tie the project to one place, or publish something about it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

BINARY = {".png", ".jpg", ".ico", ".wav", ".ogg", ".woff", ".woff2", ".gz", ".pdf"}
RULES = {
    "a path of one machine": re.compile(r"(?<![\w./~-])/(?:root|home/[a-z][\w-]*|Users/[A-Za-z][\w-]*)/[\w.-]"),
    "an option that names a package registry": re.compile(r"--(?:extra-)?index-url[= ]\S+://|--find-links[= ]\S"),
    "the address a package was downloaded from": re.compile(r'"resolved":|://\S+/simple/|://files\.pythonhosted'),
}
ALLOWED = {"scripts/check_tree.py", "tests/unit/repo/test_checks.py"}
"""Files that quote what is searched for."""


def tracked() -> list[str]:
    """The paths under version control."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S607
    return [path for path in listing.stdout.split("\0") if path]


def findings(path: str, text: str) -> Iterator[str]:
    """What is wrong with one file, as `path:line: what`."""
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in RULES.items():
            if pattern.search(line):
                yield f"{path}:{number}: {what}"


def main() -> int:
    """Print every finding; 1 when there are any."""
    found = [
        finding
        for path in tracked()
        if path not in ALLOWED and Path(path).suffix not in BINARY and (ROOT / path).is_file()
        for finding in findings(path, (ROOT / path).read_text(encoding="utf-8", errors="replace"))
    ]
    sys.stdout.writelines(f"{finding}\n" for finding in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
