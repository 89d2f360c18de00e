"""A message handed straight to a worker that waits for one: the same work, the same order, nothing lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.conversation import Attachment, InboundMessage, ServerRef
from antiphon.domain.errors import InvalidInput, LeaseLost
from antiphon.domain.work import Lease, TaskFailure, TaskState
from tests.contract.store_work import OWNER, discord, done, web
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def test_a_message_is_claimed_as_it_is_accepted(stores: Stores) -> None:
    stores.tasks.stand_by(OWNER, 1, 30)
    receipt = await stores.inbox.receive(discord("m1"))
    assert (await stores.tasks.get(receipt.task)).state is TaskState.RUNNING
    (work,) = await stores.tasks.claim(OWNER, 5, 30)
    assert work.lease == Lease(receipt.task, OWNER, 1)
    await stores.tasks.finish(work.lease, done())
    assert (await stores.tasks.get(receipt.task)).state is TaskState.DONE


@pytest.mark.parametrize("platform", ["discord", "web"])
async def test_what_is_handed_over_is_what_a_claim_gives(stores: Stores, platform: str) -> None:
    message: InboundMessage = discord("m1", "hi", server=ServerRef("discord", "s1", "Guild"))
    if platform == "web":
        message = web("m1", (await stores.users.ensure_owner()).person)
    stores.tasks.stand_by(OWNER, 1, 30)
    await stores.inbox.receive(message)
    (handed,) = await stores.tasks.claim(OWNER, 5, 30)
    await stores.tasks.give_back(OWNER, [handed.lease.task])
    (claimed,) = await stores.tasks.claim(OWNER, 5, 30)
    assert claimed.lease.attempt == 2
    assert replace(claimed, lease=handed.lease) == handed


async def test_a_busy_channel_keeps_its_order(stores: Stores) -> None:
    queued = await stores.inbox.receive(discord("m1", "first"))
    stores.tasks.stand_by(OWNER, 9, 30)
    behind = await stores.inbox.receive(discord("m2", "second"))
    assert (await stores.tasks.get(behind.task)).state is TaskState.QUEUED
    (work,) = await stores.tasks.claim(OWNER, 5, 30)
    assert work.lease.task == queued.task
    stores.tasks.stand_by(OWNER, 9, 30)
    await stores.inbox.receive(discord("m3", "third"))
    assert await stores.tasks.claim(OWNER, 5, 30) == [], "the first one is still running"
    await stores.tasks.retry_later(work.lease, TaskFailure("model", "away"), 60)
    stores.tasks.stand_by(OWNER, 9, 30)
    await stores.inbox.receive(discord("m4", "fourth"))
    assert await stores.tasks.claim(OWNER, 5, 30) == [], "the first one waits for its next try"


async def test_no_more_is_handed_over_than_there_are_free_slots(stores: Stores) -> None:
    stores.tasks.stand_by(OWNER, 2, 30)
    tasks = [(await stores.inbox.receive(discord(f"m{n}", channel=f"discord:{n}"))).task for n in range(4)]
    assert [work.lease.task for work in await stores.tasks.claim(OWNER, 0, 30)] == tasks[:2]
    assert await stores.tasks.claim(OWNER, 0, 30) == ()
    assert [work.lease.task for work in await stores.tasks.claim("another", 9, 30)] == tasks[2:]


async def test_collecting_ends_the_offer(stores: Stores) -> None:
    stores.tasks.stand_by(OWNER, 2, 30)
    assert await stores.tasks.claim(OWNER, 2, 30) == []
    receipt = await stores.inbox.receive(discord("m1"))
    assert (await stores.tasks.get(receipt.task)).state is TaskState.QUEUED


async def test_a_repeat_is_not_handed_over_again(stores: Stores) -> None:
    stores.tasks.stand_by(OWNER, 5, 30)
    first = await stores.inbox.receive(discord("m1"))
    again = await stores.inbox.receive(discord("m1"))
    assert (again.task, again.created) == (first.task, False)
    assert len(await stores.tasks.claim(OWNER, 5, 30)) == 1


async def test_a_refused_message_is_not_handed_over(stores: Stores) -> None:
    person = (await stores.users.ensure_owner()).person
    stores.tasks.stand_by(OWNER, 5, 30)
    missing = Attachment(id=4711, name="a.txt", media_type="text/plain", size=1)
    with pytest.raises(InvalidInput, match="not there"):
        await stores.inbox.receive(web("m1", person, attachments=(missing,)))
    assert await stores.tasks.claim(OWNER, 5, 30) == []


async def test_the_lease_of_what_is_handed_over_expires_like_any_other(stores: Stores, store_clock: FakeClock) -> None:
    stores.tasks.stand_by(OWNER, 1, 30)
    receipt = await stores.inbox.receive(discord("m1"))
    (work,) = await stores.tasks.claim(OWNER, 5, 30)
    store_clock.move(seconds=31)
    assert await stores.tasks.reap() == 1
    (taken,) = await stores.tasks.claim("another", 5, 30)
    assert taken.lease == Lease(receipt.task, "another", 2)
    with pytest.raises(LeaseLost):
        await stores.tasks.finish(work.lease, done())


async def test_the_same_message_from_two_processes_is_one_task(
    postgresql_settings: Settings, store_clock: FakeClock
) -> None:
    from antiphon.store.stores import open_stores

    one, other = (open_stores(postgresql_settings, store_clock, LocalSignals()) for _ in range(2))
    try:
        for n in range(20):
            one.tasks.stand_by("one", 4, 30)
            other.tasks.stand_by("other", 4, 30)
            twice = await asyncio.gather(*(side.inbox.receive(discord(f"m{n}")) for side in (one, other, one, other)))
            assert len({receipt.task for receipt in twice}) == 1
            assert sum(receipt.created for receipt in twice) == 1
            held = [*await one.tasks.claim("one", 4, 30), *await other.tasks.claim("other", 4, 30)]
            assert len(held) == 1
            holder = one if held[0].lease.owner == "one" else other
            await holder.tasks.finish(held[0].lease, done())
    finally:
        await one.close()
        await other.close()
