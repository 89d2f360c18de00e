"""Spoken turns through the same rows as written ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.domain.errors import ChannelBusy, Conflict, LeaseLost
from antiphon.domain.work import Outcome, TaskKind, TaskState
from tests.contract.store_work import OWNER, claimed, delivered, discord, done, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

SESSION = "session-1"


async def test_a_spoken_turn_runs_from_the_start_and_is_not_delivered(stores: Stores) -> None:
    work = await stores.live.begin(discord("v1", "what time is it"), SESSION, 30)
    assert (work.kind, work.lease.attempt, work.text) == (TaskKind.SPOKEN, 1, "what time is it")
    assert await stores.tasks.claim(OWNER, 10, 30) == []
    heard = Outcome(TaskState.DONE, "It is", ("It is",), interrupted=True, spoken=True)
    await stores.live.finish(work.lease, heard)
    await stores.live.finish(work.lease, heard)
    assert await delivered(stores) == []
    task = await stores.tasks.get(work.lease.task)
    assert (task.state, task.reply) == (TaskState.DONE, "It is")
    said = (await stores.threads.recent("discord:c1", before=None, limit=9))[-1]
    assert said.interrupted


async def test_speech_waits_while_another_task_runs(stores: Stores) -> None:
    lease = await started(stores)
    with pytest.raises(ChannelBusy):
        await stores.live.begin(discord("v1"), SESSION, 30)
    assert len(await stores.threads.recent("discord:c1", before=None, limit=9)) == 1
    await stores.tasks.finish(lease, done())
    assert (await stores.live.begin(discord("v1"), SESSION, 30)).lease.owner == SESSION


async def test_an_utterance_is_accepted_once(stores: Stores) -> None:
    work = await stores.live.begin(discord("v1"), SESSION, 30)
    assert await stores.live.begin(discord("v1"), SESSION, 30) == work, "the session did not hear of the commit"
    with pytest.raises(Conflict):
        await stores.live.begin(discord("v1"), "another session", 30)
    await stores.live.finish(work.lease, done(spoken=True))
    with pytest.raises(Conflict):
        await stores.live.begin(discord("v1"), SESSION, 30)
    await stores.inbox.receive(discord("m1"))
    with pytest.raises(Conflict):
        await stores.live.begin(discord("m1"), SESSION, 30)


async def test_a_lost_session_hands_its_turn_to_a_worker(stores: Stores, store_clock: FakeClock) -> None:
    work = await stores.live.begin(discord("v1"), SESSION, 30)
    store_clock.move(seconds=31)
    await stores.tasks.reap()
    taken = await claimed(stores)
    assert (taken.lease.task, taken.kind) == (work.lease.task, TaskKind.SPOKEN)
    with pytest.raises(LeaseLost):
        await stores.live.finish(work.lease, done(spoken=True))
