"""Which tests go to which worker, when several run at a time (pytest-xdist). tests/conftest.py hands this to it.

A module with a fixture of module scope goes to one worker as a whole, and so does each file of browser tests: what
they start (programs, proxies, models, pages) is started once. All other tests go one by one, each to whoever is free.
The largest modules come first, then the rest in the order of the folders, which begins with the longest tests.

The mark `xdist_group` would be the usual way. It does nothing with pytest 9.2, where xdist 3.8 cannot rename tests.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler.loadscope import LoadScopeScheduling

_ROOT = Path(__file__).parents[1]
_SHARED = re.compile(r"^@pytest(_asyncio)?\.fixture\(\s*scope=\"module\"", re.MULTILINE)


class Distribution(LoadScopeScheduling):
    """Modules that share something stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if _together(file) else nodeid


@cache
def _together(file: str) -> bool:
    """Whether the tests of a file share what is dear to make. `file` is relative to the root."""
    return file.startswith("tests/e2e/") or bool(_SHARED.search((_ROOT / file).read_text(encoding="utf-8")))
