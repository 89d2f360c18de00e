"""The inbox of the store: accepted once, in order, by the right person, in the right thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.conversation import Attachment, Author, ServerRef, ThreadState
from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.domain.identity import Sender
from antiphon.domain.work import TaskState
from tests.contract.store_work import AT, claimed, discord, done, started, web
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


async def test_a_message_is_accepted_once(stores: Stores) -> None:
    first = await stores.inbox.receive(discord("m1"))
    again = await stores.inbox.receive(discord("m1"))
    assert first.created
    assert not again.created
    assert (again.task, again.message, again.thread) == (first.task, first.message, first.thread)
    assert (await stores.tasks.counts())["queued"] == 1


async def test_many_at_once_are_accepted_once(stores: Stores) -> None:
    receipts = await asyncio.gather(*(stores.inbox.receive(discord("m1")) for _ in range(20)))
    assert len({receipt.task for receipt in receipts}) == 1
    assert sum(receipt.created for receipt in receipts) == 1


async def test_the_same_id_with_another_text_is_a_conflict(stores: Stores) -> None:
    await stores.inbox.receive(discord("m1", "one"))
    with pytest.raises(Conflict):
        await stores.inbox.receive(discord("m1", "two"))
    assert [message.text for message in await stores.threads.recent("discord:c1", before=None, limit=9)] == ["one"]


async def test_an_edit_is_a_message_of_its_own(stores: Stores) -> None:
    first = await stores.inbox.receive(discord("m1", "one"))
    edit = await stores.inbox.receive(discord("m1", "two", edit=1))
    assert edit.created
    assert edit.task != first.task
    assert not (await stores.inbox.receive(discord("m1", "two", edit=1))).created


async def test_the_first_poster_owns_a_web_channel(stores: Stores) -> None:
    owner = await stores.users.ensure_owner()
    other = await stores.users.create("other", owner.role)
    await stores.inbox.receive(web("m1", owner.person))
    with pytest.raises(NotFound):
        await stores.inbox.receive(web("m2", other.person))
    await stores.inbox.receive(web("m2", owner.person))
    assert (await stores.threads.channel("web:c1")).owner == owner.person
    assert len(await stores.threads.recent("web:c1", before=None, limit=9)) == 2


async def test_a_refused_first_post_does_not_create_the_channel(stores: Stores) -> None:
    with pytest.raises(NotFound):
        await stores.inbox.receive(discord("m1", channel="web:c1"))  # nobody signed in
    with pytest.raises(NotFound):
        await stores.threads.channel("web:c1")
    owner = await stores.users.ensure_owner()
    assert (await stores.inbox.receive(web("m1", owner.person))).created


async def test_two_people_may_use_the_same_client_id(stores: Stores) -> None:
    owner = await stores.users.ensure_owner()
    other = await stores.users.create("other", owner.role)
    first = await stores.inbox.receive(web("m1", owner.person, channel="api:a"))
    second = await stores.inbox.receive(web("m1", other.person, channel="api:b"))
    assert first.task != second.task


async def test_concurrent_messages_are_all_kept(stores: Stores) -> None:
    receipts = await asyncio.gather(*(stores.inbox.receive(discord(f"m{n}", f"text {n}")) for n in range(60)))
    stored = await stores.threads.recent("discord:c1", before=None, limit=100)
    assert sorted(receipt.message for receipt in receipts) == [message.id for message in stored]
    assert len({receipt.thread for receipt in receipts}) == 1


async def test_one_account_is_one_person_whose_name_follows(stores: Stores) -> None:
    await stores.inbox.receive(discord("m1", sender=Sender("u1", "Ada")))
    await stores.inbox.receive(discord("m2", sender=Sender("u1", "Ada L.")))
    await stores.inbox.receive(discord("m3", sender=Sender("u2", "Bob")))
    messages = await stores.threads.recent("discord:c1", before=None, limit=9)
    assert [message.author_name for message in messages] == ["Ada", "Ada L.", "Bob"]
    assert messages[0].person == messages[1].person != messages[2].person
    assert messages[0].person is not None
    assert (await stores.people.person(messages[0].person)).timezone == "UTC"


async def test_the_work_of_a_message_carries_its_sender(stores: Stores) -> None:
    receipt = await stores.inbox.receive(discord("m1", "hi", server=ServerRef("discord", "g1", "Guild")))
    work = await claimed(stores)
    assert (work.lease.task, work.message, work.thread) == (receipt.task, receipt.message, receipt.thread)
    assert (work.text, work.channel) == ("hi", "discord:c1")
    assert (work.requester.account, work.requester.platform) == ("u1", "discord")
    assert work.requester.server == (await stores.threads.channel("discord:c1")).server is not None


async def test_history_has_times_replies_and_attachments(stores: Stores) -> None:
    await stores.inbox.receive(discord("m1", attachments=(Attachment("a.png", "image/png", 12, "https://x/a"),)))
    await stores.inbox.receive(discord("m2", reply_to="m1"))
    first, second = await stores.threads.recent("discord:c1", before=None, limit=9)
    assert [(file.name, file.media_type, file.size) for file in first.attachments] == [("a.png", "image/png", 12)]
    assert second.reply_to == first.id
    assert (first.at, first.author, first.native_id) == (AT, Author.PERSON, "m1")
    assert first.task is not None
    assert [m.id for m in await stores.threads.recent("discord:c1", before=second.id, limit=9)] == [first.id]
    assert await stores.threads.recent("discord:unknown", before=None, limit=9) == []


async def test_a_thread_goes_on_until_it_is_idle(stores: Stores, store_clock: FakeClock) -> None:
    lease = await started(stores, "m1")
    first = (await stores.tasks.get(lease.task)).thread
    store_clock.move(minutes=20)
    assert (await stores.inbox.receive(discord("m2"))).thread == first, "work was left in it"
    await stores.tasks.finish(lease, done())
    await stores.tasks.finish((await claimed(stores)).lease, done())
    store_clock.move(minutes=4)
    lease = await started(stores, "m3")
    assert (await stores.tasks.get(lease.task)).thread == first
    await stores.tasks.finish(lease, done())
    store_clock.move(minutes=6)
    second = (await stores.inbox.receive(discord("m4"))).thread
    assert second != first
    assert (await stores.threads.thread(first)).state is ThreadState.CLOSED
    assert (await stores.threads.thread(second)).state is ThreadState.ACTIVE


async def _closed_thread(stores: Stores, store_clock: FakeClock, native_id: str) -> int:
    lease = await started(stores, native_id)
    await stores.tasks.finish(lease, done("an answer"))
    (delivery,) = await stores.outbox.claim("sender", 9, 30, ["discord"])
    await stores.outbox.sent("sender", delivery.reply, f"answer-to-{native_id}")
    thread = (await stores.tasks.get(lease.task)).thread
    store_clock.move(minutes=10)
    await stores.schedule.fire_due(100)
    assert (await stores.threads.thread(thread)).state is ThreadState.CLOSED
    return thread


@pytest.mark.parametrize("reply_to", ["m1", "answer-to-m1"])
async def test_a_reply_reopens_a_closed_thread(stores: Stores, store_clock: FakeClock, reply_to: str) -> None:
    thread = await _closed_thread(stores, store_clock, "m1")
    assert (await stores.inbox.receive(discord("m2", reply_to=reply_to))).thread == thread
    assert (await stores.threads.thread(thread)).state is ThreadState.ACTIVE
    assert (await stores.threads.thread(thread)).closed_at is None


async def test_a_reply_to_a_closed_thread_goes_to_the_one_in_use(stores: Stores, store_clock: FakeClock) -> None:
    old = await _closed_thread(stores, store_clock, "m1")
    current = (await stores.inbox.receive(discord("m2"))).thread
    assert (await stores.inbox.receive(discord("m3", reply_to="m1"))).thread == current
    assert (await stores.threads.thread(old)).state is ThreadState.CLOSED


async def test_a_web_reply_names_our_own_message_id(stores: Stores) -> None:
    owner = await stores.users.ensure_owner()
    first = await stores.inbox.receive(web("m1", owner.person))
    await stores.inbox.receive(web("m2", owner.person, reply_to=str(first.message)))
    assert (await stores.threads.recent("web:c1", before=None, limit=9))[1].reply_to == first.message


async def test_the_cursor_commits_with_the_message(stores: Stores) -> None:
    assert await stores.inbox.cursor("discord", "bot", "discord:c1") == ""
    await stores.inbox.receive(discord("m1", "one", cursor="9"))
    await stores.inbox.receive(discord("m2", cursor="10"))
    await stores.inbox.receive(discord("m0", cursor="8"))
    assert await stores.inbox.cursor("discord", "bot", "discord:c1") == "10", "it only moves forward"
    with pytest.raises(Conflict):
        await stores.inbox.receive(discord("m1", "another", cursor="11"))
    assert await stores.inbox.cursor("discord", "bot", "discord:c1") == "10", "a refused message does not move it"
    await stores.inbox.receive(discord("n1", channel="discord:c2", cursor="30"))
    assert await stores.inbox.cursor("discord", "bot", "") == "30"


@pytest.mark.parametrize("native_id", ["", "x" * 201, "a\x00b", "a\ud800b", "a\nb"])
async def test_ids_that_cannot_be_kept_whole_are_refused(stores: Stores, native_id: str) -> None:
    with pytest.raises(InvalidInput):
        await stores.inbox.receive(discord(native_id))
    assert (await stores.tasks.counts())["queued"] == 0


async def test_garbled_names_are_made_storable(stores: Stores) -> None:
    await stores.inbox.receive(discord("m1", sender=Sender("u1", "A\x00d\ud800a" + "x" * 500), channel_title="t\x00"))
    (message,) = await stores.threads.recent("discord:c1", before=None, limit=9)
    assert message.author_name.startswith("Ad?a")
    assert len(message.author_name) == 200


@pytest.mark.parametrize("number", [0, -1, 2**62, 10**30])
async def test_ids_that_nothing_has_are_not_found(stores: Stores, number: int) -> None:
    for find in (stores.tasks.get, stores.tasks.cancel, stores.threads.thread, stores.approvals.get):
        with pytest.raises(NotFound):
            await find(number)
    assert (await stores.inbox.receive(discord("m1"))).created


async def test_a_task_starts_queued_and_unanswered(stores: Stores) -> None:
    receipt = await stores.inbox.receive(discord("m1"))
    task = await stores.tasks.get(receipt.task)
    assert (task.state, task.attempt, task.reply, task.tools, task.usage, task.error) == (
        TaskState.QUEUED,
        0,
        None,
        (),
        {},
        None,
    )
