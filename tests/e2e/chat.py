"""The chat page as a person sees it: what the browser tests do and read."""

from __future__ import annotations

import re

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from tests.e2e.server import Server


class Watch:
    """Every console error and uncaught error of the pages it is given."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._allowed: list[str] = []

    def page(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._seen.append(f"uncaught: {error}"))

    def allow(self, pattern: str) -> None:
        """Expect messages that match: the browser reports every answer above 399 as an error."""
        self._allowed.append(pattern)

    @property
    def problems(self) -> list[str]:
        return [text for text in self._seen if not any(re.search(pattern, text) for pattern in self._allowed)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._seen.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


class Chat:
    """One page with one conversation."""

    def __init__(self, page: Page, server: Server, key: str) -> None:
        self.page = page
        self.server = server
        self.key = key
        self.field = page.get_by_label("Message", exact=True)
        self.log = page.get_by_role("log")
        self.state = page.locator("#state-line")

    @property
    def address(self) -> str:
        return f"{self.server.url}/c/{self.key}"

    @property
    def calls(self) -> Locator:
        """What people said."""
        return self.page.locator(".msg.call")

    @property
    def replies(self) -> Locator:
        """Finished answers."""
        return self.page.locator(".msg.reply:has(.acts)")

    def open_new(self) -> None:
        """Start a conversation that nobody has seen, through the page's own button."""
        self.page.goto(self.server.url)
        self.page.locator("#log .msg, #empty").first.wait_for(state="visible")
        self.page.get_by_role("button", name="New conversation").click()
        expect(self.page.locator("#empty")).to_be_visible()
        self.key = self.page.url.rsplit("/c/", 1)[1]

    def say(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")

    def ask(self, text: str) -> str:
        """Say something and return the finished answer to it."""
        before = self.replies.count()
        self.say(text)
        expect(self.replies).to_have_count(before + 1)
        return self.last_reply()

    def last_reply(self) -> str:
        return self.replies.last.locator(".said").inner_text()

    def said(self) -> list[str]:
        """Every message in the log, in order."""
        return self.page.locator(".msg .said").all_inner_texts()
