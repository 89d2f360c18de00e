"""The outbox of the store: in order per channel, once, with drafts, doubt and dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.domain.errors import Conflict, LeaseLost, NotFound
from antiphon.domain.replies import Delivery, ReplyKind
from tests.contract.store_work import AT, claimed, delivered, done, started, web
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

SENDER = "sender"


async def _answered(stores: Stores, native_id: str, text: str, channel: str = "discord:c1") -> None:
    await stores.tasks.finish(await started(stores, native_id, channel=channel), done(text))


async def _claim(stores: Stores, owner: str = SENDER) -> list[Delivery]:
    return list(await stores.outbox.claim(owner, 10, 30, ["discord"]))


async def _claim_one(stores: Stores, owner: str = SENDER) -> Delivery:
    (delivery,) = await _claim(stores, owner)
    return delivery


async def test_a_delivery_says_all_a_platform_needs(stores: Stores) -> None:
    lease = await started(stores, "m1")
    await stores.tasks.finish(lease, done("hi"))
    delivery = await _claim_one(stores)
    answer = (await stores.threads.recent("discord:c1", before=None, limit=9))[-1]
    assert delivery == Delivery(
        reply=delivery.reply,
        channel="discord:c1",
        text="hi",
        kind=ReplyKind.ANSWER,
        attempt=1,
        task=lease.task,
        turn_attempt=1,
        message=answer.id,
        reply_to="m1",
        created_at=AT,
    )
    await stores.outbox.sent(SENDER, delivery.reply, "n1")
    assert (await stores.threads.recent("discord:c1", before=None, limit=9))[-1].native_id == "n1"


async def test_replies_leave_in_order_one_at_a_time_per_channel(stores: Stores) -> None:
    for n in range(3):
        await _answered(stores, f"m{n}", f"a{n}")
    await _answered(stores, "m0", "b0", "discord:c2")
    first = await _claim(stores)
    assert [delivery.text for delivery in first] == ["a0", "b0"]
    assert await _claim(stores, "another") == []
    await stores.outbox.sent(SENDER, first[0].reply, "n")
    second = await _claim_one(stores)
    assert second.text == "a1"
    await stores.outbox.sent(SENDER, second.reply, "n")
    assert (await _claim_one(stores)).text == "a2"


async def test_backing_off_blocks_its_own_channel_only(stores: Stores, store_clock: FakeClock) -> None:
    await _answered(stores, "m1", "a1")
    await _answered(stores, "m2", "a2")
    await _answered(stores, "m1", "b1", "discord:c2")
    first, other = await _claim(stores)
    await stores.outbox.later(SENDER, first.reply, 10, "rate limited", doubtful=False)
    await stores.outbox.sent(SENDER, other.reply, "n")
    assert await _claim(stores) == []
    store_clock.move(seconds=10)
    again = await _claim_one(stores)
    assert (again.text, again.attempt, again.doubtful) == ("a1", 2, False)
    assert again.nonce == first.nonce


@pytest.mark.parametrize("doubtful", [True, False])
async def test_doubt_about_a_failed_send_is_remembered(stores: Stores, store_clock: FakeClock, doubtful: bool) -> None:
    await _answered(stores, "m1", "a1")
    first = await _claim_one(stores)
    await stores.outbox.later(SENDER, first.reply, 1, "time-out", doubtful=doubtful)
    store_clock.move(seconds=1)
    assert (await _claim_one(stores)).doubtful is doubtful


async def test_what_a_lost_sender_held_comes_back_doubtful(stores: Stores, store_clock: FakeClock) -> None:
    await _answered(stores, "m1", "a1")
    first = await _claim_one(stores)
    assert await _claim(stores, "another") == []
    store_clock.move(seconds=31)
    again = await _claim_one(stores, "another")
    assert (again.reply, again.doubtful, again.attempt) == (first.reply, True, 2)
    for late in (
        stores.outbox.sent(SENDER, first.reply, "n"),
        stores.outbox.later(SENDER, first.reply, 1, "x", doubtful=False),
        stores.outbox.dead(SENDER, first.reply, "x"),
    ):
        with pytest.raises(LeaseLost):
            await late
    await stores.outbox.sent("another", again.reply, "n")
    await stores.outbox.sent("another", again.reply, "n")  # repeated unheard
    assert await _claim(stores) == []


async def test_a_dead_letter_frees_its_channel_and_can_be_revived(stores: Stores) -> None:
    await _answered(stores, "m1", "a1")
    await _answered(stores, "m2", "a2")
    first = await _claim_one(stores)
    await stores.outbox.dead(SENDER, first.reply, "The channel is gone.")
    second = await _claim_one(stores)
    assert second.text == "a2"
    await stores.outbox.revive(first.reply)
    assert await _claim(stores) == [], "one at a time"
    await stores.outbox.sent(SENDER, second.reply, "n")
    again = await _claim_one(stores)
    assert (again.reply, again.attempt, again.doubtful) == (first.reply, 1, False)
    with pytest.raises(Conflict):
        await stores.outbox.revive(second.reply)
    with pytest.raises(NotFound):
        await stores.outbox.revive(999_999)


async def test_only_the_asked_platforms_are_claimed(stores: Stores) -> None:
    owner = await stores.users.ensure_owner()
    await stores.inbox.receive(web("m1", owner.person))
    await stores.tasks.finish((await claimed(stores)).lease, done("for the web"))
    assert await _claim(stores) == []
    assert await stores.outbox.claim(SENDER, 10, 30, []) == []
    assert await delivered(stores, "web") == ["for the web"]


async def test_a_draft_is_opened_once_and_becomes_the_answer(stores: Stores) -> None:
    lease = await started(stores)
    draft = await stores.outbox.open_draft(lease)
    assert (draft.native_id, draft.doubtful, draft.text) == ("", False, "")
    assert await _claim(stores) == [], "the runner shows drafts itself"
    await stores.outbox.draft_sent(draft.reply, "shown")
    again = await stores.outbox.open_draft(lease)
    assert (again.reply, again.native_id, again.doubtful) == (draft.reply, "shown", False)
    await stores.tasks.finish(lease, done("final words"))
    delivery = await _claim_one(stores)
    assert (delivery.reply, delivery.native_id, delivery.text) == (draft.reply, "shown", "final words")
    assert delivery.reply_to == "m1"


async def test_a_replay_finds_the_draft_of_the_first_attempt(stores: Stores) -> None:
    lease = await started(stores)
    draft = await stores.outbox.open_draft(lease)  # and then the process is killed, perhaps after sending it
    await stores.tasks.reap(owners_are_gone=True)
    again = await stores.outbox.open_draft((await claimed(stores, "worker-2")).lease)
    assert (again.reply, again.native_id, again.doubtful) == (draft.reply, "", True)


async def test_a_draft_known_to_be_unsent_is_not_doubtful(stores: Stores) -> None:
    lease = await started(stores)
    draft = await stores.outbox.open_draft(lease)
    await stores.outbox.draft_sent(draft.reply, "")
    await stores.tasks.finish(lease, done())
    assert not (await _claim_one(stores)).doubtful


async def test_an_answer_over_an_unconfirmed_draft_is_doubtful(stores: Stores) -> None:
    lease = await started(stores)
    await stores.outbox.open_draft(lease)
    await stores.tasks.finish(lease, done())
    assert (await _claim_one(stores)).doubtful


async def test_an_edited_reply_is_never_doubtful(stores: Stores, store_clock: FakeClock) -> None:
    lease = await started(stores)
    draft = await stores.outbox.open_draft(lease)
    await stores.outbox.draft_sent(draft.reply, "shown")
    await stores.tasks.finish(lease, done())
    await _claim_one(stores)
    store_clock.move(seconds=31)
    again = await _claim_one(stores, "another")
    assert (again.native_id, again.doubtful) == ("shown", False), "editing twice is harmless"
