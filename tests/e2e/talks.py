"""Conversations on the voice page that go the same way over every transport, and what must be true of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import soxr
from playwright.sync_api import Route, expect

from antiphon.voice.speaking import next_piece, speakable
from tests.e2e import ears, mouth
from tests.e2e.stage import Stage, close, transcript
from tests.e2e.utterances import RATE, spoken

TIME_IN_TOKYO, WHAT_CAN_YOU_DO = "What time is it in Tokyo?", "What can you do?"
STOP_MS = 500
SLOW_MS = 2500
"""How long a page waits for its token: longer than the question takes."""
SESSIONS = 5
CRACKLE_BLOCKS = 2
"""What a decoder may make up for sound that does not come any more."""


def said_before_the_connection(stage: Stage, client: httpx.Client) -> None:
    """A question that is over before the page may connect is heard and answered. The page's microphone is a `mouth`."""

    def slowly(route: Route) -> None:
        mouth.say(stage.page, spoken(TIME_IN_TOKYO))
        stage.page.wait_for_timeout(SLOW_MS)
        route.continue_()

    stage.page.route("**/api/voice/token*", slowly)
    session = stage.begin()
    stage.page.unroute("**/api/voice/token*")
    stage.final(stage.said, "what time is it in tokyo")
    stage.final(stage.answers, r"\d\d:\d\d|o'clock")
    stage.end()
    assert [one["role"] for one in transcript(client, session)] == ["user", "agent"]


def interrupted_answer(stage: Stage, client: httpx.Client) -> None:
    """The microphone plays a question again and again. Its answer is so long that the next time interrupts it: the page
    falls silent in time, and stored is what it played."""
    stage.final(stage.said, "what can you do")
    cut = stage.page.locator("#words .reply:has(small)")
    expect(cut.first).to_contain_text("interrupted", timeout=40_000)
    heard = stage.heard("out").seconds
    _silent_in_time(stage, client)
    stage.end()
    (interrupted, *_) = [one for one in transcript(client, stage.session) if one["interrupted"]]
    assert interrupted["unheard"]
    # As much sound as was heard, give or take a word or two.
    said = ears.loud_seconds(spoken(speakable(interrupted["text"])), RATE)
    assert said == pytest.approx(heard, rel=0.2, abs=0.6)


def _silent_in_time(stage: Stage, client: httpx.Client) -> None:
    """The answer's sound ends within the time allowed after the person begins to speak again."""
    answer, questions = stage.heard("out").loud, stage.heard("mic").stretches()
    again = [begin for begin, _ in questions if begin > answer[0]]
    assert again, ("nobody interrupted", questions, answer[0], answer[-1], transcript(client, stage.session))
    onset = again[0]
    deadline = onset + STOP_MS
    assert answer[answer < deadline].max() > onset - 200, "the answer was over by itself"
    late_blocks = answer[(answer >= deadline) & (answer < onset + 1000)]
    assert len(late_blocks) <= CRACKLE_BLOCKS, f"the answer goes on until {late_blocks[-1] - onset:.0f} ms"


def nothing_is_left(stage: Stage, client: httpx.Client) -> None:
    """Sessions that were ended leave no thread or socket in the server: what they share is made once, so that soon one
    leaves nothing more than there was. One that left something would do so each time."""
    for _ in range(SESSIONS):
        before = stage.server.resources()
        stage.begin()
        stage.end()
        if stage.comes(lambda before=before: _no_more(stage.server.resources(), before)):
            break
    else:
        raise AssertionError(f"each session leaves something: {before}, then {stage.server.resources()}")
    figures = client.get("/metrics").text
    sessions = re.findall(r"^antiphon_voice_sessions\{[^}]*\} (\S+)$", figures, re.MULTILINE)
    assert sessions
    assert not any(float(count) for count in sessions)


def _no_more(now: tuple[int, int], before: tuple[int, int]) -> bool:
    return all(count <= then for count, then in zip(now, before, strict=True))


def three_rooms(another: Callable[[], Stage], client: httpx.Client) -> None:
    """Three pages with a `mouth` each, in three rooms at once, hear only their own answers."""
    stages: list[Stage] = []
    for room in ("red", "green", "blue"):
        stage = another()
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
    beginnings = [spoken(speakable(_first_piece(said[1])))[: 2 * RATE] for said in answers]
    for number, stage in enumerate(stages):
        heard, rate = ears.sound(stage.page)
        alike = [ears.likeness(heard, soxr.resample(beginning, RATE, rate), rate) for beginning in beginnings]
        assert alike.index(max(alike)) == number, alike
        close(stage)


def _first_piece(said: dict[str, Any]) -> str:
    """What was spoken in one breath at the beginning of an answer, whether it was heard to the end or not."""
    between = "" if said["unheard"][:1] in tuple(".,:;!?") else " "
    text = said["text"] + between + said["unheard"]
    return text[: next_piece(text, first=True, complete=True)]
