"""Spoken sessions of two processes, over one store and one bus, in real time: what moves, what is found out late."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import wave
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon.config import Settings
from antiphon.config.voice import VoiceSettings
from antiphon.domain.errors import NotFound, Unavailable
from antiphon.domain.events import SPOKEN, BusEvent
from antiphon.domain.voice import EndReason
from antiphon.run.clock import SystemClock
from antiphon.voice.recording import YOUNG_SECONDS
from antiphon.voice.service import Wish
from antiphon.voice.transports.transport import RATE
from tests.fakes.brain import ScriptedBrain
from tests.fakes.speech import FakeListener, FakeSpeaker
from tests.fakes.voice import ANSWER, PERSON, Ear, Heard, Voices, an_approval, answers, asks
from tests.fixtures_voice import Speak

LEASE = 1.0
SECONDS = 10.0


@asynccontextmanager
async def two(
    tmp_path: Path, brain: ScriptedBrain | None = None, *, says: Sequence[str] = ("what time",), **voice: Any
) -> AsyncIterator[tuple[Voices, Voices]]:
    """Two processes, each on a machine of its own. Nothing is left of them."""
    before = asyncio.all_tasks()
    heard = FakeListener(says=says)  # what is said goes on where it was, whoever listens
    one: Voices | None = None
    made: list[Voices] = []
    for name in ("one", "two"):
        settings = Settings(data_dir=tmp_path / name, voice=VoiceSettings(lease_seconds=LEASE, **voice))
        one = Voices(settings, SystemClock(), brain or answers(), heard, FakeSpeaker(), owner=name, beside=one)
        made.append(one)
    try:
        yield made[0], made[1]
    finally:
        for voices in made:
            await voices.service.aclose()
    left = {task.get_name() for task in asyncio.all_tasks() - before if not task.done()}
    assert left == set(), "the processes left tasks behind"


async def until(what: Callable[[], object], ear: Ear | None = None) -> None:
    """Wait until something is so, with a microphone that goes on."""
    async with asyncio.timeout(SECONDS):
        while not what():
            await (ear.silence(0.06) if ear else asyncio.sleep(0.03))


async def moved(voices: Voices, key: str) -> tuple[Any, Ear]:
    """The session where its sound arrives now."""
    begun: list[Any] = []
    session = await voices.service.take(await voices.store.get(key, PERSON), begun.append)
    assert begun == [session]
    ear = Ear()
    await session.connect(ear)
    await ear.silence(0.2)
    return session, ear


async def test_a_session_goes_on_where_its_sound_arrives(tmp_path: Path, speech_of: Speak) -> None:
    async with two(tmp_path, says=["what time", "and now"]) as (one, other):
        session, ear, heard = await one.talk()
        key = session.row.key
        await ear.say(speech_of("yes"))
        await until(lambda: len(one.store.kept[key]) == 2 and one.live.finished, ear)
        there, new_ear = await moved(other, key)
        assert (one.service.talking, other.service.talking) == (0, 1)
        assert session.over.is_set()
        assert ear.closed.is_set()
        assert heard.named("ended") == [], "for whoever listens nothing has ended"
        await new_ear.say(speech_of("yes"))
        await until(lambda: len(one.store.kept[key]) == 4 and len(one.live.finished) == 2, new_ear)
        said = [(part.number, part.text.strip()) for part in await one.store.segments(key, 0)]
        assert said == [(1, "what time"), (2, ANSWER), (3, "and now"), (4, ANSWER)]
        assert list(one.store.turns[key]) == [1, 2]
        ids = [message.native_id for message in one.live.begun]
        assert len(set(ids)) == len(ids), "nothing that is said is taken for a repetition"
        # And back, as often as it likes.
        assert await moved(one, key) is not None
        assert there.over.is_set()
        assert one.store.sessions[key].ended_at is None
        await heard.aclose()


async def test_an_answer_that_is_under_way_is_kept_as_far_as_it_was_heard(tmp_path: Path, speech_of: Speak) -> None:
    async with two(tmp_path, answers(" ".join(["word"] * 60))) as (one, other):
        session, ear, heard = await one.talk()
        key = session.row.key
        await ear.say(speech_of("yes"))
        await until(lambda: len(ear.heard) > RATE, ear)
        await moved(other, key)
        (kept,) = [part for part in await one.store.segments(key, 0) if part.author.value == "agent"]
        assert kept.interrupted
        assert kept.text
        assert kept.unheard
        assert [outcome.interrupted for outcome in one.live.finished] == [True]
        await heard.aclose()


async def test_a_question_that_waits_for_a_yes_is_asked_again_where_the_session_goes_on(
    tmp_path: Path, speech_of: Speak
) -> None:
    async with two(tmp_path, ScriptedBrain(asks), says=["forget me", "yes", "yes"]) as (one, other):
        session, ear, heard = await one.talk()
        approval = an_approval()
        one.live.approvals, one.approvals.known = [approval], {approval.id: approval}
        await ear.say(speech_of("yes"))
        await until(lambda: [told for told in heard.named("state") if told["state"] == "waiting"], ear)
        _, new_ear = await moved(other, session.row.key)
        await new_ear.say(speech_of("yes"))
        await until(lambda: len([text for text in heard.final("agent") if "I need your word" in text]) == 2, new_ear)
        assert one.approvals.decided == [], "nobody agrees to what they were not asked here"
        await new_ear.say(speech_of("yes"))
        await until(lambda: one.approvals.decided, new_ear)
        assert one.approvals.decided == [(approval.id, PERSON, True)]
        assert [message.text for message in one.live.begun] == ["forget me"], "a yes is no turn"
        await heard.aclose()


async def test_whoever_begins_in_the_room_ends_what_another_process_carries_there(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        first = await one.service.start(PERSON, Wish("r1", "ada"))
        elsewhere = await one.service.start(PERSON, Wish("r2", "ada"))
        second = await other.service.start(PERSON, Wish("r1", "ada"))
        assert one.store.sessions[first.row.key].reason is EndReason.REPLACED
        assert not second.over.is_set()
        assert not elsewhere.over.is_set()
        at_once = await asyncio.gather(*(voices.service.start(PERSON, Wish("r3", "ada")) for voices in (one, other)))
        await until(lambda: [session.over.is_set() for session in at_once].count(True) == 1)
        assert (one.service.talking, other.service.talking) in [(2, 1), (1, 2)]


async def test_a_process_that_is_full_leaves_the_session_where_it_is(tmp_path: Path) -> None:
    async with two(tmp_path, sessions=1) as (one, other):
        session = await one.service.start(PERSON, Wish("r1", "ada"))
        await other.service.start(PERSON, Wish("r2", "ada"))
        with pytest.raises(Unavailable):
            await other.service.take(session.row, lambda _: None)
        assert one.service.find(session.row.key, PERSON) is session
        await one.service.stop(session.row.key, PERSON)
        with pytest.raises(NotFound):
            await other.service.take(await one.store.get(session.row.key, PERSON), lambda _: None)


async def test_of_several_sockets_at_once_all_get_the_one_session(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        session = await one.service.start(PERSON, Wish("r1", "ada"))
        begun: list[Any] = []
        taken = await asyncio.gather(*(other.service.take(session.row, begun.append) for _ in range(3)))
        assert taken[0] is taken[1] is taken[2]
        assert begun == [taken[0]]


async def test_what_is_stopped_while_it_moves_is_over_all_the_same(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        session = await one.service.start(PERSON, Wish("r1", "ada"))
        taking = asyncio.create_task(other.service.take(session.row, lambda _: None))
        await until(lambda: session.ending)
        await one.service.stop(session.row.key, PERSON)
        assert one.store.sessions[session.row.key].ended_at is not None
        await asyncio.wait({taking})
        await until(lambda: one.service.talking + other.service.talking == 0)


class _Deaf:
    """A bus on which nothing arrives that concerns spoken sessions."""

    def __init__(self, voices: Voices) -> None:
        self._bus = voices.bus

    async def publish(self, topic: str, name: str, payload: Mapping[str, object]) -> int:
        return await self._bus.publish(topic, name, payload)

    @asynccontextmanager
    async def subscribe(self, *topics: str, after: int | None = None) -> AsyncIterator[AsyncIterator[BusEvent]]:
        async with self._bus.subscribe(*(t for t in topics if t != SPOKEN), after=after) as events:
            yield events

    async def health(self) -> Any:
        return await self._bus.health()


def deafen(voices: Voices) -> None:
    """Its process hears nothing of the others any more."""
    processes = voices.service._processes
    assert processes is not None
    processes._bus = _Deaf(voices)


async def test_a_process_that_hears_nothing_finds_out_by_the_row(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        deafen(one)
        ended, replaced = [await one.service.start(PERSON, Wish(room, "ada")) for room in ("r1", "r2")]
        heard = Heard(one.bus, ended.row.key)
        await heard.ready()
        with pytest.raises(Unavailable):
            await other.service.take(ended.row, lambda _: None)
        await asyncio.gather(other.service.stop(ended.row.key, PERSON), other.service.start(PERSON, Wish("r2", "ada")))
        reasons = [one.store.sessions[session.row.key].reason for session in (ended, replaced)]
        assert reasons == [EndReason.STOPPED, EndReason.REPLACED]
        await until(lambda: ended.over.is_set() and replaced.over.is_set())
        assert one.service.talking == 0
        assert [told["reason"] for told in heard.named("ended")] == ["stopped"]
        await heard.aclose()


async def test_what_was_handed_over_too_late_is_ended_unless_somebody_comes_again(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        late, taken = [await one.service.start(PERSON, Wish(room, "ada")) for room in ("r1", "r2")]
        await other.service.start(PERSON, Wish("r3", "ada"))  # so that it is there at all
        for session in (late, taken):
            await asyncio.wait({session.let_go("two")})
        again = await other.service.take(await one.store.get(taken.row.key, PERSON), lambda _: None)
        await until(lambda: one.store.sessions[late.row.key].ended_at)
        assert one.store.sessions[late.row.key].reason is EndReason.LEFT
        assert other.service.find(taken.row.key, PERSON) is again


async def test_the_sessions_of_a_process_that_is_gone_are_over_and_those_of_the_others_go_on(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        gone = await one.service.start(PERSON, Wish("r1", "ada"))
        stays = await other.service.start(PERSON, Wish("r2", "ada"))
        processes = one.service._processes
        assert processes is not None
        for task in processes._tasks:
            task.cancel()  # as a process that is killed: its sessions are open, and nobody renews its lease
        await until(lambda: one.store.sessions[gone.row.key].ended_at)
        assert one.store.sessions[gone.row.key].reason is EndReason.CRASHED
        assert one.store.sessions[stays.row.key].ended_at is None
    assert one.store.went == ["one", "two"]


async def test_after_a_time_without_the_database_nobody_ends_what_the_others_carry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antiphon.domain.errors import StoreUnavailable

    async with two(tmp_path) as (one, other):
        session = await one.service.start(PERSON, Wish("r1", "ada"))
        await other.service.start(PERSON, Wish("r2", "ada"))
        keep, asked = one.store.keep, list[str]()
        away = True

        async def broken(owner: str, seconds: float) -> Sequence[str]:
            if away or (owner == "one" and "two" not in asked):  # the other one comes back first
                raise StoreUnavailable("away")
            asked.append(owner)
            return await keep(owner, seconds)

        monkeypatch.setattr(one.store, "keep", broken)
        await until(lambda: one.store.leases["one"] < SystemClock().now())
        away = False
        await until(lambda: "one" in asked)
        assert one.store.sessions[session.row.key].ended_at is None


async def test_a_recording_is_continued_in_a_shared_folder_and_deleted_on_every_machine(
    tmp_path: Path, speech_of: Speak
) -> None:
    (tmp_path / "one" / "recordings").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "recordings").symlink_to(tmp_path / "one" / "recordings")
    async with two(tmp_path, record=True) as (one, other):
        session, ear, heard = await one.talk()
        key = session.row.key
        await ear.say(speech_of("yes"), then=0.5)
        _, new_ear = await moved(other, key)
        path = one.service.recordings.path(key)
        with wave.open(str(path)) as file:
            first = file.getnframes()
        assert one.store.sessions[key].recording
        await new_ear.say(speech_of("yes"), then=0.5)
        await one.service.stop(key, PERSON)
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, RATE)
            assert file.getnframes() > first + RATE / 2
        await heard.aclose()


async def test_a_recording_goes_with_its_session_whoever_deletes_it(tmp_path: Path, speech_of: Speak) -> None:
    async with two(tmp_path, record=True) as (one, other):
        session, ear, heard = await one.talk()
        key = session.row.key
        await ear.say(speech_of("yes"), then=0.5)
        await other.service.delete(key, PERSON)
        assert session.over.is_set()
        await until(lambda: not list((tmp_path / "one").rglob("*.*")))
        await heard.aclose()


async def test_recordings_of_sessions_that_are_no_more_are_swept(tmp_path: Path) -> None:
    """Those of a person who was erased, of sessions kept long enough, and of what was deleted while this was away."""
    async with two(tmp_path) as (one, _):
        kept = await one.service.start(PERSON, Wish("r1", "ada"))
        recordings = one.service.recordings
        old, begins, known = "0" * 24, "1" * 24, kept.row.key
        files = [recordings.path(key) for key in (old, begins, known)]
        files[0].parent.mkdir(parents=True)
        for file in [*files, files[0].with_suffix(".part")]:
            file.write_bytes(b"RIFF")
            past = time.time() - YOUNG_SECONDS - 1
            if file != files[1]:
                os.utime(file, (past, past))
        stop = asyncio.Event()
        keeping = asyncio.create_task(one.service.keep(stop))
        await until(lambda: not files[0].exists())
        stop.set()
        await keeping
        assert sorted(file.name for file in files[0].parent.iterdir()) == sorted(file.name for file in files[1:])


async def test_a_process_that_is_alone_has_no_lease_and_no_heartbeat(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, voice=VoiceSettings(lease_seconds=LEASE))
    voices = Voices(settings, SystemClock(), answers(), FakeListener(), FakeSpeaker())
    published: list[str] = []

    async def watch() -> None:
        async with voices.bus.subscribe(SPOKEN) as events:
            async for event in events:
                published.append(event.name)

    watching = asyncio.create_task(watch())
    session = await voices.service.start(PERSON, Wish("r1", "ada"))
    assert session.row.owner == ""
    await voices.service.tell_state(session.row.key)
    await voices.service.delete(session.row.key, PERSON)
    with pytest.raises(NotFound):
        await voices.service.take(session.row, lambda _: None)
    await voices.service.aclose()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert (voices.store.leases, published) == ({}, [])
