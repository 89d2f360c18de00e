"""Answers that reach the page when a test says so: what a slow network does by chance, done on purpose."""

from __future__ import annotations

import re

from playwright.sync_api import APIResponse, Page, Route

STEP_MS = 20
WAIT_STEPS = 750


class Held:
    """What the server answers to requests like this, held back from `page`: given in its time, it comes late."""

    def __init__(self, page: Page, address: str | re.Pattern[str], method: str = "GET", *, most: int = 100) -> None:
        self._page = page
        self._method = method
        self._most = most
        self._answers: list[tuple[Route, APIResponse]] = []
        page.route(address, self._take)

    def _take(self, route: Route) -> None:
        if route.request.method != self._method or self._most == 0:
            route.fallback()
            return
        self._most -= 1
        self._answers.append((route, route.fetch()))

    def wait(self, count: int = 1) -> None:
        """Until so many answers are held."""
        for _ in range(WAIT_STEPS):
            if len(self._answers) >= count:
                return
            self._page.wait_for_timeout(STEP_MS)
        raise AssertionError(f"{len(self._answers)} answers instead of {count}")

    def let_go(self, *, status: int = 0) -> int:
        """Give the page the oldest answer, or an error of this status in its place. Returns the status, once the page
        has taken it in."""
        route, answer = self._answers.pop(0)
        if status:
            error = {"error": {"code": "error", "message": "Not like this."}}
            route.fulfill(status=status, json=error)
        else:
            route.fulfill(response=answer)
        response = route.request.response()
        assert response is not None
        response.finished()
        settle(self._page)
        return status or answer.status


def settle(page: Page) -> None:
    """Let the page do what it has to do with what it got."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
