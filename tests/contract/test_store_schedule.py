"""Whatever is due: reminders fire once, idle threads close, approvals expire."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.conversation import Author, ThreadState
from antiphon.domain.errors import NotFound
from antiphon.domain.schedule import Entry, EntryKind, EntryState, NewEntry
from antiphon.domain.work import ReplyKind, TaskKind, TaskState
from tests.contract.store_work import AT, asking, claimed, delivered, discord, done, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def _person(stores: Stores) -> int:
    """Somebody who spoke in the channel and was answered; nothing is left to do."""
    lease = await started(stores)
    await stores.tasks.finish(lease, done())
    await delivered(stores)
    person = (await stores.threads.recent("discord:c1", before=None, limit=9))[0].person
    assert person is not None
    return person


async def _reminder(
    stores: Stores, person: int, seconds: float = 60, origin: str = "o1", text: str = "stretch"
) -> Entry:
    due = AT + timedelta(seconds=seconds)
    return await stores.schedule.add(NewEntry(EntryKind.REMINDER, due, "discord:c1", person, origin, text))


async def test_the_same_origin_gives_the_same_entry(stores: Stores) -> None:
    person = await _person(stores)
    first = await _reminder(stores, person)
    assert await _reminder(stores, person, seconds=999, text="other") == first
    assert (first.state, first.due_at, first.text, first.created_at) == (
        EntryState.PENDING,
        AT + timedelta(seconds=60),
        "stretch",
        AT,
    )
    with pytest.raises(NotFound):
        await stores.schedule.add(NewEntry(EntryKind.TIMER, AT, "discord:nowhere", person, "o2"))


async def test_entries_belong_to_their_person(stores: Stores) -> None:
    person = await _person(stores)
    other = (await stores.users.ensure_owner()).person
    late = await _reminder(stores, person, 90, "late")
    soon = await _reminder(stores, person, 30, "soon")
    assert await stores.schedule.pending(person) == [soon, late]
    assert await stores.schedule.pending(person, "discord:c1") == [soon, late]
    assert await stores.schedule.pending(person, "discord:c2") == []
    assert await stores.schedule.pending(other) == []
    assert await stores.schedule.cancel(other, [soon.id]) == []
    (cancelled,) = await stores.schedule.cancel(person, [soon.id, 999_999])
    assert (cancelled.id, cancelled.state) == (soon.id, EntryState.CANCELLED)
    assert await stores.schedule.cancel(person, [soon.id]) == []
    assert await stores.schedule.pending(person) == [late]


async def test_a_reminder_becomes_a_finished_task_with_its_reply(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    await _reminder(stores, person)
    store_clock.move(seconds=59)
    assert await stores.schedule.fire_due(10) == 0
    store_clock.move(seconds=1)
    assert await stores.schedule.fire_due(10) == 1
    assert await stores.schedule.fire_due(10) == 0
    assert await stores.schedule.pending(person) == []
    (delivery,) = await stores.outbox.claim("sender", 9, 30, ["discord"])
    assert (delivery.text, delivery.kind) == ("Reminder: stretch", ReplyKind.REMINDER)
    said = (await stores.threads.recent("discord:c1", before=None, limit=9))[-1]
    assert (said.author, said.text, said.task, said.id) == (
        Author.AGENT,
        "Reminder: stretch",
        delivery.task,
        delivery.message,
    )
    task = await stores.tasks.get(delivery.task)
    assert (task.state, task.kind, task.reply) == (TaskState.DONE, TaskKind.SCHEDULED, "Reminder: stretch")


async def test_a_late_reminder_says_when_it_was_due(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    await stores.people.set_preferences(person, timezone="Europe/Berlin")
    await _reminder(stores, person)
    store_clock.move(hours=3)
    await stores.schedule.fire_due(10)
    assert await delivered(stores) == ["Reminder: stretch (it was due at 16:01 on 04 March)"]


async def test_a_cancelled_entry_never_fires(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    entry = await _reminder(stores, person)
    await stores.schedule.cancel(person, [entry.id])
    store_clock.move(seconds=100)
    assert await stores.schedule.fire_due(10) == 0
    assert await delivered(stores) == []


async def test_each_entry_fires_once_whoever_looks(
    stores: Stores, store_settings: Settings, store_clock: FakeClock
) -> None:
    from antiphon.store.stores import open_stores

    person = await _person(stores)
    for n in range(30):
        await _reminder(stores, person, n, f"o{n}", str(n))
    store_clock.move(seconds=30)
    async with contextlib.AsyncExitStack() as stack:
        others = [open_stores(store_settings, store_clock, LocalSignals()) for _ in range(2)]
        for other in others:
            stack.push_async_callback(other.close)
        fired = await asyncio.gather(*(one.schedule.fire_due(20) for one in (stores, *others) for _ in range(3)))
    assert sum(fired) == 30
    assert sorted(await delivered(stores)) == sorted(f"Reminder: {n}" for n in range(30))


async def test_an_idle_thread_closes(stores: Stores, store_clock: FakeClock) -> None:
    await _person(stores)
    thread = (await stores.threads.recent("discord:c1", before=None, limit=1))[0].thread
    assert await stores.schedule.next_due() == AT + timedelta(minutes=5)
    store_clock.move(minutes=5, seconds=-1)
    assert await stores.schedule.fire_due(10) == 0
    store_clock.move(seconds=1)
    assert await stores.schedule.fire_due(10) == 1
    closed = await stores.threads.thread(thread)
    assert (closed.state, closed.closed_at) == (ThreadState.CLOSED, AT + timedelta(minutes=5))
    assert await stores.schedule.next_due() is None


async def test_a_thread_with_work_left_does_not_close(stores: Stores, store_clock: FakeClock) -> None:
    lease = await started(stores)
    thread = (await stores.tasks.get(lease.task)).thread
    store_clock.move(hours=1)
    assert await stores.schedule.next_due() is None
    assert await stores.schedule.fire_due(10) == 0
    await stores.tasks.finish(lease, done())
    assert (await stores.threads.thread(thread)).last_at == AT + timedelta(hours=1)
    assert await stores.schedule.next_due() == AT + timedelta(hours=1, minutes=5)


async def test_the_next_due_time_is_the_earliest_of_all(stores: Stores) -> None:
    assert await stores.schedule.next_due() is None
    person = await _person(stores)
    await _reminder(stores, person, 3600)
    assert await stores.schedule.next_due() == AT + timedelta(minutes=5)
    await _reminder(stores, person, 30, "sooner")
    assert await stores.schedule.next_due() == AT + timedelta(seconds=30)
    await stores.inbox.receive(discord("m2"))
    await stores.tasks.pause((await claimed(stores)).lease, asking("h", expires=AT + timedelta(seconds=5)))
    assert await stores.schedule.next_due() == AT + timedelta(seconds=5)


async def test_an_expired_approval_goes_on_only_with_the_last_one(stores: Stores, store_clock: FakeClock) -> None:
    lease = await started(stores)
    first, second = await stores.tasks.pause(lease, asking("h1", "h2"))
    store_clock.move(minutes=20)
    assert await stores.schedule.fire_due(10) == 2
    resume = await stores.tasks.resume_of((await claimed(stores)).lease)
    assert [approval.state for approval in resume.approvals] == ["expired", "expired"]
    assert {approval.id for approval in resume.approvals} == {first.id, second.id}


async def test_closing_by_hand_is_harmless_when_repeated(stores: Stores) -> None:
    receipt = await stores.inbox.receive(discord("m1"))
    await stores.threads.close(receipt.thread)
    closed = await stores.threads.thread(receipt.thread)
    await stores.threads.close(receipt.thread)
    assert closed.state is ThreadState.CLOSED
    assert await stores.threads.thread(receipt.thread) == closed
    with pytest.raises(NotFound):
        await stores.threads.close(999_999)
