"""What the chat page weighs over the wire, and how soon a browser that has never been here paints it.

Chromium on this machine against a server of its own, with an empty cache each time. The paint is a wall time, so the
best of a few counts.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.figures import Figure

RUNS = 5
WEIGHT = 150.0
"""kB over the wire, compressed, without the parts that only voice needs."""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def measure() -> list[Figure]:
    """Weight of everything the page loads, and its first contentful paint."""
    from playwright.sync_api import sync_playwright
    from tests.e2e.conftest import CHROMIUM_FLAGS, chromium_path, sign_in
    from tests.e2e.server import Server

    weights: list[float] = []
    paints: list[float] = []
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name, sync_playwright() as playwright:
        server = Server(Path(name))
        server.start()
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        try:
            state = sign_in(browser, server)
            for _ in range(RUNS):
                context = browser.new_context(storage_state=state)
                page = context.new_page()
                answers: list[float] = []
                page.on(
                    "requestfinished", lambda request, kept=answers: kept.append(request.sizes()["responseBodySize"])
                )
                page.goto(server.url)
                page.locator("#log .msg, #empty").first.wait_for(state="visible")
                paints.append(page.wait_for_function(_PAINT).json_value())
                weights.append(sum(answers) / 1000)
                context.close()
        finally:
            browser.close()
            server.stop()
    return [
        Figure("chat page: over the wire", max(weights), "kB", f"<= {WEIGHT:.0f} kB", passed=max(weights) <= WEIGHT),
        Figure("chat page: first contentful paint, empty cache", min(paints), "ms", "for information"),
    ]
