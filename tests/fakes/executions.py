"""The record of tool calls in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from antiphon.domain.errors import LeaseLost, StoreUnavailable
from antiphon.domain.tools import ExecutionKey, ExecutionStatus, ToolExecution
from antiphon.domain.work import Lease
from tests.fakes.approvals import FakeApprovals
from tests.fakes.clock import FakeClock


class FakeExecutions:
    """Implements `domain.tools.ExecutionStore`. `lost` names leases that are gone; `down` counts failures to come."""

    def __init__(self, clock: FakeClock | None = None, approvals: FakeApprovals | None = None) -> None:
        self._clock = clock or FakeClock()
        self.approvals = approvals or FakeApprovals(self._clock)
        self.rows: dict[ExecutionKey, ToolExecution] = {}
        self.lost: set[Lease] = set()
        self.down = 0

    def all(self) -> list[ToolExecution]:
        """Every record, oldest first."""
        return list(self.rows.values())

    def _check(self) -> None:
        if self.down:
            self.down -= 1
            raise StoreUnavailable("The database does not answer.")

    async def begin(
        self, key: ExecutionKey, arguments: Mapping[str, object], *, lease: Lease | None, approval: int | None
    ) -> ToolExecution:
        """Record a call, or return the earlier record."""
        self._check()
        if lease is not None and lease in self.lost:
            raise LeaseLost("The task belongs to somebody else now.")
        if key in self.rows:
            return replace(self.rows[key], fresh=False)
        if approval is not None:
            self.approvals.consume(approval, key.arguments_hash)
        row = ToolExecution(
            id=len(self.rows) + 1,
            key=key,
            status=ExecutionStatus.STARTED,
            arguments=dict(arguments),
            started_at=self._clock.now(),
            approval=approval,
        )
        self.rows[key] = row
        return row

    async def end(self, execution: int, status: ExecutionStatus, result: str, seconds: float) -> None:
        """Record the end once."""
        self._check()
        for key, row in self.rows.items():
            if row.id == execution and row.status is ExecutionStatus.STARTED:
                self.rows[key] = replace(row, status=status, result=result, seconds=seconds)
