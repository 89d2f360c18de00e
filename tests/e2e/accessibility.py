"""Accessibility of a page by axe-core, and when a page has read what it shows; for the browser tests."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, Request

_AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


_STREAMS = ("/events", "/stream")
_ENOUGH = 300


def serious_findings(page: Page, *, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds on the page that is serious or critical, one line each. `rules` alone, if any are named."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:120]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


class Quiet:
    """Knows when a page has no request under way but its streams, which is sooner than Playwright's half a second."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open: set[Request] = set()
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def wait(self) -> None:
        """Until nothing has been asked for twice 60 ms."""
        calm = 0
        for _ in range(_ENOUGH):
            self._page.wait_for_timeout(60)
            calm = 0 if self._open else calm + 1
            if calm == 2:
                return
        raise AssertionError(f"still asking for {sorted(request.url for request in self._open)}")

    def _begun(self, request: Request) -> None:
        if not request.url.split("?")[0].endswith(_STREAMS):
            self._open.add(request)

    def _ended(self, request: Request) -> None:
        self._open.discard(request)
