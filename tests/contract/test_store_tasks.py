"""The runner's side of the store: claims, leases, fenced ends, pauses, dead letters."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.approvals import ApprovalState
from antiphon.domain.conversation import Author
from antiphon.domain.errors import Conflict, InvalidInput, LeaseLost, NotFound
from antiphon.domain.replies import ReplyKind
from antiphon.domain.tools import ExecutionKey, ExecutionStatus
from antiphon.domain.work import Lease, Outcome, TaskFailure, TaskState, Usage
from tests.contract.store_work import OWNER, asking, claimed, delivered, discord, done, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

DISCORD = ["discord"]


async def test_one_task_runs_per_channel_in_order(stores: Stores) -> None:
    for n in range(3):
        await stores.inbox.receive(discord(f"a{n}", f"a{n}", channel="discord:a"))
        await stores.inbox.receive(discord(f"b{n}", f"b{n}", channel="discord:b"))
    seen: list[str] = []
    for _ in range(3):
        works = await stores.tasks.claim(OWNER, 10, 30)
        assert sorted(work.channel for work in works) == ["discord:a", "discord:b"]
        assert await stores.tasks.claim("another", 10, 30) == []
        for work in works:
            seen.append(work.text)
            await stores.tasks.finish(work.lease, done())
    assert [text for text in seen if text[0] == "a"] == ["a0", "a1", "a2"]
    assert [text for text in seen if text[0] == "b"] == ["b0", "b1", "b2"]


async def test_a_claim_takes_no_more_than_its_limit_oldest_first(stores: Stores) -> None:
    for n in range(5):
        await stores.inbox.receive(discord(f"m{n}", f"m{n}", channel=f"discord:{n}"))
    assert [work.text for work in await stores.tasks.claim(OWNER, 2, 30)] == ["m0", "m1"]
    assert [work.text for work in await stores.tasks.claim(OWNER, 2, 30)] == ["m2", "m3"]


async def test_concurrent_workers_never_hold_the_same_channel(store_settings: Settings, store_clock: FakeClock) -> None:
    from antiphon.store.stores import open_stores

    async with contextlib.AsyncExitStack() as stack:
        workers = []
        for _ in range(3):
            opened = open_stores(store_settings, store_clock, LocalSignals())
            stack.push_async_callback(opened.close)
            workers.append(opened)
        for n in range(60):
            await workers[0].inbox.receive(discord(f"m{n}", str(n), channel=f"discord:{n % 6}"))
        holding: Counter[str] = Counter()
        order: dict[str, list[int]] = {}

        async def work_off(stores: Stores, owner: str) -> None:
            idle = 0
            while idle < 3:
                works = await stores.tasks.claim(owner, 2, 30)
                idle = 0 if works else idle + 1
                for work in works:
                    holding[work.channel] += 1
                    assert holding[work.channel] == 1
                    order.setdefault(work.channel, []).append(int(work.text))
                await asyncio.sleep(0.001)
                for work in works:
                    holding[work.channel] -= 1
                    await stores.tasks.finish(work.lease, done())

        await asyncio.gather(*(work_off(stores, f"w{n}") for n, stores in enumerate(workers)))
        assert (await workers[0].tasks.counts())["done"] == 60
        assert all(numbers == sorted(numbers) for numbers in order.values())


async def test_finishing_writes_everything_at_once(stores: Stores) -> None:
    lease = await started(stores)
    key = ExecutionKey(lease.task, "clock.now", "h", 0)
    execution = await stores.executions.begin(key, {}, lease=lease, approval=None)
    await stores.executions.end(execution.id, ExecutionStatus.OK, "noon", 0.5)
    usage = Usage(requests=2, input_tokens=10, output_tokens=5, tool_calls=1, cost=0.25, seconds=1.5, model="offline")
    await stores.tasks.finish(lease, Outcome(TaskState.DONE, "It is noon.", ("It is", " noon."), usage))
    task = await stores.tasks.get(lease.task)
    assert (task.state, task.reply, task.attempt) == (TaskState.DONE, "It is noon.", 1)
    assert task.tools == ({"execution": str(execution.id), "tool": "clock.now", "status": "ok", "seconds": 0.5},)
    assert task.usage == {
        "requests": 2,
        "input_tokens": 10,
        "output_tokens": 5,
        "tool_calls": 1,
        "cost": 0.25,
        "seconds": 1.5,
        "model": "offline",
    }
    question, answer = await stores.threads.recent("discord:c1", before=None, limit=9)
    assert (answer.author, answer.text, answer.task, answer.reply_to) == (
        Author.AGENT,
        "It is noon.",
        lease.task,
        question.id,
    )
    assert await delivered(stores) == ["It is", " noon."]


async def test_a_lost_lease_writes_nothing(stores: Stores, store_clock: FakeClock) -> None:
    lease = await started(stores)
    store_clock.move(seconds=31)
    assert await stores.tasks.reap() == 1
    taken = await claimed(stores, "worker-2")
    assert taken.lease.attempt == 2
    with pytest.raises(LeaseLost):
        await stores.tasks.finish(lease, done("from the lost one"))
    with pytest.raises(LeaseLost):
        await stores.tasks.pause(lease, asking("h"))
    with pytest.raises(LeaseLost):
        await stores.tasks.retry_later(lease, TaskFailure("x", "y"), 1)
    with pytest.raises(LeaseLost):
        await stores.outbox.open_draft(lease)
    await stores.tasks.finish(taken.lease, done("from the new one"))
    assert await delivered(stores) == ["from the new one"]
    assert len(await stores.threads.recent("discord:c1", before=None, limit=9)) == 2


async def test_the_same_end_may_be_repeated_by_its_owner_only(stores: Stores) -> None:
    lease = await started(stores)
    await stores.tasks.finish(lease, done())
    await stores.tasks.finish(lease, done())
    with pytest.raises(LeaseLost):
        await stores.tasks.finish(Lease(lease.task, "somebody else", lease.attempt), done())
    with pytest.raises(LeaseLost):
        await stores.tasks.finish(lease, Outcome(TaskState.CANCELLED, "", ()))
    assert await delivered(stores) == ["answer"]


async def test_leases_are_renewed_and_tell_of_a_wish_to_stop(stores: Stores, store_clock: FakeClock) -> None:
    first = await started(stores, "m1")
    second = await started(stores, "m2", channel="discord:c2")
    store_clock.move(seconds=20)
    assert await stores.tasks.renew(OWNER, [first.task], 30) == {first.task: False}
    store_clock.move(seconds=20)
    assert await stores.tasks.reap() == 1
    assert (await stores.tasks.cancel(first.task)).state is TaskState.RUNNING
    assert await stores.tasks.renew(OWNER, [first.task, second.task], 30) == {first.task: True}
    assert await stores.tasks.renew("another", [first.task], 30) == {}
    assert await stores.tasks.renew(OWNER, [], 30) == {}


async def test_a_task_retried_later_keeps_its_place(stores: Stores, store_clock: FakeClock) -> None:
    lease = await started(stores, "m1")
    await stores.inbox.receive(discord("m2", "second"))
    await stores.tasks.retry_later(lease, TaskFailure("model_failed", "The model was away."), 10)
    await stores.tasks.retry_later(lease, TaskFailure("model_failed", "The model was away."), 10)
    assert await stores.tasks.claim(OWNER, 10, 30) == []
    task = await stores.tasks.get(lease.task)
    assert (task.state, task.error) == (TaskState.QUEUED, TaskFailure("model_failed", "The model was away."))
    store_clock.move(seconds=10)
    work = await claimed(stores)
    assert (work.lease.task, work.lease.attempt, work.tries) == (lease.task, 2, 2)
    await stores.tasks.finish(work.lease, done())
    assert (await stores.tasks.get(lease.task)).error is None
    assert (await claimed(stores)).text == "second"


async def test_given_back_tasks_are_not_charged(stores: Stores) -> None:
    await stores.inbox.receive(discord("m1"))
    for turn in range(1, 8):
        work = await claimed(stores)
        assert (work.lease.attempt, work.tries) == (turn, 1)
        await stores.tasks.give_back(OWNER, [work.lease.task])
    assert await stores.tasks.bury(5, "I gave up.") == []


async def test_a_task_that_kills_its_workers_is_buried(stores: Stores) -> None:
    lease = await started(stores, "m1")
    await stores.inbox.receive(discord("m2", "second"))
    for _ in range(4):
        await stores.tasks.reap(owners_are_gone=True)
        await claimed(stores)
    assert await stores.tasks.bury(5, "I gave up.") == [], "it is running, perhaps well"
    await stores.tasks.reap(owners_are_gone=True)
    assert await stores.tasks.claim(OWNER, 10, 30) == []
    assert await stores.tasks.bury(5, "I gave up.") == [lease.task]
    task = await stores.tasks.get(lease.task)
    assert (task.state, task.reply) == (TaskState.DEAD, "I gave up.")
    assert task.error == TaskFailure("gave_up", "I gave up.")
    assert await delivered(stores) == ["I gave up."]
    assert (await claimed(stores)).text == "second"


async def test_a_buried_task_replaces_its_draft(stores: Stores) -> None:
    lease = await started(stores)
    draft = await stores.outbox.open_draft(lease)
    await stores.outbox.draft_sent(draft.reply, "shown")
    for _ in range(4):
        await stores.tasks.reap(owners_are_gone=True)
        await claimed(stores)
    await stores.tasks.reap(owners_are_gone=True)
    await stores.tasks.bury(5, "I gave up.")
    (delivery,) = await stores.outbox.claim("sender", 9, 30, DISCORD)
    assert (delivery.reply, delivery.native_id, delivery.text) == (draft.reply, "shown", "I gave up.")
    assert delivery.kind is ReplyKind.NOTICE


async def test_a_failed_turn_tells_the_person_and_can_be_retried_by_hand(stores: Stores) -> None:
    lease = await started(stores)
    failure = TaskFailure("model_failed", "No model.")
    await stores.tasks.finish(lease, Outcome(TaskState.DEAD, "It failed.", ("It failed.",), failure=failure))
    assert (await stores.tasks.get(lease.task)).error == failure
    assert await delivered(stores) == ["It failed."]
    task = await stores.tasks.retry(lease.task)
    assert (task.state, task.error) == (TaskState.QUEUED, None)
    with pytest.raises(Conflict):
        await stores.tasks.retry(lease.task)
    work = await claimed(stores)
    assert (work.lease.attempt, work.tries, work.resume) == (2, 1, False), "listeners can tell it from the first"
    await stores.tasks.finish(work.lease, Outcome(TaskState.DEAD, "Again.", ("Again.",), failure=failure))
    await stores.tasks.retry(lease.task)
    await stores.tasks.finish((await claimed(stores)).lease, done("At last."))
    assert await delivered(stores) == ["Again.", "At last."]
    assert (await stores.tasks.get(lease.task)).reply == "At last."


async def test_a_pause_releases_the_channel_and_goes_on_first(stores: Stores) -> None:
    lease = await started(stores, "m1")
    approvals = await stores.tasks.pause(lease, asking("h1", "h2", text="Let me see."))
    assert [approval.state for approval in approvals] == [ApprovalState.PENDING] * 2
    assert approvals == await stores.tasks.pause(lease, asking("h1", "h2", text="Let me see.")), "repeated unheard"
    words, notice = await delivered(stores)
    assert words == "Let me see."
    assert "Forget everything (h1)" in notice
    assert "Forget everything (h2)" in notice
    await stores.inbox.receive(discord("m2", "second"))
    await stores.inbox.receive(discord("m3", "third"))
    second = await claimed(stores)
    assert second.text == "second"
    person = approvals[0].requester
    await stores.approvals.decide(approvals[0].id, ApprovalState.APPROVED, person)
    assert (await stores.tasks.get(lease.task)).state is TaskState.WAITING
    await stores.approvals.decide(approvals[1].id, ApprovalState.DENIED, person)
    assert await stores.tasks.claim(OWNER, 10, 30) == [], "the channel is in use"
    await stores.tasks.finish(second.lease, done())
    resumed = await claimed(stores)
    assert (resumed.lease.task, resumed.resume, resumed.tries) == (lease.task, True, 1)
    resume = await stores.tasks.resume_of(resumed.lease)
    assert resume.snapshot == b"snapshot"
    assert [approval.state for approval in resume.approvals] == [ApprovalState.APPROVED, ApprovalState.DENIED]
    with pytest.raises(LeaseLost):
        await stores.tasks.resume_of(lease)
    await stores.tasks.finish(resumed.lease, done("All done."))
    assert await delivered(stores) == ["answer", "All done."]
    assert (await claimed(stores)).text == "third"


async def test_a_task_may_pause_twice(stores: Stores) -> None:
    lease = await started(stores)
    for digest in ("h1", "h2"):
        (approval,) = await stores.tasks.pause(lease, asking(digest))
        await stores.approvals.decide(approval.id, ApprovalState.APPROVED, approval.requester)
        lease = (await claimed(stores)).lease
        (stored,) = (await stores.tasks.resume_of(lease)).approvals
        assert stored.arguments_hash == digest
    await stores.tasks.finish(lease, done())
    assert len(await delivered(stores)) == 3
    assert (await stores.tasks.get(lease.task)).usage["requests"] == 2


async def test_a_pause_asks_for_something(stores: Stores) -> None:
    lease = await started(stores)
    with pytest.raises(InvalidInput):
        await stores.tasks.pause(lease, asking())
    assert (await stores.tasks.get(lease.task)).state is TaskState.RUNNING


async def test_only_a_paused_task_can_be_resumed(stores: Stores) -> None:
    with pytest.raises(NotFound):
        await stores.tasks.resume_of(await started(stores))


async def test_cancelling_what_waits_is_final(stores: Stores) -> None:
    queued = await stores.inbox.receive(discord("m0", channel="discord:q"))
    assert (await stores.tasks.cancel(queued.task)).state is TaskState.CANCELLED
    lease = await started(stores)
    (approval,) = await stores.tasks.pause(lease, asking("h"))
    assert (await stores.tasks.cancel(lease.task)).state is TaskState.CANCELLED
    assert (await stores.tasks.cancel(lease.task)).state is TaskState.CANCELLED
    assert (await stores.approvals.get(approval.id)).state is ApprovalState.CANCELLED
    with pytest.raises(Conflict):
        await stores.approvals.decide(approval.id, ApprovalState.APPROVED, approval.requester)
    assert await stores.tasks.claim(OWNER, 10, 30) == []
    with pytest.raises(NotFound):
        await stores.tasks.cancel(999_999)


async def test_a_finished_task_stays_finished(stores: Stores) -> None:
    lease = await started(stores)
    await stores.tasks.finish(lease, done())
    assert (await stores.tasks.cancel(lease.task)).state is TaskState.DONE
    with pytest.raises(Conflict):
        await stores.tasks.retry(lease.task)


async def test_a_stopped_turn_keeps_the_words_said_so_far(stores: Stores) -> None:
    lease = await started(stores)
    await stores.tasks.finish(lease, Outcome(TaskState.CANCELLED, "Half an", ("Half an",), interrupted=True))
    assert await delivered(stores) == ["Half an"]
    assert (await stores.threads.recent("discord:c1", before=None, limit=9))[-1].interrupted


@pytest.mark.parametrize(("native_id", "expected"), [("shown", ["Stopped."]), ("", [])])
async def test_a_draft_without_words_does_not_stay_open(stores: Stores, native_id: str, expected: list[str]) -> None:
    lease = await started(stores)
    draft = await stores.outbox.open_draft(lease)
    await stores.outbox.draft_sent(draft.reply, native_id)
    await stores.tasks.finish(lease, Outcome(TaskState.CANCELLED, "", ()))
    assert await delivered(stores) == expected


async def test_after_a_restart_everything_unfinished_comes_back(stores: Stores) -> None:
    first = await started(stores, "m1")
    await stores.tasks.finish(first, done())
    await stores.outbox.claim("sender", 9, 3000, DISCORD)
    second = await started(stores, "m2", channel="discord:c2")
    assert await stores.tasks.reap() == 0
    assert await stores.tasks.reap(owners_are_gone=True) == 1
    assert (await stores.tasks.get(second.task)).state is TaskState.QUEUED
    (delivery,) = await stores.outbox.claim("sender-2", 9, 30, DISCORD)
    assert delivery.doubtful


async def test_an_unfinished_end_is_refused(stores: Stores) -> None:
    lease = await started(stores)
    with pytest.raises(InvalidInput):
        await stores.tasks.finish(lease, Outcome(TaskState.WAITING, "", ()))


async def test_counts_name_every_state(stores: Stores) -> None:
    assert await stores.tasks.counts() == dict.fromkeys(map(str, TaskState), 0)
