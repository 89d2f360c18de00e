"""Every page of the console in the browser: by light and dark and on a phone, by keyboard alone, and to axe-core."""

from __future__ import annotations

import re
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


@pytest.fixture(scope="module")
def session(server: Server) -> str:
    """A spoken session, over before anybody said a word."""
    with server.client() as client:
        begun = client.post("/session", json={"room": "pages", "identity": "wren"}, timeout=60).raise_for_status()
        client.delete(f"/session/{begun.json()['session_id']}").raise_for_status()
    return begun.json()["session_id"]


def paths(key: str, session: str) -> Iterator[str]:
    """An address of every page that is a template."""
    for page in PAGES:
        if page.template:
            yield page.path.replace("<channel>", key).replace("<int:id>", "1").replace("<session>", session)


def ready(page: Page, quiet: Quiet) -> None:
    """Wait until the page has read what it shows."""
    expect(page.locator("main")).to_be_visible()
    expect(page.locator("[data-my-name]").first).not_to_be_empty()
    expect(page.locator(".loading, #loading:not([hidden]), .chip.think")).to_have_count(0)
    quiet.wait()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_accessible_fits_and_logs_no_error(
    browser: Browser,
    server: Server,
    signed_in: StorageState,
    watch: Watch,
    key: str,
    session: str,
    size: ViewportSize,
) -> None:
    """Everything axe-core knows by light; by dark the colours again, which is all that the theme changes."""
    context = browser.new_context(viewport=size, storage_state=signed_in, reduced_motion="reduce")
    context.on("page", watch.page)
    page = context.new_page()
    quiet = Quiet(page)
    found: dict[str, Any] = {}
    for path in paths(key, session):
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
    expect(page).to_have_url(re.compile(f"q={word.upper()}"))
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


PUT = """([type, target]) => {
  const files = new DataTransfer();
  files.items.add(new File(["tall and grey"], `${type}.txt`, { type: "text/plain" }));
  const event = type === "paste" ? new ClipboardEvent(type, { clipboardData: files, bubbles: true, cancelable: true })
    : new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true });
  document.querySelector(target).dispatchEvent(event);
}"""


def test_files_are_pasted_dropped_and_left_out_again(chat: Chat) -> None:
    page = chat.page
    page.evaluate(PUT, ["paste", "#say"])
    expect(page.locator("#files li")).to_contain_text("paste.txt")
    page.evaluate(PUT, ["dragenter", ".talkpane"])
    expect(page.locator(".talkpane[data-drop]")).to_have_count(1)
    page.evaluate(PUT, ["drop", ".talkpane"])
    expect(page.locator(".talkpane[data-drop]")).to_have_count(0)
    expect(page.locator("#files li", has_text="13 bytes")).to_have_count(2)
    page.get_by_role("button", name="Leave paste.txt out").click()
    chat.ask("what is 2 plus 2")
    expect(page.locator(".msg.call .files li")).to_have_count(1)
    expect(page.locator(".msg.call .files")).to_contain_text("drop.txt")


def test_how_an_answer_came_about_is_told_in_words(chat: Chat) -> None:
    page = chat.page
    chat.ask("remember that herons are grey")
    chat.ask("what do you know about herons")
    page.get_by_role("link", name="How this answer came about").last.click()
    page.locator("details.turn > summary").click()
    turn = page.locator("details.turn")
    expect(turn).to_contain_text("offline was asked: no language model is set up.")
    expect(turn.locator(".given")).to_contain_text("Who asked")
    expect(turn.get_by_role("link", name="A memory").first).to_have_attribute("href", "/memories")
    turn.get_by_role("link", name=re.compile("messages? before")).click()
    expect(page.locator(".msg.here")).to_contain_text("remember that herons are grey")


def test_a_reminder_is_made_from_its_page_and_comes_in_the_conversation(chat: Chat) -> None:
    page = chat.page
    chat.ask("what is 8 plus 9")
    page.goto(f"{chat.server.url}/reminders")
    page.get_by_role("button", name="New reminder").click()
    page.get_by_label("What", exact=True).fill("feed the herons")
    page.get_by_label("When").fill("2001-01-01T10:00")
    page.get_by_label("How often").select_option("FREQ=DAILY")
    page.get_by_label("In the conversation").select_option(chat.key)
    page.get_by_role("button", name="Remind me").click()
    expect(page.locator("#dialog-problem")).to_contain_text("passed already")
    page.get_by_label("When").fill("2031-01-01T10:00")
    page.get_by_role("button", name="Remind me").click()
    row = page.locator("#list li", has_text="feed the herons")
    expect(row).to_contain_text("every day at 10:00 (Europe/Berlin)")
    row.get_by_role("link", name="where it was asked").click()
    expect(page.locator(".msg.reply .said").last).to_contain_text("17")
    page.goto(f"{chat.server.url}/history?channel={chat.key}")
    expect(page.locator(".result", has_text=re.compile(r"8 \S+ 9 = 17"))).to_have_count(1)
    assert "**" not in page.locator("#list").inner_text()  # the marks of Markdown are for the conversation


def test_what_is_off_leads_to_where_it_is_set_up(chat: Chat) -> None:
    page = chat.page
    there = "ollama at http://127.0.0.1:11434/v1 with llama3.2"
    parts = [
        {
            "name": "model",
            "state": "off",
            "detail": f"the offline model answers. On this machine, not used: {there}",
            "remedy": "to use it set ANTIPHON_MODEL=ollama:llama3.2 and start again",
        },
    ]
    page.route("**/api/health", lambda route: route.fulfill(json={"status": "ok", "parts": parts}))
    page.goto(f"{chat.server.url}/status")
    page.get_by_role("link", name="set it up here").click()
    expect(page.locator("#model .outcome")).to_contain_text(there)
    expect(page.locator("#model .chip").first).to_have_text("not set up")


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
    line = page.locator(".logs li .what").first.inner_text()
    expect(page.locator(".logs li", has_text=line)).to_have_count(1)
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
    chat.ask("what is 5 plus 4")
    expect(page.locator(".logs li").first).to_contain_text("task.finished")  # so what was kept has come, too
    expect(page.locator(".logs li", has_text=line)).to_have_count(0)


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
