"""Whatever is due: reminders fire once, idle threads close, approvals expire."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.conversation import Author, ThreadState
from antiphon.domain.errors import NotFound
from antiphon.domain.replies import ReplyKind
from antiphon.domain.schedule import Entry, EntryKind, EntryState, NewEntry, Recurrence, Timing
from antiphon.domain.work import TaskKind, TaskState
from tests.contract.store_work import AT, asking, claimed, delivered, discord, done, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.db import Tx
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


async def _daily(stores: Stores, person: int, origin: str = "o1") -> Entry:
    """Every day at 16:00 in Berlin, which is AT."""
    recurrence = Recurrence("FREQ=DAILY", datetime.fromisoformat("2026-03-04T16:00"), "Europe/Berlin")
    return await stores.schedule.add(
        NewEntry(EntryKind.REMINDER, AT, "discord:c1", person, origin, "stretch", recurrence=recurrence)
    )


async def test_a_repeating_reminder_fires_again_and_again_once_each(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    made = await _daily(stores, person)
    for day in (0, 1):
        assert await stores.schedule.fire_due(10) == 1
        assert await stores.schedule.fire_due(10) == 0
        assert await delivered(stores) == ["Reminder: stretch"]
        (entry,) = await stores.schedule.pending(person)
        assert (entry.id, entry.due_at) == (made.id, AT + timedelta(days=day + 1))
        assert entry.recurrence == made.recurrence
        store_clock.move(seconds=86_400)


@pytest.mark.parametrize(
    ("own", "asked_in", "words"),
    [
        ("de", "", "Erinnerung: stretch (fällig um 15:01 Uhr am 04.03.)"),
        ("en", "es", "Recordatorio: stretch (era para las 15:01 del 04/03)"),
        ("de-AT", "klingon", "Erinnerung: stretch (fällig um 15:01 Uhr am 04.03.)"),
        ("fr", "", "Reminder: stretch (it was due at 15:01 on 04 March)"),
    ],
)
async def test_a_reminder_speaks_the_language_it_was_asked_in_or_the_persons_own(
    stores: Stores, store_clock: FakeClock, own: str, asked_in: str, words: str
) -> None:
    person = await _person(stores)
    await stores.people.set_preferences(person, language=own)
    due = AT + timedelta(seconds=60)
    data: dict[str, object] = {"language": asked_in} if asked_in else {}
    await stores.schedule.add(NewEntry(EntryKind.REMINDER, due, "discord:c1", person, "o", "stretch", data=data))
    store_clock.move(hours=1)
    await stores.schedule.fire_due(10)
    assert await delivered(stores) == [words]


async def test_missed_firings_come_once_and_are_said_to_be_late(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    await _daily(stores, person)
    store_clock.move(seconds=3 * 86_400 + 3600)
    assert await stores.schedule.fire_due(10) == 1
    assert await stores.schedule.fire_due(10) == 0
    assert await delivered(stores) == ["Reminder: stretch (it was due at 16:00 on 04 March; 3 more came due since)"]
    (entry,) = await stores.schedule.pending(person)
    assert entry.due_at == AT + timedelta(days=4)


async def test_a_clock_that_is_set_back_repeats_nothing(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    await _daily(stores, person)
    await _reminder(stores, person, 0, "once")
    assert await stores.schedule.fire_due(10) == 2
    store_clock.move(seconds=-3 * 3600)
    assert await stores.schedule.fire_due(10) == 0
    store_clock.move(seconds=3 * 3600 + 60)
    assert await stores.schedule.fire_due(10) == 0
    (entry,) = await stores.schedule.pending(person)
    assert entry.due_at == AT + timedelta(days=1)


async def test_the_wall_clock_counts_when_the_clocks_change(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    await _daily(stores, person)
    store_clock.move(seconds=25 * 86_400)  # 29 March, the day the clocks go forward
    await stores.schedule.fire_due(10)
    (entry,) = await stores.schedule.pending(person)
    assert entry.due_at == AT + timedelta(days=26) - timedelta(hours=1)


async def test_a_rule_that_ends_leaves_the_entry_done(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    recurrence = Recurrence("FREQ=DAILY;COUNT=2", datetime.fromisoformat("2026-03-04T16:00"), "Europe/Berlin")
    await stores.schedule.add(NewEntry(EntryKind.REMINDER, AT, "discord:c1", person, "o", recurrence=recurrence))
    for _ in range(2):
        assert await stores.schedule.fire_due(10) == 1
        store_clock.move(seconds=86_400)
    assert await stores.schedule.pending(person) == []


async def test_an_entry_is_changed_by_its_person_while_it_is_pending(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    other = (await stores.users.ensure_owner()).person
    entry = await _daily(stores, person)
    assert await stores.schedule.change(other, entry.id, text="mine now") is None
    assert await stores.schedule.change(person, 999_999, text="x") is None
    changed = await stores.schedule.change(
        person, entry.id, text="run", timing=Timing(AT + timedelta(seconds=30), None)
    )
    assert changed is not None
    assert (changed.text, changed.recurrence, changed.due_at) == ("run", None, AT + timedelta(seconds=30))
    store_clock.move(seconds=30)
    assert await stores.schedule.fire_due(10) == 1
    assert await stores.schedule.change(person, entry.id, text="late") is None


async def test_a_repeating_reminder_fires_once_however_many_look(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    await _daily(stores, person)
    fired = await asyncio.gather(*(stores.schedule.fire_due(10) for _ in range(8)))
    assert sum(fired) == 1
    assert await delivered(stores) == ["Reminder: stretch"]


async def test_a_row_outside_of_the_calendar_stops_nobody(stores: Stores, store_clock: FakeClock) -> None:
    person = await _person(stores)
    first, last = await _reminder(stores, person, origin="first"), await _reminder(stores, person, origin="last")

    def spoil(tx: Tx) -> None:
        tx.execute("UPDATE antiphon_scheduleentry SET due_at = %s WHERE id = %s", -62135647200.0, first.id)
        tx.execute("UPDATE antiphon_scheduleentry SET due_at = %s WHERE id = %s", 253402343999.0, last.id)

    await stores.database.run(spoil)
    assert await stores.schedule.next_due() is not None
    assert await stores.schedule.fire_due(10) == 1
    assert [entry.id for entry in await stores.schedule.pending(person)] == [last.id]
