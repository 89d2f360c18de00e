"""Every page of the console in the browser: by light and dark and on a phone, by keyboard alone, and to axe-core."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, ViewportSize, expect

from antiphon.console.navigation import PAGES
from tests.e2e.accessibility import Quiet, serious_findings
from tests.e2e.chat import Chat, Watch
from tests.e2e.server import Server

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    """A conversation with one of everything in it."""
    channel = f"web:pages-{uuid.uuid4()}"
    with server.client() as client:
        for text in ("what is 17% of 2480", "remind me in 3 hours to book the hall", "remember that I like apricots"):
            client.post(f"/api/channels/{channel}/messages", json={"text": text})
        client.post(f"/api/channels/{channel}/messages", json={"text": "forget everything you know about me"})
    return channel


def paths(key: str) -> Iterator[str]:
    """An address of every page that is a template."""
    for page in PAGES:
        if page.template:
            yield page.path.replace("<channel>", key).replace("<int:id>", "1")


def ready(page: Page, quiet: Quiet) -> None:
    """Wait until the page has read what it shows."""
    expect(page.locator("main")).to_be_visible()
    expect(page.locator("[data-my-name]").first).not_to_be_empty()
    expect(page.locator(".loading, #loading:not([hidden]), .chip.think")).to_have_count(0)
    quiet.wait()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_accessible_fits_and_logs_no_error(
    browser: Browser, server: Server, signed_in: StorageState, watch: Watch, key: str, size: ViewportSize
) -> None:
    """Everything axe-core knows by light; by dark the colours again, which is all that the theme changes."""
    context = browser.new_context(viewport=size, storage_state=signed_in, reduced_motion="reduce")
    context.on("page", watch.page)
    page = context.new_page()
    quiet = Quiet(page)
    found: dict[str, Any] = {}
    for path in paths(key):
        page.emulate_media(color_scheme="light")
        page.goto(server.url + path)
        ready(page, quiet)
        if serious := serious_findings(page):
            found[path] = serious
        page.emulate_media(color_scheme="dark")
        if serious := serious_findings(page, rules=("color-contrast",)):
            found[f"{path} by dark"] = serious
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > size["width"]:
            found[f"{path} is too wide"] = wide
    context.close()
    assert found == {}


def test_a_conversation_by_keyboard_alone(chat: Chat) -> None:
    page = chat.page
    chat.ask("what is 1 plus 1")  # the field has the focus from the start
    page.keyboard.type("forget everything you know about me")
    page.keyboard.press("Enter")
    allow = page.get_by_role("button", name="Allow once")
    expect(allow).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        if allow.evaluate("element => element === document.activeElement"):
            break
    else:
        pytest.fail("the question cannot be reached by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator(".decided")).to_contain_text("Allowed")
    expect(chat.field).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(":focus")).to_have_count(1)


def test_what_was_said_is_found_and_a_link_leads_to_it(context: BrowserContext, server: Server, chat: Chat) -> None:
    word = f"heron{uuid.uuid4().hex[:8]}"
    chat.ask(f"remember that I saw a {word}")
    page = chat.page
    page.goto(f"{server.url}/history")
    page.get_by_label("Find words in everything that was said").fill(word.upper())
    expect(page.locator(".result mark").first).to_have_text(word)
    assert f"q={word.upper()}" in page.url
    page.reload()  # the filters are in the address
    page.locator(".result", has_text="remember that I saw").first.click()
    expect(page.locator(".msg.here")).to_contain_text(word)
    page.goto(f"{server.url}/history?q=nobody-ever-said-this")
    expect(page.get_by_role("heading", name="Nothing was found")).to_be_visible()


def test_files_are_picked_sent_shown_and_kept_with_the_draft(chat: Chat) -> None:
    page = chat.page
    page.set_input_files("#pick", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"The hall is booked."})
    expect(page.locator("#files li")).to_contain_text("19 bytes")
    page.reload()
    expect(page.locator("#files li")).to_contain_text("notes.txt")
    chat.ask("what is 2 plus 2")
    expect(page.locator(".msg.call .files")).to_contain_text("notes.txt")
    expect(page.locator("#files li")).to_have_count(0)


def test_many_questions_leave_room_for_words(chat: Chat) -> None:
    chat.server.propose(chat.key, *(f"You like the number {number}." for number in range(8)))
    chat.page.reload()
    expect(chat.page.locator("#proposals .card")).to_have_count(8)
    expect(chat.field).to_be_in_viewport(ratio=1)
    chat.ask("what is 5 plus 5")


def test_the_log_is_live_can_be_paused_searched_and_cleared(chat: Chat) -> None:
    page = chat.page.context.new_page()
    page.goto(f"{chat.server.url}/logs")
    expect(page.locator("#live")).to_have_text("live")
    chat.ask("what is 3 plus 4")
    expect(page.locator(".logs li").first).to_contain_text("task.finished")
    page.get_by_role("button", name="Pause").click()
    before = page.locator(".logs li").count()
    chat.ask("what is 4 plus 4")
    expect(page.locator("#live")).to_contain_text("new")
    assert page.locator(".logs li").count() == before
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".logs li")).to_have_count(0)
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator(".logs li", has_text="store.migrated")).to_have_count(0)


def test_members_see_neither_the_pages_nor_the_menu_of_operators(browser: Browser, server: Server) -> None:
    name = f"mara-{uuid.uuid4().hex[:8]}"
    server.user(name)
    link = server.link(name)
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.wait_for_url(lambda url: "/welcome/" not in url)
    expect(page.locator(".rail")).to_contain_text("History")
    expect(page.locator(".rail")).not_to_contain_text("Logs")
    cookies = {cookie["name"]: cookie["value"] for cookie in context.cookies()}  # type: ignore[typeddict-item]
    for path, status in (("/history", 200), ("/logs", 404), ("/events", 404), ("/people", 404)):
        assert httpx.get(server.url + path, cookies=cookies).status_code == status
    context.close()
