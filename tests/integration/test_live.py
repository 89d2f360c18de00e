"""Spoken turns through the durable rows: speculative ones leave no trace, and what was heard is what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.conversation import Author, InboundMessage
from antiphon.domain.errors import ChannelBusy, LeaseLost
from antiphon.domain.identity import Requester, Sender
from antiphon.domain.tools import ExecutionKey, ExecutionStatus
from antiphon.domain.turns import Final, TextDelta, TurnEvent, TurnRequest
from antiphon.domain.work import TaskState
from antiphon.run.clock import SystemClock
from antiphon.threads.live import LiveTurn, LiveTurns
from tests.fakes.brain import ScriptedBrain


@asynccontextmanager
async def live_of(
    settings: Settings, brain: ScriptedBrain, lease: float = 30.0
) -> AsyncIterator[tuple[Any, LiveTurns, int]]:
    from antiphon.store.stores import open_stores

    stores = open_stores(settings, SystemClock(), LocalSignals())
    turns = LiveTurns(store=stores.live, tasks=stores.tasks, brain=brain, lease_seconds=lease, message_chars=1000)
    try:
        yield stores, turns, (await stores.users.ensure_owner()).person
    finally:
        await stores.close()


def heard(person: int, text: str = "what time is it", native_id: str = "u1") -> InboundMessage:
    return InboundMessage("web", "web:voice", native_id, Sender("u", "Ada"), text, SystemClock().now(), person=person)


def start(turns: LiveTurns, person: int, **message: str) -> LiveTurn:
    return turns.start(heard(person, **message), Requester(person, "web", "web:voice"), session="session-1")


async def spoken(turn: LiveTurn) -> list[TurnEvent]:
    return [event async for event in turn.events()]


async def test_an_interrupted_answer_is_stored_as_it_was_heard(store_settings: Settings) -> None:
    brain = ScriptedBrain(lambda _: [TextDelta("It is noon, "), Final("It is noon, and sunny.")])
    async with live_of(store_settings, brain) as (stores, turns, person):
        turn = start(turns, person)
        work = await turn.commit()
        await spoken(turn)
        await turn.finish("It is noon,", interrupted=True)
        task = await stores.tasks.get(work.lease.task)
        assert (task.state, task.reply) == (TaskState.DONE, "It is noon,")
        messages = await stores.threads.recent("web:voice", before=None, limit=10)
        assert [(m.author, m.text, m.interrupted) for m in messages] == [
            (Author.PERSON, "what time is it", False),
            (Author.AGENT, "It is noon,", True),
        ]
        assert list(await stores.outbox.claim("sender", 10, 30, ["web"])) == []


async def test_a_speculative_turn_that_is_dropped_leaves_no_trace(store_settings: Settings) -> None:
    brain = ScriptedBrain(lambda _: [TextDelta("It"), Final("It is noon.")])
    async with live_of(store_settings, brain) as (stores, turns, person):
        turn = start(turns, person)
        await spoken(turn)
        await turn.abandon()
        assert sum((await stores.tasks.counts()).values()) == 0


async def test_the_first_tool_call_waits_for_the_commit(store_settings: Settings) -> None:
    recorded: list[int] = []

    async def call_a_tool(request: TurnRequest) -> None:
        assert request.commit is not None
        task = await request.commit()
        record = await stores.executions.begin(ExecutionKey(task, "clock.now", "h", 0), {}, lease=None, approval=None)
        await stores.executions.end(record.id, ExecutionStatus.OK, "noon", 0.0)
        recorded.append(task)

    brain = ScriptedBrain(lambda _: [TextDelta("Let me look. "), call_a_tool, Final("Let me look. Noon.")])
    async with live_of(store_settings, brain) as (stores, turns, person):
        turn = start(turns, person)
        speaking = asyncio.create_task(spoken(turn))
        await asyncio.sleep(0.1)
        assert recorded == []
        assert sum((await stores.tasks.counts()).values()) == 0
        work = await turn.commit()
        await speaking
        assert recorded == [work.lease.task]
        await turn.finish("Let me look. Noon.")
        assert len((await stores.tasks.get(work.lease.task)).tools) == 1


async def test_committing_twice_is_one_task(store_settings: Settings) -> None:
    brain = ScriptedBrain(lambda _: [Final("x")])
    async with live_of(store_settings, brain) as (stores, turns, person):
        turn = start(turns, person)
        assert await turn.commit() == await turn.commit()
        assert sum((await stores.tasks.counts()).values()) == 1
        await turn.finish("x")


async def test_a_busy_channel_refuses_and_takes_the_turn_later(store_settings: Settings) -> None:
    brain = ScriptedBrain(lambda _: [Final("x")])
    async with live_of(store_settings, brain) as (_, turns, person):
        first, second = start(turns, person), start(turns, person, native_id="u2")
        await first.commit()
        with pytest.raises(ChannelBusy):
            await second.commit()
        await first.finish("x")
        await second.commit()
        await second.finish("y")


async def test_an_abandoned_session_leaves_its_question_to_a_worker(store_settings: Settings) -> None:
    brain = ScriptedBrain(lambda _: [Final("x")])
    async with live_of(store_settings, brain) as (stores, turns, person):
        turn = start(turns, person)
        work = await turn.commit()
        await turn.abandon()
        (claimed,) = await stores.tasks.claim("worker", 1, 30)
        assert claimed.lease.task == work.lease.task
        with pytest.raises(LeaseLost):
            await turn.finish("too late")


async def test_a_long_spoken_turn_keeps_its_lease(store_settings: Settings) -> None:
    brain = ScriptedBrain(lambda _: [Final("x")])
    async with live_of(store_settings, brain, lease=2.0) as (stores, turns, person):
        turn = start(turns, person)
        work = await turn.commit()
        await asyncio.sleep(2.5)
        await stores.tasks.reap()
        assert (await stores.tasks.get(work.lease.task)).state is TaskState.RUNNING
        await turn.finish("x")
