"""Answers that take a while: they grow, can be stopped, and survive the death of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.conftest import open_chat, sign_in
from tests.e2e.server import Server
from tests.e2e.slow_model import WORDS, SlowModel
from tests.fixtures_databases import Migrated

UNREACHABLE = r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|WebSocket connection"
KEEP_WHAT_GROWS = """() => {
  const look = () => document.querySelectorAll(".msg.reply:not(:has(.acts)) .said");
  globalThis.grown = [];
  const keep = () => grown.push(...[...look()].map((said) => said.textContent));
  new MutationObserver(keep).observe(document.getElementById("log"), { childList: true, subtree: true });
}"""
"""From now on the page keeps whatever it shows of answers that are not finished."""


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated, slow_model: SlowModel) -> Iterator[Server]:
    """A server for the tests that kill it, and start it again."""
    settings = {**slow_model.settings, "ANTIPHON_THREADS__LEASE_SECONDS": "3"}
    server = Server(migrated(tmp_path_factory.mktemp("doomed")), settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def doomed_signed_in(browser: Browser, doomed: Server) -> StorageState:
    """The cookies of its owner: a session outlives the process."""
    return sign_in(browser, doomed)


def test_an_answer_is_seen_while_it_grows(slow_chat: Chat, slow_model: SlowModel) -> None:
    growing = slow_chat.page.locator(".msg.reply:has(.caret) .said")
    with slow_model.in_the_middle():
        slow_chat.say("tell me a story")
        expect(growing).to_contain_text("word3")
        expect(slow_chat.state).to_have_text("Speaking")
        expect(growing).to_have_text(WORDS[: WORDS.index("word21")].strip())
    expect(slow_chat.replies).to_have_count(1)
    assert slow_chat.last_reply() == WORDS
    expect(slow_chat.page.locator(".caret")).to_have_count(0)
    expect(slow_chat.state).to_have_text("Resting")


def test_a_reload_in_the_middle_shows_the_answer_from_its_first_word(slow_chat: Chat, slow_model: SlowModel) -> None:
    with slow_model.in_the_middle():
        slow_chat.say("tell me a story")
        expect(slow_chat.log.get_by_text("word5 ")).to_be_visible()
        slow_chat.page.reload()
        growing = slow_chat.page.locator(".msg.reply:has(.caret) .said")
        expect(growing).to_contain_text("One sentence comes first. word1")
    expect(slow_chat.replies).to_have_count(1)
    assert slow_chat.said() == ["tell me a story", WORDS]


def test_another_tab_never_shows_a_piece_from_the_middle(slow_chat: Chat, slow_model: SlowModel) -> None:
    slow_chat.ask("tell me a story")
    other = slow_chat.page.context.new_page()
    second = Chat(other, slow_chat.server, slow_chat.key)
    growing = other.locator(".msg.reply:not(:has(.acts))")
    with slow_model.in_the_middle():
        slow_chat.say("tell me a story")
        expect(slow_chat.page.locator(".msg.reply:has(.caret)")).to_contain_text("word5 ")
        other.goto(slow_chat.address)
        expect(growing).to_contain_text("thinking")
        other.evaluate(KEEP_WHAT_GROWS)
    expect(second.replies).to_have_count(2)
    assert not any(other.evaluate("grown"))


def test_only_finished_sentences_are_announced(slow_chat: Chat) -> None:
    slow_chat.say("tell me a story")
    expect(slow_chat.page.locator("#announce p").first).to_have_text("One sentence comes first.")
    expect(slow_chat.replies).to_have_count(1)
    said = slow_chat.page.locator("#announce p").all_inner_texts()
    assert " ".join(said) == WORDS
    assert len(said) == 2


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop_keeps_what_was_said(slow_chat: Chat, slow_model: SlowModel, how: str) -> None:
    with slow_model.in_the_middle():
        slow_chat.say("tell me a story")
        expect(slow_chat.log.get_by_text("word5 ")).to_be_visible()
        if how == "button":
            slow_chat.page.get_by_role("button", name="Stop").click()
        else:
            slow_chat.page.keyboard.press("Escape")
        expect(slow_chat.page.get_by_text("You stopped this one.")).to_be_visible()
    expect(slow_chat.replies).to_have_count(1)
    partial = slow_chat.last_reply()
    assert WORDS.startswith(partial.strip())
    assert partial.strip() != WORDS
    slow_chat.page.reload()
    expect(slow_chat.replies).to_have_count(1)
    assert slow_chat.last_reply() == partial
    slow_chat.page.get_by_role("button", name="Try again").click()
    expect(slow_chat.log.get_by_text("and the end.")).to_be_visible()


def test_a_killed_server_is_survived_by_an_open_page(
    context: BrowserContext, doomed: Server, doomed_signed_in: StorageState, slow_model: SlowModel, watch: Watch
) -> None:
    watch.allow(UNREACHABLE)
    chat = open_chat(context, doomed, doomed_signed_in)
    with slow_model.in_the_middle():
        chat.say("tell me a story")
        expect(chat.log.get_by_text("word4 ")).to_be_visible()
        doomed.kill()
    expect(chat.page.get_by_role("heading", name="The connection dropped")).to_be_visible()
    chat.say("and another one")
    expect(chat.page.get_by_text("not sent yet")).to_be_visible()
    doomed.start()
    expect(chat.page.get_by_role("heading", name="The connection dropped")).to_be_hidden()
    expect(chat.replies).to_have_count(2, timeout=30_000)
    assert chat.said() == ["tell me a story", "and another one", WORDS, WORDS]
    chat.page.reload()
    expect(chat.replies).to_have_count(2)
    assert chat.said() == ["tell me a story", "and another one", WORDS, WORDS]


def test_a_message_typed_while_the_server_is_gone_outlives_the_page(
    context: BrowserContext, doomed: Server, doomed_signed_in: StorageState, watch: Watch
) -> None:
    watch.allow(UNREACHABLE)
    chat = open_chat(context, doomed, doomed_signed_in)
    chat.ask("first")
    doomed.kill()
    chat.say("second")
    expect(chat.page.get_by_text(re.compile("Your message is safe in this browser"))).to_be_visible()
    chat.page.close()
    doomed.start()
    page = context.new_page()
    chat = Chat(page, doomed, chat.key)
    page.goto(chat.address)
    expect(chat.replies).to_have_count(2, timeout=30_000)
    assert [text for text in chat.said() if text in ("first", "second")] == ["first", "second"]
