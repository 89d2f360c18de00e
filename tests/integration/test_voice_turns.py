"""Whole spoken sessions in real time: real speech and turn taking; engines and brain are told what to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from antiphon.config import Settings
from antiphon.config.speech import SpeechSettings
from antiphon.config.voice import VoiceSettings
from antiphon.domain.errors import ChannelBusy, ModelError, NotFound, SpeechError, StoreUnavailable, Unavailable
from antiphon.domain.events import turn_topic
from antiphon.domain.turns import Final, TextDelta, ToolStarted, TurnRequest
from antiphon.domain.voice import EndReason
from antiphon.domain.work import TaskState
from antiphon.run.clock import SystemClock
from antiphon.voice import engine_ends, listening
from antiphon.voice.service import Wish
from antiphon.voice.transports.transport import RATE
from tests.fakes.brain import ScriptedBrain, Step
from tests.fakes.speech import FakeListener, FakeSpeaker
from tests.fakes.voice import ANSWER, PERSON, Ear, Heard, Voices, an_approval, answers, asks, tone
from tests.fixtures_voice import Speak

LONG = "It is noon and the sun is shining over the whole of the old town today. Later there will be some rain."
QUESTION = "what time"
SOUND = "yes"
"""Said where it does not matter what: the recogniser is told what to understand."""
OTHER = "stop it now"


@dataclass
class Talk:
    """One session with everything around it."""

    voices: Voices
    session: Any
    ear: Ear
    heard: Heard
    brain: ScriptedBrain

    @property
    def key(self) -> str:
        return self.session.row.key

    async def until(self, what: Any, seconds: float = 8.0) -> None:
        """Wait, silent, until something is so; the microphone goes on."""
        async with asyncio.timeout(seconds):
            while not what():
                await self.ear.silence(0.06)


@asynccontextmanager
async def talking(
    tmp_path: Path,
    brain: ScriptedBrain | None = None,
    *,
    says: Sequence[str] = (QUESTION,),
    stt: FakeListener | None = None,
    tts: FakeSpeaker | None = None,
    language: str = "en",
    **voice: Any,
) -> AsyncIterator[Talk]:
    before = asyncio.all_tasks()
    settings = Settings(data_dir=tmp_path, voice=VoiceSettings(**voice), speech=SpeechSettings(language=language))
    brain = brain or answers()
    voices = Voices(settings, SystemClock(), brain, stt or FakeListener(says=says), tts or FakeSpeaker())
    session, ear, heard = await voices.talk()
    talk = Talk(voices, session, ear, heard, brain)
    try:
        await ear.silence(0.2)
        yield talk
    finally:
        await voices.service.aclose()
        await heard.aclose()
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert left == set(), "the session left tasks behind"
    assert ear.closed.is_set()


async def test_a_question_is_heard_answered_aloud_and_kept(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path) as talk:
        end = await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.voices.live.finished)
        assert talk.ear.first_sound[0] - end < 1.0 + 3 * talk.ear.late
        assert len(talk.ear.heard) // 2 >= round(len(ANSWER.split()) * 0.1 * RATE)
        (outcome,) = talk.voices.live.finished
        assert (outcome.text.strip(), outcome.interrupted, outcome.state) == (ANSWER, False, TaskState.DONE)
        assert [message.text for message in talk.voices.live.begun] == [QUESTION]
        await talk.until(lambda: len(talk.voices.store.kept[talk.key]) == 2)
        said = [
            (one.author.value, one.text.strip(), one.interrupted)
            for one in await talk.voices.store.segments(talk.key, 0)
        ]
        assert said == [("person", QUESTION, False), ("agent", ANSWER, False)]
        interim = [one for one in talk.heard.named("transcript") if not one["final"]]
        assert {one["role"] for one in interim} == {"user", "agent"}
        states = [one["state"] for one in talk.heard.named("state")]
        assert states[-3:] == ["thinking", "speaking", "listening"]
        assert [one["who"] for one in talk.heard.named("speech")] == ["user", "user", "agent", "agent"]
        (times,) = talk.voices.store.turns[talk.key].values()
        assert times.speech_end == pytest.approx(0.3, abs=0.05)
        assert times.first_audio is not None
        assert sum(part or 0 for part in times.parts.values()) < 1.0 + 3 * talk.ear.late
        ids = [int(str(one["id"])) for one in talk.heard.named("transcript")]
        assert ids == sorted(ids)
        assert ids[-1] == 2


async def test_an_interruption_silences_it_and_the_rest_was_never_said(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path, answers(LONG), says=[QUESTION, OTHER]) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.ear.first_sound)
        await talk.ear.silence(0.5)
        began, late = asyncio.get_running_loop().time(), talk.ear.late
        await talk.ear.say(speech_of(OTHER))
        assert talk.ear.cleared[0] - began < 0.5 + 3 * (talk.ear.late - late)
        await talk.until(lambda: talk.voices.live.finished)
        outcome = talk.voices.live.finished[0]
        assert outcome.interrupted
        assert 3 <= len(outcome.text.split()) < 14
        assert LONG.startswith(outcome.text)
        (event,) = talk.heard.named("interrupted")
        assert f"{event['text']} {event['unheard']}".split() == LONG.split()
        await talk.until(lambda: len(talk.voices.live.begun) == 2)
        # The answer to the interruption knows what it interrupted, though that was not stored when it was prepared.
        known = next(request.unfinished for request in talk.brain.requests if request.text == OTHER)
        assert known is not None
        assert known.task == 1
        assert known.text.split() == outcome.text.split()[: len(known.text.split())]
        assert len(known.text.split()) >= len(outcome.text.split()) - 1
        assert talk.brain.requests[0].unfinished is None
        assert talk.voices.live.log[:3] == ["begin 1", "finish 1", "begin 2"]
        times = talk.voices.store.turns[talk.key]
        await talk.until(lambda: 1 in times)
        assert times[1].stop is not None
        assert times[1].stop < 0.5 + 3 * (talk.ear.late - late)


async def test_an_answer_that_went_on_before_the_words_came_was_silent_when_it_first_fell_silent(
    tmp_path: Path, speech_of: Speak
) -> None:
    listener = FakeListener(says=[QUESTION, OTHER])
    async with talking(tmp_path, answers(f"{LONG} {LONG} {LONG}"), stt=listener, resume_seconds=0.3) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.ear.first_sound)
        await talk.ear.silence(0.5)
        listener.behind, late = 2, talk.ear.late  # so that an interruption looks as if it had no words
        await talk.ear.say(speech_of(OTHER))
        await talk.until(lambda: talk.voices.live.finished)
        assert talk.voices.live.finished[0].interrupted
        assert len(talk.ear.cleared) >= 2, "it went on in between"
        times = talk.voices.store.turns[talk.key]
        await talk.until(lambda: 1 in times)
        assert times[1].stop is not None
        assert times[1].stop < 0.5 + 3 * (talk.ear.late - late)


async def test_a_noise_or_a_little_word_does_not_interrupt(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path, answers(LONG), says=[QUESTION, "mhm", ""], resume_seconds=0.4) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.ear.first_sound)
        await talk.ear.say(speech_of("yes yes okay"), then=0.6)  # understood as "mhm"
        await talk.until(lambda: talk.voices.live.finished)
        outcome = talk.voices.live.finished[0]
        assert (outcome.text.strip(), outcome.interrupted) == (LONG, False)
        assert "mhm" in talk.heard.final("user")
        assert len(talk.voices.live.begun) == 1
        assert len(talk.ear.heard) // 2 >= round(len(LONG.split()) * 0.1 * RATE)  # what was taken back was said again


async def test_an_interruption_without_words_is_forgiven(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path, answers(LONG), says=[QUESTION, ""], resume_seconds=0.4) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.ear.first_sound)
        await talk.ear.say(speech_of(OTHER))
        assert talk.ear.cleared
        await talk.until(lambda: talk.voices.live.finished)
        assert talk.voices.live.finished[0].text.strip() == LONG
        assert not talk.heard.named("interrupted")


async def test_a_tone_is_no_speech(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.ear.say(tone(0.6), then=0.5)
        assert talk.heard.events == []
        assert talk.voices.live.log == []


async def test_a_tool_waits_for_the_person_and_survives_an_interruption(tmp_path: Path, speech_of: Speak) -> None:
    started, ended = asyncio.Event(), asyncio.Event()
    seen: list[Any] = []

    async def tool(request: TurnRequest) -> None:
        assert request.commit is not None, "the turn was prepared before the person was surely done"
        seen.append(await request.commit())

        async def run() -> None:
            started.set()
            await asyncio.sleep(0.8)
            ended.set()

        request.meter.requests.append({"run": asyncio.create_task(run())})  # like the executor: a task of its own

    def script(request: TurnRequest) -> list[Step]:
        if request.text != QUESTION:
            return [Final("All right.")]
        return [tool, ToolStarted(5, "clock.now", "looks"), asyncio.Event()]

    async with talking(tmp_path, ScriptedBrain(script), says=[QUESTION, OTHER]) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(started.is_set)
        assert seen == [1]
        await talk.ear.say(speech_of(OTHER))
        await talk.until(lambda: talk.voices.live.finished)
        assert talk.voices.live.finished[0].interrupted
        await talk.until(ended.is_set)
        (event, *_) = talk.heard.named("tool")
        assert (event["tool"], event["status"], event["execution"]) == ("clock.now", "running", "5")


async def test_what_was_prepared_in_vain_leaves_no_trace(tmp_path: Path, speech_of: Speak) -> None:
    """Two utterances with a pause that is too short to be an end: the first answer is thrown away."""
    async with talking(tmp_path, says=["what time", "is it in Paris"], endpoint_seconds=1.0) as talk:
        await talk.ear.say(speech_of("what time"), then=0.45)
        await talk.ear.say(speech_of("is it"))
        await talk.until(lambda: talk.voices.live.finished)
        assert [request.text for request in talk.brain.requests] == ["what time", "what time is it in Paris"]
        assert [message.text for message in talk.voices.live.begun] == ["what time is it in Paris"]
        assert talk.voices.live.log == ["begin 1", "finish 1"]


async def asked(talk: Talk, speech_of: Speak) -> None:
    """The agent has put its question."""
    approval = an_approval()
    talk.voices.live.approvals = [approval]
    talk.voices.approvals.known = {approval.id: approval}
    await talk.ear.say(speech_of(SOUND))
    await talk.until(lambda: [one for one in talk.heard.named("state") if one["state"] == "waiting"])


async def test_an_approval_is_asked_aloud_and_answered_aloud(tmp_path: Path, speech_of: Speak) -> None:
    tts = FakeSpeaker()
    async with talking(tmp_path, ScriptedBrain(asks), says=["forget me", "yes"], tts=tts) as talk:
        await asked(talk, speech_of)
        assert talk.voices.live.log == ["begin 1", "pause 1"]
        question = " ".join(tts.spoken)
        assert "Forget everything about you" in question
        (event,) = talk.heard.named("approval")
        assert (event["approval"], event["summary"]) == ("9", "Forget everything about you")
        await talk.ear.say(speech_of("yes"))
        await talk.until(lambda: talk.voices.approvals.decided)
        assert talk.voices.approvals.decided == [(9, PERSON, True)]
        await talk.until(lambda: any("I go on" in text for text in talk.heard.final("agent")))
        assert talk.voices.live.log == ["begin 1", "pause 1"]  # the yes itself is no turn
        before = len(talk.ear.heard)
        reply = {"task": "1", "turn": "1.2", "attempt": 2, "reply": "4", "message": "8", "kind": "answer"}
        await talk.voices.bus.publish(
            turn_topic("web:voice:r1"), "reply", {**reply, "text": "Everything is forgotten."}
        )
        await talk.until(lambda: "Everything is forgotten." in talk.heard.final("agent"))
        assert len(talk.ear.heard) > before


async def test_where_german_is_spoken_the_question_is_german_and_so_is_the_yes(
    tmp_path: Path, speech_of: Speak
) -> None:
    says = ["vergiss mich", "ja was denn", "ja, mach das"]
    async with talking(tmp_path, ScriptedBrain(asks), says=says, language="de") as talk:
        await asked(talk, speech_of)
        assert "Sag ja oder nein" in talk.heard.final("agent")[-1]
        await talk.ear.say(speech_of("yes"))  # a question is no yes: it is asked again
        await talk.until(lambda: len(talk.heard.final("agent")) == 2 and talk.session.state == "waiting")
        assert talk.voices.approvals.decided == []
        await talk.ear.say(speech_of("yes"))
        await talk.until(lambda: talk.voices.approvals.decided)
        assert talk.voices.approvals.decided[0] == (9, PERSON, True)
        await talk.until(lambda: any("Ich mache weiter" in text for text in talk.heard.final("agent")))


async def test_a_no_refuses_and_a_stranger_cannot_agree(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path, ScriptedBrain(asks), says=["forget me", "yes", "no"]) as talk:
        talk.voices.approvals.forbidden = True
        await asked(talk, speech_of)
        await talk.ear.say(speech_of("yes"))
        await talk.until(lambda: any("not yours" in text for text in talk.heard.final("agent")))
        assert talk.voices.approvals.decided == []
        talk.voices.approvals.forbidden = False
        await talk.ear.say(speech_of("no no"))
        await talk.until(lambda: talk.voices.approvals.decided)
        assert talk.voices.approvals.decided == [(9, PERSON, False)]


async def test_a_yes_from_before_the_question_was_heard_agrees_to_nothing(tmp_path: Path, speech_of: Speak) -> None:
    long = "Forget everything about you and all that was ever said in this house and in all the other houses here"
    approval = replace(an_approval(), summary=long)
    async with talking(tmp_path, ScriptedBrain(asks), says=["forget me", "yes", "yes"]) as talk:
        talk.voices.live.approvals = [approval]
        talk.voices.approvals.known = {approval.id: approval}
        await talk.ear.say(speech_of(QUESTION))
        await talk.until(lambda: talk.ear.first_sound)
        await talk.ear.say(speech_of(OTHER))  # a yes into the first words of the question
        await talk.until(lambda: len([one for one in talk.heard.final("agent") if one.startswith("I need")]) == 2)
        assert talk.voices.approvals.decided == []
        await talk.until(lambda: talk.session.state == "waiting")
        await talk.ear.say(speech_of("yes"))
        await talk.until(lambda: talk.voices.approvals.decided)
        assert talk.voices.approvals.decided == [(9, PERSON, True)]


async def test_a_yes_is_for_everything_that_was_named_last_and_for_nothing_else(
    tmp_path: Path, speech_of: Speak
) -> None:
    """Neither a question that was left unanswered, nor one before another answer, is agreed to in passing."""
    known = {9: an_approval(), 10: replace(an_approval(10), summary="Delete the photos")}

    def script(request: TurnRequest) -> list[Step]:
        return [TextDelta(ANSWER), Final(ANSWER)] if request.text == QUESTION else asks(request)

    says = ["forget me", "the photos too", QUESTION, "yes", "yes"]
    async with talking(tmp_path, ScriptedBrain(script), says=says) as talk:

        async def say(count: int) -> str:
            await talk.ear.say(speech_of(SOUND))
            await talk.until(lambda: len(talk.heard.final("agent")) == count and talk.session.state == "waiting")
            return talk.heard.final("agent")[-1]

        talk.voices.approvals.known = dict(known)
        talk.voices.live.approvals = [known[9]]
        assert "Forget everything" in await say(1)
        talk.voices.live.approvals = [known[10]]
        both = await say(2)
        assert "Forget everything about you; and Delete the photos" in both
        assert (await say(3)).strip() == ANSWER
        assert await say(4) == both
        assert talk.voices.approvals.decided == []
        await talk.ear.say(speech_of("yes"))
        await talk.until(lambda: len(talk.voices.approvals.decided) == 2)
        assert sorted(talk.voices.approvals.decided) == [(9, PERSON, True), (10, PERSON, True)]


async def test_a_yes_to_what_has_expired_is_a_word_like_any_other(tmp_path: Path, speech_of: Speak) -> None:
    brain = ScriptedBrain(lambda request: asks(request) if request.text == "forget me" else [Final(ANSWER)])
    async with talking(tmp_path, brain, says=["forget me", "yes"]) as talk:
        expired = replace(an_approval(), expires_at=datetime.now(UTC))
        talk.voices.live.approvals = [expired]
        talk.voices.approvals.known = {expired.id: expired}
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: any("I need your word" in text for text in talk.heard.final("agent")))
        assert talk.session.state == "listening"
        await talk.ear.say(speech_of("yes"))
        await talk.until(lambda: talk.voices.live.finished)
        assert [message.text for message in talk.voices.live.begun] == ["forget me", "yes"]
        assert talk.voices.approvals.decided == []


async def test_what_is_answered_elsewhere_is_not_asked_any_more(tmp_path: Path, speech_of: Speak) -> None:
    brain = ScriptedBrain(lambda request: asks(request) if request.text == "forget me" else [Final(ANSWER)])
    async with talking(tmp_path, brain, says=["forget me", "yes"]) as talk:
        await asked(talk, speech_of)
        decided = {"task": "1", "turn": "1.1", "attempt": 1, "approval": "9", "state": "approved"}
        await talk.voices.bus.publish(turn_topic("web:voice:r1"), "approval.decided", decided)
        await talk.until(lambda: talk.session.state == "listening")
        assert [event.get("state") for event in talk.heard.named("approval")] == [None, "approved"]
        await talk.ear.say(speech_of("yes"))
        await talk.until(lambda: talk.voices.live.finished)
        assert [message.text for message in talk.voices.live.begun] == ["forget me", "yes"]
        assert talk.voices.approvals.decided == []


async def test_a_tool_of_a_turn_that_cannot_be_stored_is_not_waited_for(tmp_path: Path, speech_of: Speak) -> None:
    ran: list[int] = []

    async def tool(request: TurnRequest) -> None:
        assert request.commit is not None
        ran.append(await request.commit())

    async with talking(tmp_path, ScriptedBrain(lambda _: [tool, Final(ANSWER)])) as talk:
        talk.voices.live.busy = [NotFound("The channel is gone.")]
        await talk.ear.say(speech_of(QUESTION))
        await talk.until(lambda: any("could not answer" in text for text in talk.heard.final("agent")))
        assert (ran, talk.voices.live.log) == ([], [])


async def test_who_comes_when_it_is_over_or_twice_at_once_is_not_left_there(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        first, second = Ear(), Ear()
        await asyncio.gather(talk.session.connect(first), talk.session.connect(second))
        assert (talk.ear.closed.is_set(), first.closed.is_set(), second.closed.is_set()) == (True, True, False)
        ending, late = talk.session.end(EndReason.STOPPED), Ear()
        await talk.session.connect(late)
        await ending
        assert late.closed.is_set()


async def test_whoever_goes_while_their_session_is_begun_leaves_nothing(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        service, store = talk.voices.service, talk.voices.store
        before = asyncio.all_tasks()
        gone = 0
        for steps in range(100):  # of the loop, until it is there before they go
            beginning = asyncio.create_task(service.start(PERSON, Wish(f"attic-{steps}", "Ada")))
            for _ in range(steps):
                await asyncio.sleep(0)
            beginning.cancel()
            try:
                session = await beginning
            except asyncio.CancelledError:
                gone += 1
            else:
                await service.stop(session.row.key, PERSON)
                break
        assert gone > 3
        await talk.until(lambda: service.talking == 1 and not (asyncio.all_tasks() - before))
        assert [row.room for row in store.sessions.values() if row.ended_at is None] == ["r1"]


async def test_a_session_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Any, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no engine")

    async with talking(tmp_path) as talk:
        before = asyncio.all_tasks()
        monkeypatch.setattr("livekit.agents.AgentSession.start", broken)
        with pytest.raises(RuntimeError, match="no engine"):
            await talk.voices.service.start(PERSON, Wish("attic", "Ada"))
        await talk.until(lambda: not (asyncio.all_tasks() - before))
        (row,) = (row for row in talk.voices.store.sessions.values() if row.room == "attic")
        assert row.reason is EndReason.FAILED


async def test_words_that_are_understood_while_it_ends_are_not_answered(
    tmp_path: Path, speech_of: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would hear that answer, and the end would wait for it to be spoken."""
    stt, brain = FakeListener(hangs=True), answers(LONG)
    async with talking(tmp_path, brain, stt=stt) as talk:

        async def understood_late(nodes: Any) -> None:
            stt.streams[0].understands(QUESTION)
            await asyncio.sleep(1.0)

        monkeypatch.setattr(engine_ends.Nodes, "on_exit", understood_late)
        await talk.ear.say(speech_of(SOUND), then=0.6)
        talk.ear.hang_up()
        await talk.voices.service.stop(talk.key, PERSON)
        assert talk.heard.named("ended"), "everything was freed in time"
        assert (brain.requests, talk.voices.live.begun) == ([], [])


async def test_two_at_once_in_a_room_leave_one(tmp_path: Path) -> None:
    async with talking(tmp_path, sessions=2) as talk:
        begun = await asyncio.gather(*(talk.voices.service.start(PERSON, Wish("r2", "ada")) for _ in range(2)))
        assert sorted(session.over.is_set() for session in begun) == [False, True]
        assert talk.voices.service.talking == 2
        more = await asyncio.gather(
            *(talk.voices.service.start(PERSON, Wish(room, "ada")) for room in ("r3", "r4")), return_exceptions=True
        )
        assert all(isinstance(one, Unavailable) for one in more)


async def test_a_recogniser_that_dies_is_told_and_replaced(tmp_path: Path, speech_of: Speak) -> None:
    stt = FakeListener(says=[QUESTION], fails_after=12_000)
    async with talking(tmp_path, stt=stt) as talk:
        await talk.ear.say(speech_of(SOUND), then=0.5)
        assert [one["code"] for one in talk.heard.named("error")] == ["speech_failed"]
        stt.fails_after = None
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.voices.live.finished)
        assert len(stt.streams) == 2
        assert stt.streams[0].closed


async def test_a_recogniser_that_hangs_is_told_and_replaced(
    tmp_path: Path, speech_of: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "FINAL_SECONDS", 0.4)
    stt = FakeListener(says=[QUESTION], hangs=True)
    async with talking(tmp_path, stt=stt) as talk:
        await talk.ear.say(speech_of(SOUND), then=1.0)
        assert [one["code"] for one in talk.heard.named("error")] == ["speech_timeout"]
        stt.hangs = False
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.voices.live.finished)


async def test_a_voice_that_dies_leaves_the_words(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path, tts=FakeSpeaker(fails_after=3)) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.voices.live.finished)
        assert [one["code"] for one in talk.heard.named("error")] == ["speech_failed"]
        outcome = talk.voices.live.finished[0]
        assert outcome.text == "It is noon"
        await talk.until(lambda: len(talk.voices.store.kept[talk.key]) == 2)
        answer = talk.voices.store.kept[talk.key][2]
        assert f"{answer.text} {answer.unheard}".split() == ANSWER.split()


async def test_a_model_that_fails_is_said_and_kept_as_failed(tmp_path: Path, speech_of: Speak) -> None:
    brain = ScriptedBrain(lambda _: [TextDelta("It is "), ModelError("The model is away.")])
    async with talking(tmp_path, brain) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.voices.live.finished)
        (outcome,) = talk.voices.live.finished
        assert outcome.failure is not None
        assert outcome.failure.code == "model_failed"
        assert outcome.text == "It is  I could not answer that just now. Please try again."
        assert [one["code"] for one in talk.heard.named("error")] == ["model_failed"]


async def test_a_busy_channel_and_a_database_that_is_away_are_waited_for(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path) as talk:
        talk.voices.live.busy = [ChannelBusy("busy"), StoreUnavailable("away")]
        talk.voices.store.broken = StoreUnavailable("away")
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.voices.live.finished)
        talk.voices.store.broken = None
        await talk.until(lambda: len(talk.voices.store.kept[talk.key]) == 2)
        assert talk.voices.live.log == ["begin 1", "finish 1"]


async def test_who_loses_the_connection_may_come_back(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path, answers(LONG), says=[QUESTION, OTHER]) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.ear.first_sound)
        await talk.ear.silence(0.3)
        talk.ear.hang_up()
        async with asyncio.timeout(3):
            while not talk.voices.live.finished:  # noqa: ASYNC110 - what is tested has no event for it
                await asyncio.sleep(0.02)
        assert talk.voices.live.finished[0].interrupted
        talk.ear = Ear()
        await talk.session.connect(talk.ear)
        await talk.ear.silence(0.2)
        await talk.ear.say(speech_of(OTHER))
        await talk.until(lambda: len(talk.voices.live.finished) == 2)
        assert talk.ear.energy > 0


async def test_who_stays_away_or_falls_silent_is_let_go(tmp_path: Path) -> None:
    async with talking(tmp_path, reconnect_seconds=1, idle_minutes=0.03) as talk:
        second, ear, heard = await talk.voices.talk("r2")
        ear.hang_up()
        async with asyncio.timeout(5):
            await second.over.wait()
            await talk.session.over.wait()
        reasons = {row.room: row.reason for row in talk.voices.store.sessions.values()}
        assert reasons == {"r1": EndReason.IDLE, "r2": EndReason.LEFT}
        assert heard.named("ended")[0]["reason"] == "left"
        await heard.aclose()


async def test_push_to_talk_ends_the_words_with_the_key(tmp_path: Path, speech_of: Speak) -> None:
    async with talking(tmp_path) as talk:
        talk.session.control({"type": "ptt", "down": True})
        await talk.ear.say(speech_of(SOUND))
        talk.session.control({"type": "ptt", "down": False})  # and nothing more is sent
        async with asyncio.timeout(5):
            while not talk.ear.first_sound:  # noqa: ASYNC110 - what is tested has no event for it
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert talk.voices.live.begun[0].text == QUESTION


async def test_rooms_belong_to_whoever_used_them_first_and_hear_their_own_answers(
    tmp_path: Path, speech_of: Speak
) -> None:
    async with talking(tmp_path, says=[QUESTION] * 3) as talk:
        others = [await talk.voices.talk(f"room {number}", person=number) for number in (2, 3)]
        with pytest.raises(NotFound):
            await talk.voices.talk("room 2", person=3)
        assert talk.voices.service.find(others[0][0].row.key, 3) is None
        ears = [ear for _, ear, _ in others]
        await asyncio.gather(talk.ear.say(speech_of(SOUND), then=2.0), *(ear.silence(3) for ear in ears))
        assert len(talk.ear.heard) > 0
        assert [len(ear.heard) for ear in ears] == [0, 0]
        assert talk.voices.live.begun[0].channel == "web:voice:r1"
        for _, _, heard in others:
            assert heard.events == []
            await heard.aclose()


async def test_a_second_session_in_a_room_takes_it_over(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        second, _, heard = await talk.voices.talk("r1")
        assert talk.session.over.is_set()
        assert talk.voices.store.sessions[talk.key].reason is EndReason.REPLACED
        assert talk.voices.service.talking == 1
        await talk.voices.service.stop(second.row.key, PERSON)
        await talk.voices.service.stop(second.row.key, PERSON)
        await heard.aclose()


async def test_engines_that_cannot_be_loaded_refuse_the_session(tmp_path: Path) -> None:
    class Broken(FakeListener):
        async def load(self) -> None:
            raise SpeechError("The model is missing; antiphon speech download fetches it.")

    voices = Voices(Settings(data_dir=tmp_path), SystemClock(), answers(), Broken(), FakeSpeaker())
    with pytest.raises(SpeechError):
        await voices.talk()
    assert (voices.service.talking, voices.store.sessions) == (0, {})
    await voices.service.aclose()


async def test_a_session_in_a_language_whose_engines_are_not_there_is_refused_at_once(tmp_path: Path) -> None:
    """Nobody is told to say it again to an engine that will never hear it."""
    asked: list[str] = []

    async def load(language: str) -> None:
        asked.append(language)
        if language == "de":
            raise SpeechError("The model is missing; antiphon speech download fetches it.")

    settings = Settings(data_dir=tmp_path, speech=SpeechSettings(language="en"))
    voices = Voices(settings, SystemClock(), answers(), FakeListener(), FakeSpeaker(), load=load)
    with pytest.raises(SpeechError, match="antiphon speech download"):
        await voices.service.start(PERSON, Wish("r1", "Ada", language="de"))
    assert voices.store.sessions == {}
    await voices.service.start(PERSON, Wish("r1", "Ada"))
    assert asked == ["de", "en"]
    await voices.service.aclose()


async def test_what_is_deleted_while_it_is_recorded_leaves_no_file(tmp_path: Path, speech_of: Speak) -> None:
    """A person who is erased may be speaking."""
    async with talking(tmp_path, record=True) as talk:
        await talk.ear.say(speech_of(SOUND), then=0.2)
        del talk.voices.store.sessions[talk.key]
        await asyncio.wait({talk.session.end(EndReason.REVOKED)})
        assert list((tmp_path / "recordings").iterdir()) == []


async def test_a_session_ends_whatever_fails_on_the_way(tmp_path: Path, speech_of: Speak) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    async with talking(tmp_path, record=True) as talk:
        talk.session.on_end(broken)
        ended: list[bool] = []
        talk.session.on_end(lambda: ended.append(True))
        await talk.ear.say(speech_of(SOUND))
        (talk.voices.service.recordings.path(talk.key) / "in the way").mkdir(parents=True)
        await talk.voices.service.stop(talk.key, PERSON)
        row = talk.voices.store.sessions[talk.key]
        assert (row.reason, row.recording, ended) == (EndReason.STOPPED, False, [True])
        assert talk.heard.named("ended")
        assert talk.voices.service.talking == 0


async def test_a_recording_is_made_only_when_asked_for(tmp_path: Path, speech_of: Speak) -> None:
    import wave

    async with talking(tmp_path, record=True) as talk:
        await talk.ear.say(speech_of(SOUND))
        await talk.until(lambda: talk.voices.live.finished)
        await talk.voices.service.stop(talk.key, PERSON)
        assert talk.voices.store.sessions[talk.key].recording
        path = talk.voices.service.recordings.path(talk.key)
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, RATE)
            assert file.getnframes() / RATE > 1
        await talk.voices.service.delete(talk.key, PERSON)
        assert not path.exists()
        assert talk.voices.store.sessions == {}
    async with talking(tmp_path) as talk:
        assert not talk.voices.service.recordings.path(talk.key).exists()
