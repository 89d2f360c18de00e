"""Answers overtake each other on the pages beside the chat: what was asked, done or typed last is what stays."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, StorageState, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.held import Held, settle
from tests.e2e.server import Server

POLL_MS = 5_000
LOADING_MS = 400
"""Before that a list says that it is being read."""
SERVERS = [{"id": name, "name": name.title()} for name in ("north", "south")]


@pytest.fixture
def page(context: BrowserContext, signed_in: StorageState) -> Page:
    context.add_cookies(signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    return context.new_page()


def question(chat: Chat) -> str:
    """A question that waits for an answer; the address of the page that lists it."""
    chat.say("forget everything you know about me")
    expect(chat.page.locator(".card.ask")).to_be_visible()
    return f"{chat.server.url}/approvals"


def choose(page: Page, *names: str) -> None:
    """One filter after the other, faster than anything is answered."""
    for name in names:
        page.locator("#filters label", has_text=re.compile(f"^{name}$")).click()


def test_a_list_does_not_say_it_is_being_read_when_it_was(page: Page, server: Server) -> None:
    """One looks at all of them again while others are still being read, which would be said next."""
    page.goto(f"{server.url}/tasks")
    expect(page.locator("#list tbody tr, #list .empty").first).to_be_visible()
    dead, every = (page.locator(f"#filters [name=show][value='{value}']").element_handle() for value in ("dead", ""))
    older = Held(page, "**/api/tasks?*dead=1*", most=1)
    with page.expect_response(re.compile(r"/api/tasks\?limit=50$")):
        page.evaluate("([dead, every]) => { dead.click(); setTimeout(() => every.click(), 20); }", [dead, every])
    older.wait()
    expect(page.locator("#list tbody tr, #list .empty").first).to_be_visible()
    page.wait_for_timeout(LOADING_MS)
    assert page.locator("#list .loading").count() == 0


def test_an_answered_question_does_not_come_back_with_an_older_list(chat: Chat) -> None:
    page = chat.page.context.new_page()
    page.clock.install()
    page.goto(question(chat))
    card = page.locator("#open .card")
    refuse = page.get_by_role("button", name="Refuse").first
    expect(refuse).to_be_visible()
    count = card.count()
    older = Held(page, re.compile(r"state=pending&limit=50|limit=50&state=pending"), most=1)
    page.clock.fast_forward(POLL_MS)
    older.wait()
    answered = card.first.get_attribute("data-approval")
    refuse.click()
    expect(page.locator(f"[data-approval='{answered}']")).to_have_count(0)
    older.let_go()
    assert card.count() == count - 1, "it came back, if only until the list is read again"


def test_the_number_of_open_questions_is_the_newest(chat: Chat) -> None:
    page = chat.page.context.new_page()
    page.goto(question(chat))
    badge = page.locator("[data-waiting]").first
    expect(badge).to_be_visible()
    count = page.locator("#open .card").count()
    older = Held(page, re.compile(r"limit=100"), most=1)
    page.evaluate("dispatchEvent(new Event('online'))")
    older.wait()
    for _ in range(count):
        left = page.locator("#open .card").count()
        page.get_by_role("button", name="Refuse").first.click()
        expect(page.locator("#open .card")).to_have_count(left - 1)
    expect(badge).to_be_hidden()
    older.let_go()
    expect(badge).to_be_hidden()


def test_decisions_in_a_row_all_stand_below(chat: Chat) -> None:
    """The second is made while the list of the first is still being read."""
    question(chat)
    chat.page.get_by_role("button", name="New conversation").click()
    expect(chat.page.locator("#empty")).to_be_visible()
    page = chat.page.context.new_page()
    page.goto(question(chat))
    cards = page.locator("#open .card")
    expect(cards).to_have_count(2)
    slow = Held(page, re.compile(r"/api/approvals\?limit=50$"), most=1)
    decided = page.locator("#decided tbody tr")
    before = decided.count()
    for left in (1, 0):
        page.get_by_role("button", name="Refuse").first.click()
        expect(cards).to_have_count(left)
        slow.wait()
    slow.let_go()
    expect(decided).to_have_count(before + 2)


def test_the_accounts_are_those_that_were_asked_for_last(chat: Chat) -> None:
    chat.ask("hello")
    page = chat.page.context.new_page()
    page.goto(f"{chat.server.url}/usage")
    first = page.locator("#table th").first
    expect(first).to_contain_text("Day")
    older = Held(page, "**/api/usage?*by=model*", most=1)
    choose(page, "Models")
    older.wait()
    choose(page, "People")
    expect(first).to_have_text("Person")
    older.let_go()
    expect(first).to_have_text("Person")


def test_the_panels_are_those_of_the_server_that_was_chosen_last(page: Page, server: Server, watch: Watch) -> None:
    watch.allow("ERR_FAILED")
    page.route("**/api/panels/stream*", lambda route: route.abort())

    def named(route: Route) -> None:
        """Two servers, each of which says its name on its panels."""
        answer = route.fetch()
        found: dict[str, Any] = answer.json()
        where = re.search(r"server=(\w+)", route.request.url)
        panels = [{**panel, "title": f"{panel['title']} {where[1] if where else ''}"} for panel in found["items"]]
        route.fulfill(json={**found, "servers": SERVERS, "items": panels})

    page.route(re.compile(r"/api/panels(\?|$)"), named)
    page.goto(f"{server.url}/dashboard")
    servers = page.locator("#servers")
    expect(servers).to_be_visible()
    older: list[Route] = []
    page.route("**/api/panels?server=north", lambda route: older.append(route))
    servers.select_option("north")
    title = page.locator("[data-panel=messages] h2")
    servers.select_option("south")
    expect(title).to_have_text("Messages south")
    with page.expect_response("**/api/panels?server=north"):
        named(older[0])
    settle(page)
    expect(title).to_have_text("Messages south")


def test_what_is_changed_while_another_setting_is_saved_waits_to_be_saved(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/settings")
    first, second = (page.get_by_label(f"threads.{name}", exact=True) for name in ("slots", "lease_seconds"))
    first.fill("7")
    saved = Held(page, "**/api/settings", "PATCH", most=1)
    page.get_by_role("button", name="Save").click()
    saved.wait()
    second.fill("77")
    saved.let_go()
    expect(page.locator("[data-key='threads.slots']")).to_contain_text("waits for a restart")
    expect(second).to_have_value("77")
    expect(page.locator("#save-count")).to_have_text("1 change")
    page.get_by_role("button", name="Set threads.slots back").click()  # this alone, and nothing that is not saved yet
    expect(page.locator("[data-key='threads.slots']")).not_to_contain_text("waits for a restart")
    expect(second).to_have_value("77")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("#savebar")).to_be_hidden()


def test_a_test_of_what_stood_there_before_does_not_judge_what_stands_there_now(page: Page, server: Server) -> None:
    older: list[Route] = []

    def judged(route: Route) -> None:
        test = route.request.post_data_json
        address = test["given"].get("url", "")
        if test["kind"] != "redis":
            route.fallback()
            return
        if address == "redis://one" and not older:
            older.append(route)
            return
        verdict = {
            "state": "degraded",
            "detail": f"tried {address}",
            "remedy": "",
            "facts": [],
            "link": "",
            "choices": [],
        }
        route.fulfill(json=verdict)

    page.goto(f"{server.url}/setup")
    card = page.locator("#redis")
    page.route("**/api/setup/test", judged)
    card.get_by_label("Address").fill("redis://one")
    card.get_by_role("button", name="Test").click()
    expect(card.locator(".chip")).to_have_text("testing")
    card.get_by_label("Address").fill("redis://two")
    card.get_by_role("button", name="Test").click()
    expect(card.locator(".verdict")).to_have_text("tried redis://two")
    with page.expect_response("**/api/setup/test"):
        judged(older[0])
    settle(page)
    expect(card.locator(".verdict")).to_have_text("tried redis://two")
