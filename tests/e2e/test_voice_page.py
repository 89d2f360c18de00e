"""What the voice page shows while somebody talks: states, words, who is heard, and that it can be used by keyboard.

Long conversations are told to the page over its own socket, beside what the real server says: minutes of speech would
be needed otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Route,
    StorageState,
    ViewportSize,
    WebSocketRoute,
    expect,
)

from tests.e2e.accessibility import serious_findings
from tests.e2e.chat import Watch
from tests.e2e.conftest import WAIT_MS
from tests.e2e.server import Server
from tests.e2e.stage import CLOSING, Stage, load_engines, stage_in

LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitänsmütze" * 4
PHONE: ViewportSize = {"width": 390, "height": 844}


class Told:
    """The transcript sockets of a browser's pages; what is told here comes beside what the server tells."""

    def __init__(self, context: BrowserContext) -> None:
        self._sockets: list[WebSocketRoute] = []
        context.route_web_socket(lambda url: "/ws/transcript/" in url, self._through)

    def _through(self, socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        self._sockets.append(socket)

    def tell(self, kind: str, **event: Any) -> None:
        self._sockets[-1].send(json.dumps({"type": kind, **event}))

    def say(self, segment: int, role: str, text: str, *, final: bool = True, **more: Any) -> None:
        told = {"segment": segment, "role": role, "speaker": "Ada", "text": text, "final": final, **more}
        self.tell("transcript", **told)

    def talk(self, count: int, begin: int = 1) -> None:
        """So many questions and answers."""
        for number in range(begin, begin + 2 * count, 2):
            self.say(number, "user", f"question {number}")
            self.say(number + 1, "agent", f"answer {number + 1}, which is as long as answers are " * 4)


@pytest.fixture(scope="module", autouse=True)
def engines(server: Server) -> None:
    load_engines(server)


@pytest.fixture
def told(talking: BrowserContext, watch: Watch) -> Told:
    watch.allow(CLOSING)
    return Told(talking)


@pytest.fixture
def stage(talking: BrowserContext, told: Told, server: Server, signed_in: StorageState) -> Iterator[Stage]:
    """The page before a session."""
    stage = stage_in(talking, server, signed_in)
    yield stage
    if stage.page.locator("#end").is_visible():
        stage.end()


def end_of(page: Page) -> int:
    """How many pixels of the words are below what is in sight."""
    return page.locator("#said").evaluate("view => view.scrollHeight - view.scrollTop - view.clientHeight")


def scroll_to(page: Page, top: int) -> None:
    """As a person does, who is not faster than the next frame."""
    page.locator("#said").evaluate(
        "(view, top) => { view.scrollTo(0, top); return new Promise(requestAnimationFrame); }", top
    )


def test_an_answer_that_nobody_heard_has_no_time_to_its_first_sound(stage: Stage, told: Told) -> None:
    stage.begin()
    told.tell("latency", turn=1, speech_end=0.3, transcript=0.2, endpoint=0, first_token=0.1, first_audio=0.1)
    told.tell("latency", turn=2, speech_end=0.3, transcript=0.2, endpoint=0, first_token=None, first_audio=None)
    laps = stage.page.locator("#latency .lap")
    expect(laps).to_have_count(2)
    expect(laps.first).to_have_text("turn 2unheard")
    expect(laps.first).to_have_attribute(
        "aria-label", "Turn 2: it was not heard (end of speech 300 ms, transcript 200 ms)"
    )
    expect(laps.last).to_have_text("turn 1700 ms")


def test_the_newest_words_stay_in_sight_unless_somebody_reads_above(stage: Stage, told: Told) -> None:
    stage.begin()
    told.talk(8)
    expect(stage.answers).to_have_count(8)
    expect(stage.answers.last).to_be_in_viewport()
    told.say(16, "agent", "and it grows, line by line " * 30, final=False)
    expect(stage.answers.last).to_have_attribute("data-interim", "")
    assert end_of(stage.page) < 2
    told.tell("latency", turn=1, speech_end=0.2, transcript=0.1, endpoint=0, first_token=0.2, first_audio=0.1)
    expect(stage.page.locator("#latency .lap")).to_be_in_viewport()
    stage.wait("the words to make room", lambda: end_of(stage.page) < 2)
    scroll_to(stage.page, 0)
    told.talk(1, 17)
    expect(stage.answers).to_have_count(9)
    expect(stage.said.first).to_be_in_viewport()
    stage.page.set_viewport_size(PHONE)
    scroll_to(stage.page, 1_000_000)
    told.talk(1, 19)
    expect(stage.answers).to_have_count(10)
    expect(stage.page.locator("#words")).to_contain_text("question 19")
    assert end_of(stage.page) < 2
    expect(stage.page.locator("#end")).to_be_in_viewport()


def test_words_stand_in_the_order_they_were_spoken_and_as_they_are_written(stage: Stage, told: Told) -> None:
    stage.begin()
    told.say(1, "user", "first")
    told.say(3, "user", "third")
    told.say(2, "agent", "**Set** `SOME_NAME=a*b` to 2 * 3", interrupted=True, unheard="? Or not", heard_seconds=0.5)
    expect(stage.page.locator("#words li p")).to_have_text(
        ["first", re.compile(r"^Set SOME_NAME=a\*b to 2 \* 3\? Or notinterrupted after 500 ms"), "third"]
    )
    told.say(4, "user", "not yet fi", final=False)
    expect(stage.page.locator("#words li[aria-hidden=true] .interim")).to_have_text("not yet fi")
    told.say(4, "user", "")  # it was no speech after all
    expect(stage.page.locator("#words li")).to_have_count(3)
    told.say(5, "agent", LONG_WORD, speaker="")
    told.say(6, "user", "me", speaker="Maximiliane-Wilhelmina-Konstantinopolitanska the Third")
    expect(stage.page.locator("#words li")).to_have_count(5)
    for width in (1280, 390):
        stage.page.set_viewport_size({"width": width, "height": 844})
        assert stage.page.evaluate("document.documentElement.scrollWidth") <= width
        assert stage.page.locator("#said").evaluate("view => view.scrollWidth <= view.clientWidth")
        box = stage.page.locator("#words li").last.bounding_box()
        assert box is not None
        assert box["height"] < 70


def test_who_is_heard_stands_out_until_they_are_silent(stage: Stage, told: Told) -> None:
    stage.begin()
    speaks = stage.page.locator(".levels [data-speaks]")
    told.tell("speech", who="agent", state="started")
    told.tell("speech", who="user", state="started")
    expect(speaks).to_have_text(["You", "Antiphon"])
    told.tell("speech", who="user", state="stopped")
    expect(speaks).to_have_text("Antiphon")
    stage.end()
    expect(speaks).to_have_count(0)


def test_starting_takes_its_time_and_says_so_and_keys_go_on_where_they_were(stage: Stage) -> None:
    page = stage.page
    waiting: list[Route] = []
    page.route("**/api/voice/token*", lambda route: waiting.append(route), times=1)
    stage.choose(room="", identity="")
    page.locator("#begin").focus()
    page.keyboard.press("Enter")
    expect(stage.state).to_have_text("Starting")
    expect(page.get_by_role("button", name="Starting")).to_be_disabled()
    page.keyboard.press("Enter")  # once is enough
    stage.wait("the page to ask", lambda: bool(waiting))
    waiting[0].continue_()
    expect(stage.connection).to_have_text("connected")
    expect(page.locator("#subtitle")).to_contain_text("Room talk")
    expect(page.locator("#mute")).to_be_focused()
    stage.choose(room="elsewhere")
    page.wait_for_timeout(1100)
    expect(page.locator("#subtitle")).to_contain_text("Room talk")  # where the session is, not the next one
    page.locator("#end").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start talking")).to_be_focused()


def test_mute_is_seen_also_under_the_mouse(stage: Stage) -> None:
    stage.begin()
    mute = stage.page.locator("#mute")
    look = "button => [getComputedStyle(button).backgroundColor, button.querySelector('use').getAttribute('href')]"
    stage.page.emulate_media(reduced_motion="reduce")
    expect(mute.locator("use")).to_have_attribute("href", "#i-microphone")
    mute.click()
    expect(stage.page.locator("#hint")).to_have_text("Your microphone is off.")
    expect(mute.locator("use")).to_have_attribute("href", "#i-muted")
    under = mute.evaluate(look)
    stage.page.mouse.move(0, 0)
    assert mute.evaluate(look) == under
    stage.page.keyboard.press("m")
    expect(mute).to_have_attribute("aria-pressed", "false")


def test_hold_to_talk_says_how_and_takes_the_space_bar_anywhere(stage: Stage) -> None:
    page, hint = stage.page, stage.page.locator("#hint")
    page.locator(".mode").get_by_text("Hold to talk").click()
    stage.begin()
    hold = page.locator("#hold")
    expect(hint).to_contain_text("Hold the button, or the space bar")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.down(" ")
    expect(hold).to_have_attribute("aria-pressed", "true")
    expect(hint).to_have_text("Let go when you are done.")
    page.keyboard.up(" ")
    expect(hold).to_have_attribute("aria-pressed", "false")
    hold.focus()
    page.keyboard.down("Enter")
    expect(hold).to_have_attribute("aria-pressed", "true")
    page.keyboard.up("Enter")
    expect(hold).to_have_attribute("aria-pressed", "false")


def test_settings_on_a_phone_are_a_sheet_for_keys_too(stage: Stage) -> None:
    page = stage.page
    page.set_viewport_size(PHONE)
    page.locator("#to-options").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#options")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("[name=room]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#options")).to_be_hidden()
    expect(page.locator("#to-options")).to_be_focused()


def test_a_language_that_nobody_here_understands_is_refused_before_anybody_speaks(stage: Stage, server: Server) -> None:
    options = stage.page.locator("[name=language] option")
    expect(options.filter(has_text="English")).to_be_enabled()
    expect(options.filter(has_text="Italiano (no engine here knows it)")).to_be_disabled()
    with server.client() as client:
        answer = client.post("/session", json={"room": "talk", "identity": "Ada", "language": "it"})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "No engine here understands it" in answer.json()["error"]["message"]


def test_what_is_lost_for_long_is_said_and_what_is_back_listens_again(
    talking: BrowserContext, server: Server, signed_in: StorageState, watch: Watch
) -> None:
    watch.allow(CLOSING)
    sockets: list[WebSocketRoute] = []
    away: list[bool] = []

    def through(socket: WebSocketRoute) -> None:
        if away:
            socket.close(code=1012)
            return
        socket.connect_to_server()
        sockets.append(socket)

    talking.route_web_socket(lambda url: "/ws/voice/" in url, through)
    stage = stage_in(talking, server, signed_in)
    stage.begin()
    away.append(True)
    sockets[0].close(code=1012)
    expect(stage.notice).to_contain_text("The connection dropped")
    expect(stage.state).to_have_text("In trouble")
    expect(stage.page.locator("#hint")).to_have_text("Nobody hears you until the connection is back.")
    away.clear()
    expect(stage.connection).to_have_text("connected")
    expect(stage.notice).to_be_empty()
    expect(stage.state).to_have_text("Listening")
    stage.end()


def test_a_session_that_ends_by_itself_says_why_and_where_its_words_are(stage: Stage, server: Server) -> None:
    session = stage.begin()
    stage.page.locator("#end").focus()
    with server.client() as client:
        client.delete(f"/session/{session}").raise_for_status()
    expect(stage.notice).to_contain_text("It was ended from elsewhere.")
    expect(stage.notice.get_by_role("link", name="read it")).to_have_attribute("href", f"/voice/past/{session}")
    expect(stage.page.get_by_role("button", name="Start talking")).to_be_focused()


@pytest.mark.parametrize("look", ["dark", "phone"])
def test_every_state_is_accessible(
    browser_that_beeps: Browser, server: Server, signed_in: StorageState, watch: Watch, look: str
) -> None:
    context = browser_that_beeps.new_context(
        color_scheme="dark" if look == "dark" else "light",
        permissions=["microphone"],
        reduced_motion="reduce",
    )
    context.set_default_timeout(WAIT_MS)
    context.on("page", watch.page)
    watch.allow(CLOSING)
    told = Told(context)
    stage = stage_in(context, server, signed_in)
    if look == "phone":
        stage.page.set_viewport_size(PHONE)
    check(stage, "Resting")
    session = stage.begin()
    told.talk(2)
    told.say(5, "user", "and then", final=False)
    told.tell("latency", turn=1, speech_end=0.2, transcript=0.1, endpoint=0, first_token=0.2, first_audio=0.1)
    for state, word in (("thinking", "Thinking"), ("speaking", "Speaking"), ("waiting", "Waiting for you")):
        told.tell("state", state=state)
        expect(stage.state).to_have_text(word)
    stage.page.locator("#mute").click()
    check(stage, "Waiting for you")
    with server.client() as client:
        client.delete(f"/session/{session}").raise_for_status()
    expect(stage.notice).to_contain_text("The session has ended")
    check(stage, "Resting")
    context.close()


def check(stage: Stage, state: str) -> None:
    expect(stage.state).to_have_text(state)
    assert serious_findings(stage.page) == []
    assert stage.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
