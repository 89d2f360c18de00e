"""Open pages outlive a restart, a Redis that goes, a poor network and a wrong clock; no word is lost or shown twice."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.conftest import open_chat, sign_in
from tests.e2e.held import Held
from tests.e2e.server import Server, free_port
from tests.fixtures_databases import Migrated
from tests.fixtures_redis import RedisServer

AWAY = (
    r"ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|ERR_INTERNET|WebSocket connection|Failed to load|status of 503"
)
PAGES = 10
RECOVER_MS = 45_000


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer(free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated, redis: RedisServer) -> Iterator[Server]:
    """A server on Redis, to be killed and started again."""
    server = Server(migrated(tmp_path_factory.mktemp("fragile")), {"REDIS_URL": redis.url})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def fragile_signed_in(browser: Browser, fragile: Server) -> StorageState:
    return sign_in(browser, fragile)


pytestmark = pytest.mark.needs("redis")


def test_ten_open_pages_outlive_a_restart(
    context: BrowserContext, fragile: Server, fragile_signed_in: StorageState, watch: Watch
) -> None:
    """Nine conversations, one of them in two tabs. Each page says something before, while and after nobody answers."""
    watch.allow(AWAY)
    chats = [open_chat(context, fragile, fragile_signed_in) for _ in range(PAGES - 1)]
    chats[0].ask("what is 1 plus 1")
    tab = Chat(context.new_page(), fragile, chats[0].key)
    tab.page.goto(tab.address)
    expect(tab.replies).to_have_count(1)
    for number, chat in enumerate(chats[1:], 2):
        chat.say(f"what is {number} plus 1")
    for chat in chats:
        expect(chat.replies).to_have_count(1)
    fragile.kill()
    for number, chat in enumerate(chats, 1):
        chat.say(f"what is {number} plus 100")
        chat.field.fill(f"a draft of {number}")
    expect(chats[-1].page.get_by_role("heading", name="The connection dropped")).to_be_visible()
    fragile.start()
    for number, chat in enumerate(chats, 1):
        expect(chat.replies).to_have_count(2, timeout=RECOVER_MS)
        expect(chat.page.get_by_role("heading", name="The connection dropped")).to_be_hidden()
        expect(chat.field).to_have_value(f"a draft of {number}")
        chat.page.get_by_label("Message", exact=True).fill(f"what is {number} plus 200")
        chat.field.press("Enter")
    expect(tab.replies).to_have_count(3, timeout=RECOVER_MS)
    for number, chat in enumerate(chats, 1):
        expect(chat.replies).to_have_count(3)
        said = chat.said()
        assert [text for text in said if text.startswith("what")] == [
            f"what is {number} plus {more}" for more in (1, 100, 200)
        ]
        answers = [text for text in said if not text.startswith("what")]
        assert [str(number + more) in text for more, text in zip((1, 100, 200), answers, strict=True)] == [True] * 3
    expect(tab.calls).to_have_count(3)  # what the other tab said is looked up, which takes a moment
    assert sorted(tab.said()) == sorted(chats[0].said())


def test_redis_may_go_and_come_back_under_an_open_page(
    context: BrowserContext, fragile: Server, fragile_signed_in: StorageState, redis: RedisServer, watch: Watch
) -> None:
    watch.allow(AWAY)
    chat = open_chat(context, fragile, fragile_signed_in)
    chat.ask("what is 2 plus 2")
    redis.stop()
    expect(chat.replies).to_have_count(1)
    chat.say("what is 3 plus 3")
    expect(chat.replies).to_have_count(2, timeout=RECOVER_MS)
    redis.start()
    chat.say("what is 4 plus 4")
    expect(chat.replies).to_have_count(3, timeout=RECOVER_MS)
    assert [text for text in chat.said() if text.startswith("what")] == [f"what is {n} plus {n}" for n in (2, 3, 4)]


def test_a_slow_network_that_breaks_off_loses_and_doubles_nothing(chat: Chat, watch: Watch) -> None:
    watch.allow(AWAY)
    network = chat.page.context.new_cdp_session(chat.page)
    network.send("Network.enable")
    slow = {"latency": 300, "downloadThroughput": 20_000, "uploadThroughput": 5_000}

    def be(offline: bool) -> None:
        network.send("Network.emulateNetworkConditions", {"offline": offline, **slow})

    be(offline=False)
    chat.say("what is 1 plus 11")
    be(offline=True)  # under way, or just arrived and its answer lost
    chat.say("what is 2 plus 11")
    expect(chat.page.get_by_text("not sent yet").first).to_be_visible()
    be(offline=False)
    chat.page.evaluate("dispatchEvent(new Event('online'))")
    expect(chat.replies).to_have_count(2, timeout=RECOVER_MS)
    chat.page.reload()
    expect(chat.replies).to_have_count(2, timeout=RECOVER_MS)
    said = [text for text in chat.said() if text.startswith("what")]
    assert sorted(said) == ["what is 1 plus 11", "what is 2 plus 11"]


def test_a_wrong_clock_does_not_take_the_question_away(
    context: BrowserContext, server: Server, signed_in: StorageState
) -> None:
    """Approvals run out after ten minutes by the server's clock, not by that of a device which is a day ahead."""
    context.add_init_script("{ const real = Date.now; Date.now = () => real() + 86_400_000; }")
    chat = open_chat(context, server, signed_in)
    chat.ask("remember that my umbrella is green")
    chat.say("forget everything you know about me")
    card = chat.page.locator(".card.ask")
    expect(card).to_contain_text(re.compile(r"(9:\d\d|10:00) left"))
    chat.page.get_by_role("button", name="Refuse").click()
    expect(chat.page.get_by_text(re.compile("^Refused"))).to_be_visible()


def test_words_typed_and_sent_before_the_page_is_ready_go_out(
    context: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    """The field can be written in before the scripts have heard from the server."""
    watch.allow("status of 404")  # the conversation of this address begins with the message
    context.add_cookies(signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    page = context.new_page()
    conversations = Held(page, "**/api/channels", most=1)
    page.goto(f"{server.url}/c/web:early-{uuid.uuid4()}")
    chat = Chat(page, server, "")
    expect(chat.field).to_be_editable()
    conversations.wait()
    chat.field.fill("what is 5 plus 6")
    chat.field.press("Enter")
    conversations.let_go()
    expect(chat.replies).to_have_count(1)
    assert "11" in chat.last_reply()
    expect(chat.field).to_have_value("")


def test_a_message_is_answered_though_the_first_reading_of_its_conversation_was_slow(
    context: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    """That there is no such conversation yet is heard after the message was sent which begins it."""
    watch.allow("status of 404")
    context.add_cookies(signed_in["cookies"])  # type: ignore[typeddict-item, arg-type]
    page = context.new_page()
    first = Held(page, "**/messages?*", most=1)
    page.goto(f"{server.url}/c/web:slow-{uuid.uuid4()}")
    chat = Chat(page, server, "")
    first.wait()
    chat.say("what is 5 plus 7")
    expect(chat.calls).to_have_count(1)
    page.wait_for_timeout(500)  # more than the message needs to be accepted, if it is sent
    assert first.let_go() == 404
    expect(chat.replies).to_have_count(1)
    assert "12" in chat.last_reply()
