"""Who gets in, and what somebody is told who does not."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx
from playwright.sync_api import Browser, BrowserContext, StorageState, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.conftest import open_chat, sign_in
from tests.e2e.server import Server

REFUSED = "status of 401"


def test_a_link_opens_the_door_once(context: BrowserContext, server: Server, watch: Watch) -> None:
    link = server.link()
    page = context.new_page()
    page.goto(link)
    expect(page).to_have_url(f"{server.url}/setup")  # nothing is set up yet
    page.get_by_role("link", name="Go to the chat").click()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    assert page.context.cookies()[0].get("httpOnly")

    watch.allow(REFUSED)
    stranger = context.browser.new_context().new_page()  # type: ignore[union-attr]
    watch.page(stranger)
    stranger.goto(link)
    expect(stranger.get_by_role("alert").first).to_contain_text("This link does not work any more")
    expect(stranger.get_by_text("antiphon user link", exact=True)).to_be_visible()
    stranger.context.close()


def test_a_preview_of_the_link_does_not_use_it_up(context: BrowserContext, server: Server) -> None:
    link = server.link()
    assert [httpx.get(link).status_code for _ in range(2)] == [200, 200]
    page = context.new_page()
    page.goto(link)
    expect(page).to_have_url(f"{server.url}/setup")


def test_a_pasted_link_leads_back_to_the_wanted_conversation(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.goto(f"{server.url}/c/web:wanted")
    assert "/sign-in" in page.url
    page.get_by_label("Sign-in link").fill("not a link at all!")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#link-problem")).to_contain_text("not a sign-in link")
    # Only the token of a pasted link counts: another host in it leads nowhere.
    page.get_by_label("Sign-in link").fill(server.link().replace("127.0.0.1", "elsewhere.invalid"))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{server.url}/c/web:wanted")


def test_only_pages_of_this_site_are_gone_to_after_signing_in(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.goto(f"{server.link()}?{urlencode({'next': '//elsewhere.invalid/'})}")
    expect(page.get_by_role("main")).to_be_visible()
    page.wait_for_url(lambda url: "/welcome/" not in url)
    assert page.url.startswith(f"{server.url}/")
    where_to = """async (next) => {
      const here = document.querySelector("script[type=module][src]").src;
      return (await import(new URL("link-form.js", here))).nextPath(`?${new URLSearchParams({ next })}`);
    }"""
    assert page.evaluate(where_to, "/threads?x=1&y=2") == "/threads?x=1&y=2"
    for elsewhere in (
        *("", "threads", "//elsewhere.invalid", "/\\elsewhere.invalid", "https://elsewhere.invalid", "/a\\b", "/a\nb"),
        *("/\t/elsewhere.invalid", "/\0/x", "javascript:alert(1)", "/sign-in", "/welcome/x"),
    ):
        assert page.evaluate(where_to, elsewhere) == "/", elsewhere


def test_signing_out_ends_the_session_and_empties_the_browser(
    browser: Browser, context: BrowserContext, server: Server
) -> None:
    chat = open_chat(context, server, sign_in(browser, server))
    chat.field.fill("a draft nobody else should read")
    chat.page.get_by_role("button", name="Sign out").first.click()
    expect(chat.page.get_by_text("You have signed out.")).to_be_visible()
    assert chat.page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('antiphon:'))") == []
    chat.page.goto(server.url)
    assert "/sign-in" in chat.page.url


def test_an_ended_session_keeps_what_was_typed(
    context: BrowserContext, server: Server, watch: Watch, chat: Chat
) -> None:
    watch.allow(REFUSED)
    chat.ask("hello")
    context.clear_cookies()
    chat.say("what is 6 times 7")
    expect(chat.page.get_by_role("heading", name="You are signed out").first).to_be_visible()
    chat.page.get_by_role("link", name="Sign in again").first.click()
    chat.page.get_by_label("Sign-in link").fill(server.link())
    chat.page.get_by_role("button", name="Sign in").click()
    expect(chat.page).to_have_url(chat.address)
    expect(chat.replies).to_have_count(2)
    assert "42" in chat.last_reply()
    expect(chat.calls).to_have_count(2)


def test_a_page_does_not_speak_for_whoever_signs_in_beside_it(
    browser: Browser, context: BrowserContext, server: Server, watch: Watch
) -> None:
    watch.allow("40[13]")
    chat = open_chat(context, server, sign_in(browser, server))
    chat.server.user("beatrice")
    other = chat.page.context.new_page()
    other.goto(chat.server.link("beatrice"))
    other.wait_for_url(lambda url: "/welcome/" not in url)
    chat.say("what is 6 plus 6")
    expect(chat.page.locator("#notice")).to_contain_text("You are signed out")
    chat.page.goto(chat.server.link())
    chat.page.wait_for_url(lambda url: "/welcome/" not in url)
    chat.page.goto(chat.address)
    expect(chat.replies.last).to_contain_text("12")  # said by who wrote it, once they are back


def test_pages_refuse_nobody_but_strangers(context: BrowserContext, server: Server, signed_in: StorageState) -> None:
    paths = ["/", "/c/web:a", "/nothing-here"]
    answers = [httpx.get(server.url + path) for path in paths]
    assert [(answer.status_code, answer.headers["location"].split("?")[0]) for answer in answers] == [
        (303, "/sign-in")
    ] * len(paths)
    cookies = {cookie["name"]: cookie["value"] for cookie in signed_in["cookies"]}  # type: ignore[typeddict-item]
    inside = [httpx.get(server.url + path, cookies=cookies).status_code for path in [*paths, "/c/not-a-key"]]
    assert inside == [200, 200, 404, 404]
