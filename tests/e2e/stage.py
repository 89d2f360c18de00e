"""The voice page as a person uses it: what the browser tests do, read and hear there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Locator, Page, StorageState, expect

from tests.e2e import ears
from tests.e2e.chat import Watch
from tests.e2e.server import Server

BEGIN_MS = 20_000
ANSWER_MS = 30_000
LOAD_SECONDS = 90
CLOSING = "CLOSING or CLOSED"
"""What a browser warns of where Playwright's own sockets stand before the page's, which cannot see that they close."""


class Stage:
    """One page of one person."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.session = ""
        self.state = page.locator("#state-name")
        self.connection = page.locator("#connection")
        self.notice = page.locator("#notice")
        self.said = page.locator("#words li:not(.reply)")
        self.answers = page.locator("#words li.reply")

    def open(self) -> None:
        self.page.goto(f"{self.server.url}/voice")
        expect(self.page.locator("#engines")).to_be_visible()

    def choose(self, **fields: str) -> None:
        """Fill in fields of the settings, by name."""
        form = self.page.locator("#choices")
        for name, value in fields.items():
            form.locator(f"[name={name}]").fill(value)
        form.locator("[name=prompt]").blur()

    def begin(self) -> str:
        """Start to talk; returns the id of the session."""
        with self.page.expect_response(lambda answer: answer.url.endswith("/api/voice/session")) as made:
            self.page.get_by_role("button", name="Start talking").click()
        expect(self.connection).to_have_text("connected", timeout=BEGIN_MS)
        self.session = made.value.json()["session_id"]
        return self.session

    def end(self) -> None:
        with self.page.expect_response(lambda answer: answer.request.method == "DELETE") as gone:
            self.page.get_by_role("button", name="End").click()
        assert gone.value.json() == {"stopped": True}
        expect(self.page.get_by_role("button", name="Start talking")).to_be_visible()

    def final(self, of: Locator, pattern: str) -> Locator:
        """The row with these words, once they are final."""
        row = of.filter(has_text=re.compile(pattern, re.IGNORECASE)).and_(self.page.locator("li:not([data-interim])"))
        expect(row.first).to_be_visible(timeout=ANSWER_MS)
        return row.first

    def heard(self, who: str) -> ears.Heard:
        return ears.heard(self.page, who)

    def loud(self, seconds: float = 0.3) -> None:
        """Wait until so much sound has reached the loudspeaker."""
        self.wait("a sound", lambda: self.heard("out").seconds > seconds)

    def wait(self, what: str, met: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until it is so."""
        if not self.comes(met, seconds):
            raise AssertionError(f"waited in vain for {what}")

    def comes(self, met: Callable[[], bool], seconds: float = 6.0) -> bool:
        """Whether it becomes so. It polls: the pages' policy does not let Playwright wait in them."""
        for _ in range(int(seconds * 20)):
            if met():
                return True
            self.page.wait_for_timeout(50)
        return False


def open_stage(browser: Browser, server: Server, state: StorageState, watch: Watch, *, before: str = "") -> Stage:
    """A browser of its own with the voice page open, listening through `ears`; the script `before` comes first."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-GB", permissions=["microphone"], reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    context.on("page", watch.page)
    watch.allow("ScriptProcessorNode")  # what `ears` listens with
    context.add_init_script(before + ears.SCRIPT)
    return stage_in(context, server, state)


def stage_in(context: BrowserContext, server: Server, state: StorageState) -> Stage:
    """The voice page of whoever is signed in by `state`, in this browser."""
    context.add_cookies(state["cookies"])  # type: ignore[typeddict-item, arg-type]
    stage = Stage(context.new_page(), server)
    stage.open()
    return stage


def load_engines(server: Server) -> None:
    """The first session waits for the engines, on a busy machine for long: let it be one that no test times."""
    with server.client() as client:
        wish = {"room": "first", "identity": "Ada"}
        session = client.post("/session", json=wish, timeout=LOAD_SECONDS).raise_for_status().json()
        client.delete(f"/session/{session['session_id']}").raise_for_status()


def transcript(client: httpx.Client, session: str) -> list[dict[str, Any]]:
    """What is stored of a session."""
    return client.get(f"/transcripts/{session}").raise_for_status().json()["segments"]


def close(stage: Stage) -> None:
    context: BrowserContext = stage.page.context
    context.close()
