"""The dashboard in the browser, with no Discord at all: five panels, live, filtered and searched by each viewer."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.e2e.chat import Chat
from tests.e2e.server import Server


def figure(page: Page, panel: str, label: str) -> int:
    return int(page.locator(f"[data-panel={panel}] .stats div", has_text=label).locator("dd").inner_text())


def test_the_dashboard_is_live_and_says_that_discord_is_not_connected(chat: Chat) -> None:
    page = chat.page.context.new_page()
    page.goto(f"{chat.server.url}/dashboard")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator(".panel")).to_have_count(5)
    expect(page.locator("#subtitle")).to_contain_text("Discord is not connected")
    expect(page.locator("[data-panel=server] .none")).to_contain_text("antiphon demo")
    expect(page.locator("[data-panel=server] .stats dd").first).to_have_text("–")  # noqa: RUF001 - the dash that is shown
    people, agent = figure(page, "messages", "People"), figure(page, "messages", "Antiphon")
    chat.ask("what is 6 plus 7")
    messages = page.locator("[data-panel=messages] .stats div")
    expect(messages.nth(0).locator("dd")).to_have_text(str(people + 1))
    expect(messages.nth(1).locator("dd")).to_have_text(str(agent + 1))
    expect(page.locator("[data-panel=logs] .logs li").first).to_contain_text("task.finished")


def test_every_viewer_filters_and_searches_the_logs_alone(chat: Chat) -> None:
    chat.ask("what is 6 plus 8")
    page = chat.page.context.new_page()
    page.goto(f"{chat.server.url}/dashboard")
    logs = page.locator("[data-panel=logs]")
    finished = logs.locator(".logs li").filter(has_text="task.finished").first
    line: str = finished.locator(".what").evaluate("(what) => what.lastChild.textContent")
    logs.get_by_text("Errors", exact=True).click()
    expect(logs.locator(".none")).to_have_text("No line fits.")
    logs.get_by_text("All", exact=True).click()
    search = logs.get_by_role("searchbox")
    search.fill(line)
    expect(logs.locator(".logs li")).to_have_count(1)
    chat.ask("what is 6 plus 9")  # what comes in between changes nothing of what one looks for
    expect(logs.locator(".logs li")).to_have_count(1)
    expect(search).to_have_value(line)
    expect(search).to_be_focused()


def test_members_get_the_panels_that_are_theirs(browser: Browser, server: Server) -> None:
    server.user("panelist")
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.link("panelist"))
    page.wait_for_url(f"{server.url}/")
    page.goto(f"{server.url}/dashboard")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator(".panel h2")).to_have_text(["Server", "Messages", "Voice"])
    context.close()
