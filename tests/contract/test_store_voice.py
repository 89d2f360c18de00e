"""Spoken sessions are kept: rooms have an owner, segments and times are replaced by number, endings stand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.conversation import Author
from antiphon.domain.errors import NotFound
from antiphon.domain.identity import Role
from antiphon.domain.tools import ExecutionKey, ExecutionStatus
from antiphon.domain.voice import (
    EndReason,
    NewVoiceSession,
    Segment,
    SpokenTool,
    TurnTimes,
    room_channel,
    spoken_message,
)
from antiphon.domain.work import Work
from tests.contract.store_work import done, web
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def new_session(stores: Stores, key: str = "k1", room: str = "kitchen") -> NewVoiceSession:
    person = (await stores.users.ensure_owner()).person
    return NewVoiceSession(key, room, person, "Ada", room_channel(room), "embedded", "en", "voice", "Be brief.")


async def test_a_room_belongs_to_whoever_used_it_first(stores: Stores) -> None:
    new = await new_session(stores)
    bob = (await stores.users.create("bob", Role.MEMBER)).person
    await stores.voice.claim_room("kitchen", new.person)
    await stores.voice.claim_room("kitchen", new.person)
    with pytest.raises(NotFound):
        await stores.voice.claim_room("kitchen", bob)
    with pytest.raises(NotFound):
        await stores.voice.begin(replace(new, person=bob))
    session = (await stores.voice.begin(new)).session
    assert (session.room, session.identity, session.channel) == ("kitchen", "Ada", "web:voice:kitchen")
    assert await stores.voice.get("k1", new.person) == session
    for key, person in (("k1", bob), ("k2", new.person)):
        with pytest.raises(NotFound):
            await stores.voice.get(key, person)


async def test_what_was_said_is_kept_by_number(stores: Stores, store_clock: FakeClock) -> None:
    new = await new_session(stores)
    await stores.voice.begin(new)
    first = Segment(1, Author.PERSON, "Ada", "hello\x00", store_clock.now())
    second = Segment(2, Author.AGENT, "Antiphon", "Good", store_clock.now(), True, "morning", 0.25)
    await stores.voice.add_segment("k1", second)
    await stores.voice.add_segment("k1", first)
    await stores.voice.add_segment("k1", replace(first, text="hello there"))
    await stores.voice.add_segment("unknown", first)
    kept = await stores.voice.segments("k1", 0)
    assert list(kept) == [replace(first, text="hello there"), second]
    assert list(await stores.voice.segments("k1", 1)) == [second]
    times = TurnTimes(1, speech_end=0.3, transcript=0.1, first_audio=0.02)
    await stores.voice.add_turn("k1", times)
    await stores.voice.add_turn("k1", replace(times, stop=0.2))
    record = await stores.voice.record("k1", new.person)
    assert record.turns == (replace(times, stop=0.2),)
    assert record.segments == tuple(kept)


async def test_tools_stand_in_the_record_of_the_session_they_ran_for(stores: Stores, store_clock: FakeClock) -> None:
    new = await new_session(stores)
    await stores.voice.begin(new)

    async def said(native_id: str) -> Work:
        return await stores.live.begin(web(native_id, new.person, channel=new.channel), "session", 30)

    async def runs(work: Work, tool: str) -> SpokenTool:
        store_clock.move(seconds=1)
        key = ExecutionKey(work.lease.task, tool, "hash", 0)
        execution = await stores.executions.begin(key, {}, lease=work.lease, approval=None)
        return SpokenTool(execution.id, tool, ExecutionStatus.STARTED, store_clock.now())

    first = await said(f"{spoken_message('k1')}abc-1")
    clock, dice = await runs(first, "clock.now"), await runs(first, "dice.roll")
    await stores.executions.end(clock.execution, ExecutionStatus.OK, "noon", 0.25)
    clock = replace(clock, status=ExecutionStatus.OK, seconds=0.25)
    assert (await stores.voice.record("k1", new.person)).tools == (clock, dice)
    await stores.live.finish(first.lease, done(spoken=True))
    dice = replace(dice, status=ExecutionStatus.UNKNOWN)  # nobody will tell how that went
    second = await said(f"{spoken_message('k1')}def-1")  # the session went on in another process
    joke = await runs(second, "jokes.tell")
    await stores.live.finish(second.lease, done(spoken=True))
    for other in (f"{spoken_message('k10')}abc-1", "typed-in-the-same-room"):
        work = await said(other)
        await runs(work, "clock.now")
        await stores.live.finish(work.lease, done(spoken=True))
    joke = replace(joke, status=ExecutionStatus.UNKNOWN)
    assert (await stores.voice.record("k1", new.person)).tools == (clock, dice, joke)


async def test_the_first_ending_stands_and_a_recording_may_be_known_later(stores: Stores) -> None:
    new = await new_session(stores)
    await stores.voice.begin(new)
    await stores.voice.end("k1", EndReason.STOPPED, recording=False)
    await stores.voice.end("k1", EndReason.IDLE, recording=True)
    ended = await stores.voice.get("k1", new.person)
    assert (ended.reason, ended.recording) == (EndReason.STOPPED, True)
    await stores.voice.end("k1", EndReason.IDLE, recording=False)
    assert (await stores.voice.get("k1", new.person)).recording


async def test_what_a_crash_left_open_is_ended_by_the_next_start(stores: Stores) -> None:
    new = await new_session(stores)
    await stores.voice.begin(new)
    await stores.voice.begin(replace(new, key="k2"))
    await stores.voice.end("k1", EndReason.STOPPED, recording=False)
    assert await stores.voice.end_forgotten(owners_are_gone=True) == ["k2"]
    assert (await stores.voice.get("k1", new.person)).reason is EndReason.STOPPED
    assert (await stores.voice.get("k2", new.person)).reason is EndReason.CRASHED
    assert await stores.voice.end_forgotten(owners_are_gone=True) == []


async def test_whoever_begins_is_told_what_goes_on_in_the_room(stores: Stores) -> None:
    new = await new_session(stores)
    assert (await stores.voice.begin(new)).earlier == ()
    assert (await stores.voice.begin(replace(new, key="other", room="attic"))).earlier == ()
    assert (await stores.voice.begin(replace(new, key="k2"))).earlier == ("k1",)
    await stores.voice.end("k1", EndReason.REPLACED, recording=False)
    assert (await stores.voice.begin(replace(new, key="k3"))).earlier == ("k2",)


async def test_of_many_that_begin_in_one_room_at_once_one_is_told_of_nobody(stores: Stores) -> None:
    new = await new_session(stores)
    keys = [f"k{number}" for number in range(8)]
    begun = await asyncio.gather(*(stores.voice.begin(replace(new, key=key)) for key in keys))
    assert sorted(len(one.earlier) for one in begun) == list(range(8)), "they have an order"


async def test_a_session_is_over_when_the_lease_of_its_process_is(stores: Stores, store_clock: FakeClock) -> None:
    new = replace(await new_session(stores), lease_seconds=10)
    await stores.voice.begin(replace(new, key="of a", owner="a"))
    await stores.voice.begin(replace(new, key="of b", owner="b"))
    await stores.voice.begin(replace(new, key="of an older version"))
    assert await stores.voice.end_forgotten() == ["of an older version"]
    assert (await stores.voice.get("of an older version", new.person)).reason is EndReason.CRASHED
    store_clock.move(seconds=6)
    assert list(await stores.voice.keep("b", 10)) == ["of b"]
    store_clock.move(seconds=6)
    assert await stores.voice.end_forgotten() == ["of a"]
    assert (await stores.voice.get("of a", new.person)).reason is EndReason.CRASHED
    assert (await stores.voice.get("of b", new.person)).ended_at is None
    assert list(await stores.voice.keep("a", 10)) == [], "it comes back, and finds that nothing is its own any more"
    assert list(await stores.voice.keep("b", 10)) == ["of b"]
    await stores.voice.leave("b")
    assert await stores.voice.end_forgotten() == ["of b"]


async def test_the_lease_of_a_process_is_no_shard_and_the_other_way_round(stores: Stores) -> None:
    new = replace(await new_session(stores), owner="a", lease_seconds=10)
    await stores.voice.begin(new)
    assert await stores.leases.hold(["voice"], "b", 1, 10) == ["voice"]
    await stores.leases.release("a")
    assert await stores.voice.end_forgotten() == []
    await stores.voice.leave("b")
    assert await stores.leases.hold(["voice"], "c", 1, 10) == []


async def test_a_session_is_given_by_the_process_that_has_it_alone(stores: Stores) -> None:
    new = replace(await new_session(stores), owner="a", lease_seconds=10)
    await stores.voice.begin(new)
    assert not await stores.voice.hand("k1", "b", "c", recording=True)
    assert await stores.voice.hand("k1", "a", "b", recording=False)
    given = await stores.voice.get("k1", new.person)
    assert (given.owner, given.recording) == ("b", False)
    assert not await stores.voice.hand("k1", "a", "c", recording=False)
    assert await stores.voice.hand("k1", "b", "c", recording=True)
    await stores.voice.end("k1", EndReason.STOPPED, recording=False)
    assert not await stores.voice.hand("k1", "c", "a", recording=False)
    ended = await stores.voice.get("k1", new.person)
    assert (ended.owner, ended.recording) == ("c", True)


async def test_which_sessions_are_known(stores: Stores) -> None:
    new = await new_session(stores)
    await stores.voice.begin(new)
    await stores.voice.begin(replace(new, key="k2"))
    await stores.voice.end("k2", EndReason.STOPPED, recording=False)
    assert set(await stores.voice.known(["k1", "k2", "k3"])) == {"k1", "k2"}
    assert not await stores.voice.known([])


async def test_a_session_is_deleted_with_all_that_was_said(stores: Stores, store_clock: FakeClock) -> None:
    new = await new_session(stores)
    bob = (await stores.users.create("bob", Role.MEMBER)).person
    await stores.voice.begin(new)
    await stores.voice.add_segment("k1", Segment(1, Author.PERSON, "Ada", "hello", store_clock.now()))
    with pytest.raises(NotFound):
        await stores.voice.delete("k1", bob)
    await stores.voice.delete("k1", new.person)
    assert list(await stores.voice.segments("k1", 0)) == []
    with pytest.raises(NotFound):
        await stores.voice.delete("k1", new.person)


async def test_old_sessions_go_and_those_of_an_erased_person_too(stores: Stores, store_clock: FakeClock) -> None:
    new = await new_session(stores)
    bob = (await stores.users.create("bob", Role.MEMBER)).person
    await stores.voice.begin(new)
    await stores.voice.begin(replace(new, key="going on"))
    await stores.voice.end("k1", EndReason.STOPPED, recording=False)
    store_clock.move(seconds=3600)
    swept = await stores.retention.sweep({"transcripts": store_clock.now() - timedelta(minutes=5)}, 10)
    assert swept.deleted == {"spoken sessions": 1}
    assert await stores.voice.get("going on", new.person)
    await stores.voice.begin(NewVoiceSession("bobs", "attic", bob, "Bob", "web:voice:attic", "embedded"))
    await stores.voice.add_segment("bobs", Segment(1, Author.PERSON, "Bob", "heron", store_clock.now()))
    exported = await stores.personal_data.export(bob)
    assert "heron" in str(exported.document["spoken_sessions"])
    receipt = await stores.personal_data.erase(bob)
    assert receipt.erased["spoken sessions"] == 1
    await stores.voice.claim_room("attic", new.person)  # its name is free again
