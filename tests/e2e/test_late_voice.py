"""What comes late while somebody talks, or no longer does: a permission, a ticket, another microphone, a decision."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, StorageState, WebSocketRoute, expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.conftest import open_chat
from tests.e2e.held import Held
from tests.e2e.server import Server
from tests.e2e.stage import CLOSING, Stage, load_engines, stage_in
from tests.e2e.test_voice_page import Told

ASKED_LATER = """
{
  const media = navigator.mediaDevices, ask = media?.getUserMedia;
  globalThis.tracks = [];
  globalThis.asked = 0;
  globalThis.isAllowed = true;
  if (ask) media.getUserMedia = async (wish) => {
    globalThis.asked += 1;
    while (!globalThis.isAllowed) await new Promise((done) => setTimeout(done, 20));
    const stream = await ask.call(media, wish);
    globalThis.tracks.push(...stream.getTracks());
    return stream;
  };
}
"""
"""The browser gives the microphone while `isAllowed`, and remembers what it gave."""


@pytest.fixture(scope="module", autouse=True)
def engines(server: Server) -> None:
    load_engines(server)


@pytest.fixture
def stage(talking: BrowserContext, server: Server, signed_in: StorageState) -> Iterator[Stage]:
    """The page before a session, with a microphone that may be given later."""
    talking.add_init_script(ASKED_LATER)
    stage = stage_in(talking, server, signed_in)
    yield stage
    if stage.page.locator("#end").is_visible():
        stage.end()


def hold_microphone(stage: Stage, held: bool) -> None:
    stage.page.evaluate("(held) => { globalThis.isAllowed = !held; }", held)


def microphones(stage: Stage) -> list[str]:
    """The ids of those that are open."""
    live = "tracks.filter((track) => track.readyState === 'live').map((track) => track.getSettings().deviceId)"
    return stage.page.evaluate(live)


def asked(stage: Stage, times: int) -> None:
    stage.wait("the page to ask for a microphone", lambda: stage.page.evaluate("globalThis.asked") == times)


def sign_out_elsewhere(stage: Stage, watch: Watch) -> None:
    watch.allow("status of 401")
    stage.page.context.clear_cookies()
    stage.page.evaluate("dispatchEvent(new Event('online'))")
    expect(stage.notice).to_contain_text("You are signed out")


def another_microphone(stage: Stage) -> str:
    """Choose the last one of those there are; returns its id."""
    options = stage.page.locator("[name=microphone] option")
    expect(options).not_to_have_count(1)  # their names are known since one was opened
    device = options.last.get_attribute("value") or ""
    stage.page.locator("[name=microphone]").select_option(device)
    return device


def test_a_microphone_that_is_allowed_after_one_was_signed_out_is_let_go_of(stage: Stage, watch: Watch) -> None:
    hold_microphone(stage, True)
    stage.page.get_by_role("button", name="Start talking").click()
    asked(stage, 1)
    sign_out_elsewhere(stage, watch)
    hold_microphone(stage, False)
    stage.wait("the microphone", lambda: stage.page.evaluate("tracks.length") == 1)
    stage.wait("it to be let go of", lambda: microphones(stage) == [])
    expect(stage.notice).to_contain_text("You are signed out")
    expect(stage.state).to_have_text("Resting")


def test_a_session_that_begins_after_one_was_signed_out_is_none(stage: Stage, server: Server, watch: Watch) -> None:
    made = Held(stage.page, "**/api/voice/session", "POST", most=1)
    stage.page.get_by_role("button", name="Start talking").click()
    made.wait()
    sign_out_elsewhere(stage, watch)
    with stage.page.expect_response(lambda answer: answer.request.method == "DELETE") as ended:
        made.let_go()
    assert ended.value.status == 401
    expect(stage.notice).to_contain_text("You are signed out")
    expect(stage.state).to_have_text("Resting")
    assert microphones(stage) == []
    with server.client() as client:
        session = ended.value.url.rsplit("/", 1)[1]
        client.delete(f"/session/{session}").raise_for_status()  # the server would end it a little later


def test_a_microphone_that_opens_after_the_end_is_let_go_of(stage: Stage) -> None:
    stage.begin()
    hold_microphone(stage, True)
    another_microphone(stage)
    asked(stage, 2)
    stage.end()
    hold_microphone(stage, False)
    stage.wait("the microphone", lambda: stage.page.evaluate("tracks.length") == 2)
    stage.wait("it to be let go of", lambda: microphones(stage) == [])


def test_a_microphone_that_is_chosen_while_it_starts_is_the_one_that_is_heard(stage: Stage) -> None:
    stage.begin()
    stage.end()  # now the names of the microphones are known
    token = Held(stage.page, "**/api/voice/token*", most=1)
    stage.page.get_by_role("button", name="Start talking").click()
    token.wait()
    chosen = another_microphone(stage)
    token.let_go()
    expect(stage.connection).to_have_text("connected")
    stage.wait("the other microphone", lambda: microphones(stage) == [chosen])
    expect(stage.page.locator("#my-level i.on").first).to_be_visible()  # it beeps


def test_a_ticket_of_the_session_before_does_not_end_this_one(
    talking: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    watch.allow("status of 404")
    watch.allow(CLOSING)
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    talking.route_web_socket(lambda url: "/ws/voice/" in url, through)
    stage = stage_in(talking, server, signed_in)
    stage.begin()
    ticket = Held(stage.page, "**/api/voice/token*", most=1)
    sockets[0].close(code=1012)
    ticket.wait()
    stage.end()
    stage.begin()
    ticket.let_go(status=404)
    expect(stage.connection).to_have_text("connected")
    expect(stage.notice).to_be_empty()
    stage.end()


def test_a_session_that_is_ended_while_it_is_lost_is_not_waited_for(
    talking: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    watch.allow(CLOSING)
    sockets: list[WebSocketRoute] = []

    def once(socket: WebSocketRoute) -> None:
        if sockets:
            socket.close(code=1012)
            return
        socket.connect_to_server()
        sockets.append(socket)

    talking.route_web_socket(lambda url: "/ws/voice/" in url, once)
    stage = stage_in(talking, server, signed_in)
    stage.begin()
    sockets[0].close(code=1012)
    expect(stage.notice).to_contain_text("The connection dropped")
    stage.end()
    expect(stage.notice).to_be_empty()


def test_a_decision_is_not_undone_by_an_older_answer(
    talking: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    watch.allow(CLOSING)
    written: Chat = open_chat(talking, server, signed_in)
    written.say("forget everything you know about me")
    question = written.page.locator("[data-approval]")
    expect(question).to_be_visible()
    approval = question.get_attribute("data-approval")
    told = Told(talking)
    stage = stage_in(talking, server, signed_in)
    stage.begin()
    pending = Held(stage.page, f"**/api/approvals/{approval}", most=1)
    told.tell("approval", approval=approval)
    pending.wait()
    written.page.get_by_role("button", name="Refuse").click()
    expect(written.page.get_by_text(re.compile("^Refused"))).to_be_visible()
    told.tell("approval", approval=approval)
    card = stage.page.locator("#asking .card")
    expect(card).to_contain_text("Refused")
    pending.let_go()
    expect(card).to_contain_text("Refused")
    stage.end()


def test_what_is_chosen_before_the_choices_are_known_forgets_none_of_the_others(stage: Stage) -> None:
    language = stage.page.locator("[name=language]")
    english = language.locator("option", has_text="English").first.get_attribute("value")
    assert english
    language.select_option(english)
    offered = Held(stage.page, "**/api/voice/options", most=1)
    stage.page.reload()
    offered.wait()
    stage.page.locator(".mode").get_by_text("Hold to talk").click()
    stage.page.reload()
    expect(language).to_have_value(english)
    expect(stage.page.locator(".mode input[value=hold]")).to_be_checked()
