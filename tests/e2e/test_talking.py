"""Spoken conversations in a real browser, over this program alone: a question is heard, answered aloud, interrupted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import soxr
from playwright.sync_api import Browser, Route, StorageState, expect

from antiphon.voice.speaking import next_piece, speakable
from tests.e2e import ears, mouth
from tests.e2e.chat import Watch
from tests.e2e.conftest import sign_in
from tests.e2e.server import Server
from tests.e2e.stage import Stage, close, open_stage, transcript
from tests.e2e.utterances import RATE, silence, spoken

TIME_IN_TOKYO, WHAT_CAN_YOU_DO = "What time is it in Tokyo?", "What can you do?"
STOP_MS = 500
SLOW_MS = 2500
"""How long a page waits for its token: longer than the question takes."""
CRACKLE_BLOCKS = 2
"""What a decoder may make up for sound that does not come any more."""


@pytest.fixture(scope="module")
def talking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("talking"))
    server.start()
    with server.client() as client:  # the first session waits for the engines to be loaded
        session = client.post("/session", json={"room": "first", "identity": "Ada"}).raise_for_status().json()
        client.delete(f"/session/{session['session_id']}").raise_for_status()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def talking_state(browser: Browser, talking_server: Server) -> StorageState:
    return sign_in(browser, talking_server)


@pytest.fixture(scope="module")
def client(talking_server: Server) -> Iterator[httpx.Client]:
    with talking_server.client() as client:
        yield client


def test_a_question_is_heard_written_down_and_answered_aloud(
    browser_that_says: Callable[..., Browser],
    talking_server: Server,
    talking_state: StorageState,
    watch: Watch,
    client: httpx.Client,
) -> None:
    # Played from the moment the microphone is open, which is before the session is there.
    browser = browser_that_says(silence(1.5), spoken(TIME_IN_TOKYO), silence(120))
    stage = open_stage(browser, talking_server, talking_state, watch)
    session = stage.begin()
    expect(stage.state).to_have_text("Listening")
    expect(stage.page.locator("#words li[data-interim]").first).to_be_visible()
    stage.final(stage.said, "what time is it in tokyo")
    answer = stage.final(stage.answers, r"\d\d:\d\d|o'clock|Tokyo")
    stage.loud(0.8)
    (first, *_) = stage.heard("out").stretches()
    assert first[1] - first[0] > 800
    expect(stage.page.locator("#latency .lap")).to_have_count(1)
    expect(stage.page.locator("#words .reply small")).to_contain_text("clock.now")
    stored = transcript(client, session)
    assert [one["role"] for one in stored] == ["user", "agent"]
    assert "tokyo" in stored[0]["text"].lower()
    assert stored[1]["text"].replace("*", "") in answer.inner_text()
    stage.end()
    assert client.delete(f"/session/{session}").json() == {"stopped": True}
    look_back_and_delete(stage, session)
    assert client.get(f"/transcripts/{session}").status_code == 404
    close(stage)


def test_what_is_said_before_the_connection_is_there_is_heard_unless_a_key_has_to_be_held(
    browser_that_beeps: Browser, talking_server: Server, talking_state: StorageState, watch: Watch, client: httpx.Client
) -> None:
    stage = open_stage(browser_that_beeps, talking_server, talking_state, watch, before=mouth.SCRIPT)

    def slowly(route: Route) -> None:
        mouth.say(stage.page, spoken(TIME_IN_TOKYO))
        stage.page.wait_for_timeout(SLOW_MS)
        route.continue_()

    stage.page.route("**/api/voice/token*", slowly)
    session = stage.begin()
    stage.final(stage.said, "what time is it in tokyo")
    stage.final(stage.answers, r"\d\d:\d\d|o'clock")
    stage.end()
    assert [one["role"] for one in transcript(client, session)] == ["user", "agent"]
    stage.page.locator(".mode").get_by_text("Hold to talk").click()
    silent = stage.begin()
    stage.page.wait_for_timeout(1000)
    stage.end()
    assert transcript(client, silent) == []
    close(stage)


def look_back_and_delete(stage: Stage, session: str) -> None:
    """The session among those of the past, with its words and times, until it is deleted."""
    page = stage.page
    page.get_by_role("link", name="Past sessions").click()
    page.get_by_role("link", name="Room talk").first.click()
    page.wait_for_url(f"**/voice/past/{session}")
    expect(stage.said).to_contain_text("what time is it in tokyo")
    expect(page.locator("#latency .lap")).to_have_count(1)
    page.get_by_role("button", name="Delete this session").click()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/voice/past")
    expect(page.locator(f"a[href$='{session}']")).to_have_count(0)


def test_who_speaks_interrupts_and_what_was_not_heard_is_not_stored_and_nothing_is_left_behind(
    browser_that_says: Callable[..., Browser],
    talking_server: Server,
    talking_state: StorageState,
    watch: Watch,
    client: httpx.Client,
) -> None:
    # The answer is long, so that the question, which the microphone plays again and again, interrupts it.
    browser = browser_that_says(silence(1.5), spoken(WHAT_CAN_YOU_DO), silence(5))
    stage = open_stage(browser, talking_server, talking_state, watch)
    session = stage.begin()
    cut = stage.page.locator("#words .reply:has(small)")
    expect(cut.first).to_contain_text("interrupted", timeout=40_000)
    heard = stage.heard("out").seconds
    check_interruption(stage)
    stage.end()
    (interrupted, *_) = [one for one in transcript(client, session) if one["interrupted"]]
    assert interrupted["unheard"]
    check_words(interrupted["text"], heard)
    before = talking_server.resources()
    for _ in range(3):
        stage.begin()
        stage.end()
    stage.wait("everything to be freed", lambda: talking_server.resources() <= before)
    close(stage)
    figures = client.get("/metrics").text
    assert re.search(r"^antiphon_voice_sessions\{[^}]*\} 0\.0$", figures, re.MULTILINE)


def check_interruption(stage: Stage) -> None:
    """The answer's sound ends within the time allowed after the person begins to speak again."""
    answer = stage.heard("out").loud
    onset = next(begin for begin, _ in stage.heard("mic").stretches() if begin > answer[0])
    deadline = onset + STOP_MS
    assert answer[answer < deadline].max() > onset - 200, "the answer was over by itself"
    late_blocks = answer[(answer >= deadline) & (answer < onset + 1000)]
    assert len(late_blocks) <= CRACKLE_BLOCKS, "the answer goes on"


def check_words(text: str, seconds: float) -> None:
    """What is stored holds as much sound as was heard, give or take a word or two."""
    assert ears.loud_seconds(spoken(speakable(text)), RATE) == pytest.approx(seconds, rel=0.2, abs=0.6)


def test_three_rooms_at_once_hear_only_their_own_answers(
    browser_that_beeps: Browser,
    talking_server: Server,
    talking_state: StorageState,
    watch: Watch,
    client: httpx.Client,
) -> None:
    stages: list[Stage] = []
    for room in ("red", "green", "blue"):
        stage = open_stage(browser_that_beeps, talking_server, talking_state, watch, before=mouth.SCRIPT)
        stage.choose(room=room, identity=room)
        stage.begin()
        stages.append(stage)
    asked = ((WHAT_CAN_YOU_DO, "what can you do"), (TIME_IN_TOKYO, "tokyo"), ("What is the date?", "date"))
    for stage, (question, words) in zip(stages, asked, strict=True):
        mouth.say(stage.page, spoken(question))
        stage.final(stage.said, words)
    for stage in stages:
        stage.loud(1.0)
    for stage in stages:
        stage.end()
    answers = [transcript(client, stage.session) for stage in stages]
    assert [(len(said), said[0]["speaker"]) for said in answers] == [(2, "red"), (2, "green"), (2, "blue")]
    beginnings = [spoken(speakable(first_piece(said[1])))[:RATE] for said in answers]
    for number, stage in enumerate(stages):
        heard, rate = ears.sound(stage.page)
        alike = [ears.likeness(heard, soxr.resample(beginning, RATE, rate)) for beginning in beginnings]
        assert alike.index(max(alike)) == number, alike
        close(stage)


def first_piece(said: dict[str, Any]) -> str:
    """What was spoken in one breath at the beginning of an answer, whether it was heard to the end or not."""
    between = "" if said["unheard"][:1] in tuple(".,:;!?") else " "
    text = said["text"] + between + said["unheard"]
    return text[: next_piece(text, first=True, complete=True)]
