"""Every page of the menu with hostile words in everything that a page can show, and without a secure address."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState, expect

from antiphon.console.navigation import PAGES
from antiphon.domain.identity import Role
from tests.e2e.accessibility import Quiet
from tests.e2e.chat import Watch
from tests.e2e.conftest import sign_in
from tests.e2e.server import Server
from tests.e2e.test_safety import CORPUS
from tests.fixtures_databases import Migrated

WORD = "<img src=x onerror=alert(1)>"
TRAP = "window.bitten = []; for (const name of ['alert', 'msgbox']) window[name] = () => bitten.push(location.href);"
INERT = """() => {
  const problems = [];
  for (const element of document.querySelectorAll("*")) {
    if (["iframe", "object", "embed", "base", "math"].includes(element.localName)) problems.push(element.outerHTML);
    if (element.localName === "script" && !element.src) problems.push(element.outerHTML);
    if (element.localName === "img" && !element.src.startsWith(location.origin)) problems.push(element.outerHTML);
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on")) problems.push(`${name}=${value}`);
      if (["href", "src", "action", "formaction"].includes(name) && /^\\s*(java|vb)script:|^data:text/i.test(value))
        problems.push(`${name}=${value}`);
    }
  }
  return problems;
}"""
SHOWS_WORDS = {
    *("/", "/c/<channel>", "/history", "/history/<channel>", "/memories", "/people"),
    *("/voice/past", "/voice/past/<session>"),
}
"""Pages on which the words must be seen, so that an empty page does not pass for a safe one."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated) -> Iterator[Server]:
    """A server where everybody and everything is called by hostile names."""
    server = Server(migrated(tmp_path_factory.mktemp("hostile")), {"ANTIPHON_LIMITS__TURN_SECONDS": "20"})
    server.start()
    with server.client(server.key("chat", "admin")) as client:
        server.spoken = fill(client)
    server.user(WORD, Role.MEMBER)
    yield server
    server.stop()


def fill(client: httpx.Client) -> str:
    """Hostile words as names, titles, messages, files, reminders, memories and rooms. Returns a spoken session."""
    path = "/api/channels/web:hostile"
    client.patch("/api/me", json={"name": WORD}).raise_for_status()
    for number, text in enumerate([*CORPUS, f"remember that {WORD}", f"remind me in 3 hours to {WORD}"]):
        client.post(f"{path}/messages", json={"text": text, "id": str(number)}).raise_for_status()
    client.patch(path, json={"title": WORD}).raise_for_status()
    client.post(f"{path}/attachments", params={"name": f"{WORD}.txt"}, content=b"x")
    client.post("/api/keys", json={"name": WORD, "scopes": ["chat"]})
    spoken = {"room": WORD, "identity": WORD, "system_prompt": WORD, "voice": WORD}
    session = client.post("/session", json=spoken, timeout=60).raise_for_status().json()["session_id"]
    client.delete(f"/session/{session}").raise_for_status()
    return session


@pytest.fixture(scope="module")
def hostile_signed_in(browser: Browser, hostile: Server) -> StorageState:
    return sign_in(browser, hostile)


def test_hostile_words_are_inert_on_every_page(
    context: BrowserContext, hostile: Server, hostile_signed_in: StorageState, watch: Watch
) -> None:
    """A page that is added to the menu is walked by itself; nothing runs, nothing is fetched from elsewhere."""
    context.add_cookies(hostile_signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    context.add_init_script(TRAP)
    page = context.new_page()
    quiet = Quiet(page)
    loads: list[str] = []
    page.on("request", lambda request: loads.append(request.url))
    for entry in PAGES:
        if not entry.template:
            continue
        path = entry.path.replace("<channel>", "web:hostile").replace("<int:id>", "1")
        path = path.replace("<session>", hostile.spoken)
        answer = page.goto(hostile.url + path)
        assert answer is not None
        assert answer.status == 200, path
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy, path
        assert "script-src 'self';" in policy, path
        quiet.wait()
        if entry.path in SHOWS_WORDS:
            expect(page.locator("body"), path).to_contain_text("onerror=alert")
        assert page.evaluate(INERT) == [], path
        assert page.evaluate("bitten") == [], path
    origin = hostile.url.split("/")[2]
    assert {url.split("/")[2] for url in loads if url.startswith("http")} == {origin}


def test_the_microphone_that_needs_https_is_named(
    context: BrowserContext, hostile: Server, hostile_signed_in: StorageState
) -> None:
    context.add_cookies(hostile_signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    page = context.new_page()
    page.goto(f"{hostile.url}/status")
    expect(page.locator("#parts li").first).to_be_visible()
    expect(page.locator("[data-microphone]")).to_have_count(0)
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page.reload()
    expect(page.locator("[data-microphone]")).to_contain_text(re.compile("HTTPS only"))
