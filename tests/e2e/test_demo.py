"""`antiphon demo` in the browser: played people talk in a simulated server, the agent answers, the panels change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.accessibility import serious_findings
from tests.e2e.chat import Watch
from tests.e2e.held import Held
from tests.e2e.server import Server


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("demo"), role="demo")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def visitor(browser: Browser, demo: Server) -> Iterator[Any]:
    """The owner's session, made by the link that was printed."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(demo.link())
    page.wait_for_url(f"{demo.url}/demo")  # not the set-up page: nothing of a demo is kept
    yield context.storage_state()
    context.close()


@pytest.fixture
def page(browser: Browser, demo: Server, visitor: Any, watch: Watch) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, storage_state=visitor)
    context.on("page", watch.page)
    page = context.new_page()
    page.goto(f"{demo.url}/demo")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#hint")).to_contain_text("/ask")  # the agent is there and its commands are known
    yield page
    context.close()


def say(page: Page, who: str, text: str) -> None:
    page.locator("#people label", has_text=who).click()
    page.fill("#text", text)
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value("")


def figure(page: Page, label: str) -> Any:
    return page.locator("[data-panel=messages] .stats div", has_text=label).locator("dd")


def test_two_played_people_talk_the_agent_answers_and_a_panel_changes(page: Page) -> None:
    expect(figure(page, "People")).not_to_be_empty()
    before = int(figure(page, "People").inner_text())
    say(page, "Ada", "<b onmouseover=alert(1)>good morning</b> @Ben")
    say(page, "Ben", "@Antiphon what is 17 % of 2480?")
    said = page.locator("#messages > li")
    expect(said.nth(0)).to_contain_text("<b onmouseover=alert(1)>good morning</b> @Ben")
    expect(said.filter(has_text="421.6")).to_have_count(1)
    expect(said.filter(has_text="421.6")).to_contain_text("to Ben: @Antiphon what is")
    expect(figure(page, "People")).to_have_text(str(before + 2))
    expect(page.locator("[data-panel=events] .feed")).to_contain_text("Ada wrote in #general")


def test_a_command_is_answered_to_its_caller_alone(page: Page) -> None:
    say(page, "Mona", "/ask what is 6 * 111")
    expect(page.locator("#messages > li", has_text="666").first).to_contain_text("Antiphon")
    expect(figure(page, "Commands")).not_to_have_text("0")


def test_the_five_panels_stand_in_the_log_channel_and_their_buttons_work(page: Page, watch: Watch) -> None:
    watch.allow("422")
    page.locator("#channels button", has_text="antiphon-log").click()
    expect(page.locator("#messages .embed")).to_have_count(5)
    expect(page.locator("#messages .embed h3")).to_contain_text(["Server", "Logs", "Events", "Messages", "Voice"])
    logs = page.locator("#messages > li").nth(1)
    page.locator("#people label", has_text="Olive").click()
    logs.get_by_role("button", name="Search").click()
    page.locator("#dialog-fields input").fill("commands_registered")
    page.locator("#dialog-yes").click()
    expect(logs.locator("footer")).to_contain_text("commands_registered")
    expect(logs.locator(".embed .text")).to_contain_text("discord.commands_registered")
    page.locator("#people label", has_text="Ada").click()
    logs.get_by_role("button", name="Show all").click()  # Ada may not see this channel at all
    expect(page.locator("#toasts")).to_contain_text("Discord refuses this")


def test_somebody_new_joins_and_enters_voice(page: Page) -> None:
    page.get_by_role("button", name="Somebody new").click()
    page.locator("#dialog-fields input").fill("Ingo")
    page.locator("#dialog-yes").click()
    page.locator("#people label", has_text="Ingo").click()
    page.locator("#channels button", has_text="Lounge: enter").click()
    expect(page.locator("#channels small")).to_contain_text("Ingo")
    say(page, "Ingo", "/join")
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("[data-panel=voice] .talking")).to_contain_text("Ingo")
    page.get_by_role("button", name="Be silent").click()
    expect(page.locator("[data-panel=voice] .talking")).to_have_count(0)
    expect(page.locator("[data-panel=events] .feed")).to_contain_text("Ingo")


ASIDE = """[...document.querySelectorAll("#channels button")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.textContent)"""
"""Channels that one has to scroll sideways for."""


@pytest.mark.parametrize("look", ["dark", "phone"])
def test_the_page_is_accessible_and_fits(browser: Browser, demo: Server, visitor: Any, watch: Watch, look: str) -> None:
    width = 390 if look == "phone" else 1280
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme="dark" if look == "dark" else "light",
        storage_state=visitor,
        reduced_motion="reduce",
    )
    context.on("page", watch.page)
    page = context.new_page()
    for path in ("/demo", "/dashboard"):
        page.goto(demo.url + path)
        expect(page.locator("#live")).to_have_text("live")
        expect(page.locator(".panel").first).to_be_visible()
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(ASIDE) == []
    context.close()


def test_words_that_were_not_taken_stand_before_those_typed_meanwhile(page: Page, watch: Watch) -> None:
    watch.allow("status of 503")
    refused = Held(page, "**/api/demo/say", "POST", most=1)
    page.fill("#text", "first")
    page.keyboard.press("Enter")
    refused.wait()
    page.fill("#text", "second")
    refused.let_go(status=503)
    expect(page.locator("#text")).to_have_value("first second")
