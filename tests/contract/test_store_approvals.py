"""Approvals and the record of tool calls: fail closed, used once, bound to the arguments, never run twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from antiphon.domain.approvals import Approval, ApprovalState
from antiphon.domain.errors import Conflict, InvalidInput, LeaseLost, NotFound
from antiphon.domain.tools import ExecutionKey, ExecutionStatus
from antiphon.domain.work import Lease, TaskState
from tests.contract.store_work import AT, asking, claimed, started
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

TOOL = "memory.forget_all"


async def _asked(stores: Stores, *hashes: str) -> list[Approval]:
    return list(await stores.tasks.pause(await started(stores), asking(*hashes)))


async def _approved(stores: Stores) -> tuple[Lease, Approval]:
    """A task that goes on with its one approval given."""
    (approval,) = await _asked(stores, "h1")
    await stores.approvals.decide(approval.id, ApprovalState.APPROVED, approval.requester)
    return (await claimed(stores)).lease, approval


def _key(task: int, digest: str = "h1", occurrence: int = 0, tool: str = TOOL) -> ExecutionKey:
    return ExecutionKey(task, tool, digest, occurrence)


async def test_an_approval_is_kept_as_it_was_asked(stores: Stores) -> None:
    (approval,) = await _asked(stores, "h1")
    assert approval == await stores.approvals.get(approval.id)
    assert (approval.tool, approval.arguments, approval.arguments_hash) == (TOOL, {"number": 0}, "h1")
    assert (approval.state, approval.created_at, approval.expires_at) == (
        ApprovalState.PENDING,
        AT,
        AT + timedelta(minutes=10),
    )
    assert await stores.approvals.pending("discord:c1") == [approval]
    assert await stores.approvals.pending("discord:other") == []
    with pytest.raises(NotFound):
        await stores.approvals.get(999_999)


async def test_a_decision_is_made_once(stores: Stores) -> None:
    (approval,) = await _asked(stores, "h1")
    who = approval.requester
    decided = await stores.approvals.decide(approval.id, ApprovalState.APPROVED, who)
    assert (decided.state, decided.decided_by, decided.decided_at) == (ApprovalState.APPROVED, who, AT)
    assert await stores.approvals.decide(approval.id, ApprovalState.APPROVED, who) == decided
    other = (await stores.users.ensure_owner()).person
    for state, by in ((ApprovalState.DENIED, who), (ApprovalState.APPROVED, other)):
        with pytest.raises(Conflict):
            await stores.approvals.decide(approval.id, state, by)
    assert await stores.approvals.pending() == []


@pytest.mark.parametrize("state", [ApprovalState.PENDING, ApprovalState.CONSUMED, ApprovalState.EXPIRED])
async def test_only_yes_and_no_are_decisions(stores: Stores, state: ApprovalState) -> None:
    (approval,) = await _asked(stores, "h1")
    with pytest.raises(InvalidInput):
        await stores.approvals.decide(approval.id, state, approval.requester)


async def test_it_is_too_late_after_the_expiry(stores: Stores, store_clock: FakeClock) -> None:
    (approval,) = await _asked(stores, "h1")
    store_clock.move(minutes=10)
    with pytest.raises(Conflict):
        await stores.approvals.decide(approval.id, ApprovalState.APPROVED, approval.requester)
    assert await stores.approvals.pending() == []
    assert await stores.schedule.fire_due(100) == 1
    assert (await stores.approvals.get(approval.id)).state is ApprovalState.EXPIRED
    work = await claimed(stores)
    assert (work.lease.task, work.resume) == (approval.task, True)


async def test_two_last_decisions_at_once_queue_the_task_again(stores: Stores) -> None:
    for round_ in range(10):
        lease = await started(stores, f"m{round_}", channel=f"discord:{round_}")
        approvals = await stores.tasks.pause(lease, asking("h1", "h2"))
        await asyncio.gather(
            *(stores.approvals.decide(one.id, ApprovalState.APPROVED, one.requester) for one in approvals)
        )
        assert (await stores.tasks.get(lease.task)).state is TaskState.QUEUED


async def test_an_approval_is_used_up_by_one_call(stores: Stores) -> None:
    lease, approval = await _approved(stores)
    first = await stores.executions.begin(_key(lease.task), {"number": 0}, lease=lease, approval=approval.id)
    assert (first.fresh, first.approval, first.status) == (True, approval.id, ExecutionStatus.STARTED)
    assert (await stores.approvals.get(approval.id)).state is ApprovalState.CONSUMED
    with pytest.raises(Conflict, match="used before"):
        await stores.executions.begin(_key(lease.task, occurrence=1), {}, lease=lease, approval=approval.id)
    replayed = await stores.executions.begin(_key(lease.task), {"number": 0}, lease=lease, approval=approval.id)
    assert (replayed.id, replayed.fresh) == (first.id, False)
    decided = await stores.approvals.decide(approval.id, ApprovalState.APPROVED, approval.requester)
    assert decided.state is ApprovalState.CONSUMED, "the same decision again changes nothing"
    with pytest.raises(Conflict, match="approved before"):
        await stores.approvals.decide(approval.id, ApprovalState.DENIED, approval.requester)


async def test_an_approval_is_bound_to_its_call(stores: Stores) -> None:
    lease, approval = await _approved(stores)
    other = await started(stores, "m9", channel="discord:c9")
    for key, of in (
        (_key(lease.task, "another hash"), lease),
        (_key(lease.task, tool="memory.forget"), lease),
        (_key(other.task), other),
    ):
        with pytest.raises(Conflict):
            await stores.executions.begin(key, {}, lease=of, approval=approval.id)
    with pytest.raises(Conflict):
        await stores.executions.begin(_key(lease.task), {}, lease=lease, approval=999_999)
    assert (await stores.tasks.get(lease.task)).tools == ()
    assert (await stores.approvals.get(approval.id)).state is ApprovalState.APPROVED


async def test_a_refused_or_expired_approval_starts_nothing(stores: Stores, store_clock: FakeClock) -> None:
    (approval,) = await _asked(stores, "h1")
    await stores.approvals.decide(approval.id, ApprovalState.DENIED, approval.requester)
    lease = (await claimed(stores)).lease
    with pytest.raises(Conflict, match="not approved"):
        await stores.executions.begin(_key(lease.task), {}, lease=lease, approval=approval.id)
    (second,) = await stores.tasks.pause(lease, asking("h2"))
    await stores.approvals.decide(second.id, ApprovalState.APPROVED, second.requester)
    store_clock.move(minutes=11)
    lease = (await claimed(stores)).lease
    with pytest.raises(Conflict, match="expired"):
        await stores.executions.begin(_key(lease.task, "h2"), {}, lease=lease, approval=second.id)
    assert (await stores.tasks.get(lease.task)).tools == ()


async def test_a_call_is_recorded_once_and_ends_once(stores: Stores) -> None:
    lease = await started(stores)
    key = _key(lease.task, tool="dice.roll")
    records = await asyncio.gather(
        *(stores.executions.begin(key, {"sides": 6}, lease=lease, approval=None) for _ in range(8))
    )
    assert len({record.id for record in records}) == 1
    assert sum(record.fresh for record in records) == 1
    await stores.executions.end(records[0].id, ExecutionStatus.OK, "4", 0.1)
    await stores.executions.end(records[0].id, ExecutionStatus.FAILED, "5", 9.9)
    again = await stores.executions.begin(key, {"sides": 6}, lease=lease, approval=None)
    assert (again.status, again.result, again.seconds, again.arguments) == (ExecutionStatus.OK, "4", 0.1, {"sides": 6})
    second = await stores.executions.begin(
        _key(lease.task, tool="dice.roll", occurrence=1), {}, lease=lease, approval=None
    )
    assert second.fresh


async def test_a_lost_lease_starts_no_tool(stores: Stores) -> None:
    lease = await started(stores)
    await stores.tasks.reap(owners_are_gone=True)
    with pytest.raises(LeaseLost):
        await stores.executions.begin(_key(lease.task), {}, lease=lease, approval=None)
    with pytest.raises(NotFound):
        await stores.executions.begin(_key(999_999), {}, lease=None, approval=None)
    assert (await stores.executions.begin(_key(lease.task), {}, lease=None, approval=None)).fresh
