"""THE choke point: every tool call of every surface goes through `CallSession.call`, and nothing else runs a tool.

The order is the guarantee: arguments are validated, then permission is checked, then the approval, then the call is
recorded, and only then does the tool run, with a timeout, its output capped and free of secrets. The brain opens one
session per turn. A tool that has started is never cancelled with its turn: it runs in a task of its own until its end
is recorded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from pydantic import BaseModel, ValidationError

from antiphon.domain.approvals import Approval, ApprovalState, ApproverRule
from antiphon.domain.clock import Clock
from antiphon.domain.errors import AntiphonError, Conflict, StoreUnavailable, ToolError
from antiphon.domain.identity import Person, Requester
from antiphon.domain.tools import ExecutionKey, ExecutionStatus, ExecutionStore, Risk, ToolExecution
from antiphon.domain.turns import ToolFinished, ToolStarted
from antiphon.domain.work import Lease
from antiphon.telemetry import metrics, tracing
from antiphon.telemetry.redaction import Redactor
from antiphon.tools.catalog import AnyTool, Catalog
from antiphon.tools.policy import ToolPolicy
from antiphon.tools.results import Outcome, render, summary_of
from antiphon.tools.tool import ToolCall

log = structlog.stdlib.get_logger(__name__)

_RECORD_AGAIN_AFTER = (0.2, 1.0, 3.0)
"""Seconds between tries to record the end of a call while the database is away."""

DENIED_WORDS = "You do not have the permission for this ({permission})."
UNKNOWN_WORDS = (
    "This was started before and then interrupted, so I cannot tell whether it took effect. "
    "I did not do it a second time; please check before you ask again."
)
LATE_WORDS = "This did not answer within {seconds:g} seconds, so I cannot tell whether it took effect."


class BadCall(ToolError):
    """There is no such tool, or its arguments are wrong. Nothing was recorded; the model may try again."""

    code = "bad_call"


class ApprovalNeeded(Exception):
    """A signal, not an error: a human has to agree first. Nothing was recorded and nothing ran."""

    def __init__(
        self, tool: str, arguments: dict[str, object], arguments_hash: str, summary: str, rule: ApproverRule
    ) -> None:
        super().__init__(f"{tool} needs an approval")
        self.tool = tool
        self.arguments = arguments
        self.arguments_hash = arguments_hash
        self.summary = summary
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Executed:
    """How a call ended. `result` is the text for the model, `summary` the line for a person."""

    execution: int
    tool: str
    status: ExecutionStatus
    result: str
    summary: str
    seconds: float = 0.0


def arguments_hash(arguments: Mapping[str, object]) -> str:
    """The sha256 of the arguments as canonical JSON: what an approval and a record are bound to."""
    canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class ToolExecutor:
    """Owns the running calls of this process. One per process; `open` gives a turn its session."""

    def __init__(
        self, catalog: Catalog, policy: ToolPolicy, executions: ExecutionStore, clock: Clock, redactor: Redactor
    ) -> None:
        self.catalog = catalog
        self.policy = policy
        self._executions = executions
        self._clock = clock
        self._redactor = redactor
        self._running: dict[int, asyncio.Task[Executed]] = {}

    def redact_by(self, redactor: Redactor) -> None:
        """Take these secrets out of records and results from now on: settings have changed."""
        self._redactor = redactor

    def open(
        self,
        requester: Requester,
        person: Person,
        task: Callable[[], Awaitable[int]],
        *,
        lease: Lease | None = None,
        occurrences: Mapping[str, int] | None = None,
        observer: Callable[[ToolStarted | ToolFinished], None] = lambda event: None,
    ) -> CallSession:
        """A session for one turn.

        `task` returns the task's id once the turn is committed: it is awaited before the first call does anything.
        `occurrences` continues the counts of a paused turn. `observer` hears of calls while the turn lives.
        """
        return CallSession(self, requester, person, task, lease, Counter(occurrences or {}), observer)

    async def drain(self, timeout: float) -> int:  # noqa: ASYNC109 - running out of time is an answer, not an error
        """Wait up to `timeout` seconds for calls of turns that are gone. Returns how many still run."""
        if self._running:
            await asyncio.wait(tuple(self._running.values()), timeout=timeout)
        return len(self._running)

    async def begin(
        self, key: ExecutionKey, arguments: Mapping[str, object], lease: Lease | None, approval: int | None
    ) -> ToolExecution:
        """Record a call before it runs."""
        return await self._executions.begin(key, self._redactor.mapping(arguments), lease=lease, approval=approval)

    async def close(self, record: ToolExecution, tool: str, outcome: Outcome, limit: int, seconds: float) -> Executed:
        """Record how a call ended, trying again while the database is away, and return it."""
        clean = Outcome(
            outcome.status,
            self._redactor.text(outcome.summary),
            self._redactor.mapping(outcome.data),
            self._redactor.text(outcome.source),
        )
        text = render(clean, limit)
        for delay in (*_RECORD_AGAIN_AFTER, None):
            try:
                await self._executions.end(record.id, outcome.status, text, seconds)
                break
            except StoreUnavailable:
                if delay is None:
                    raise
                await asyncio.sleep(delay)
        metrics.TOOL_CALLS.labels(tool=tool, status=outcome.status.value).inc()
        return Executed(record.id, tool, outcome.status, text, summary_of(text), seconds)

    async def run(self, tool: AnyTool, call: ToolCall[Any], record: ToolExecution) -> Executed:
        """Run a recorded call in its own task and wait for it; cancelling the caller leaves the task alone."""
        task = self._running.get(record.id)
        if task is None:
            task = asyncio.create_task(self._run(tool, call, record), name=f"tool {tool.spec.name} {record.id}")
            self._running[record.id] = task
            task.add_done_callback(lambda done: self._ended(record.id, done))
        return await asyncio.shield(task)

    def is_running(self, execution: int) -> bool:
        """Whether that call is being carried out in this process now."""
        return execution in self._running

    async def _run(self, tool: AnyTool, call: ToolCall[Any], record: ToolExecution) -> Executed:
        loop = asyncio.get_running_loop()
        started = loop.time()
        spec = tool.spec
        deadline = asyncio.timeout(spec.timeout)
        try:
            with tracing.span("tool", tool=spec.name, execution=record.id):
                async with deadline:
                    result = await tool.run(call)
            outcome = Outcome(ExecutionStatus.OK, result.summary, result.data, result.source)
        except AntiphonError as error:
            outcome = Outcome(ExecutionStatus.FAILED, error.message)
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                unsure = spec.risk is not Risk.READ and not spec.idempotent
                words = LATE_WORDS if unsure else "This did not answer within {seconds:g} seconds."
                status = ExecutionStatus.UNKNOWN if unsure else ExecutionStatus.FAILED
                outcome = Outcome(status, words.format(seconds=spec.timeout))
            else:
                log.exception("tool.failed", tool=spec.name, execution=record.id)
                outcome = Outcome(ExecutionStatus.FAILED, "Something went wrong inside this tool; it is in the log.")
        return await self.close(record, spec.name, outcome, spec.output_limit, loop.time() - started)

    def _ended(self, execution: int, task: asyncio.Task[Executed]) -> None:
        self._running.pop(execution, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("tool.end_not_recorded", execution=execution, exc_info=error)

    def call_of(self, session: CallSession, arguments: BaseModel, record: ToolExecution) -> ToolCall[Any]:
        """The call as the tool sees it."""
        zone_name = session.person.timezone
        try:
            zone = ZoneInfo(zone_name)
        except (ZoneInfoNotFoundError, ValueError):
            zone_name, zone = "UTC", ZoneInfo("UTC")
        return ToolCall(
            arguments=arguments,
            requester=session.requester,
            execution=record.id,
            origin=f"execution:{record.id}",
            now=self._clock.now(),
            zone=zone,
            zone_name=zone_name,
            language=session.person.language,
            task=record.key.task,
            attempt=session.attempt,
        )


class CallSession:
    """The calls of one turn: counts repeats of the same call, so that a replay finds its records again."""

    def __init__(
        self,
        executor: ToolExecutor,
        requester: Requester,
        person: Person,
        task: Callable[[], Awaitable[int]],
        lease: Lease | None,
        occurrences: Counter[str],
        observer: Callable[[ToolStarted | ToolFinished], None],
    ) -> None:
        self.requester = requester
        self.person = person
        self.executed: list[Executed] = []
        self._executor = executor
        self._task = task
        self._lease = lease
        self._occurrences = occurrences
        self._observer = observer

    @property
    def attempt(self) -> int:
        """The attempt of the task that this turn is."""
        return self._lease.attempt if self._lease is not None else 1

    @property
    def occurrences(self) -> dict[str, int]:
        """How often each call was made so far; a paused turn keeps it in its snapshot."""
        return dict(self._occurrences)

    async def call(self, name: str, arguments: Mapping[str, object], *, approval: Approval | None = None) -> Executed:
        """Make one call. Raises `BadCall` or `ApprovalNeeded` when nothing was done, and store errors."""
        tool, parsed = self._validate(name, arguments)
        task = await self._task()
        plain = parsed.model_dump(mode="json")
        digest = arguments_hash(plain)
        title = tool.title_in(parsed, self.person.language)
        refusal = await self._refusal(tool, parsed)
        consumed: int | None = None
        if refusal is None:
            if approval is not None and (approval.tool, approval.arguments_hash) != (tool.spec.name, digest):
                approval = None
            if approval is None or approval.state is ApprovalState.PENDING:
                rule = self._executor.policy.approver(tool.spec)
                if rule is not None:
                    raise ApprovalNeeded(tool.spec.name, plain, digest, title, rule)
            elif approval.state in (ApprovalState.APPROVED, ApprovalState.CONSUMED):
                consumed = approval.id
            elif approval.state is ApprovalState.EXPIRED:
                refusal = "Nobody approved this in time, so it was not done."
            else:
                refusal = "This was not approved, so it was not done."
        executed = await self._carry_out(tool, parsed, plain, self._key(task, tool, digest), refusal, consumed, title)
        self.executed.append(executed)
        return executed

    def _validate(self, name: str, arguments: Mapping[str, object]) -> tuple[AnyTool, BaseModel]:
        tool = self._executor.catalog.find(name)
        if tool is None:
            raise BadCall("There is no such tool.")
        try:
            return tool, tool.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
            raise BadCall(f"Wrong arguments: {problems}") from error

    async def _refusal(self, tool: AnyTool, parsed: BaseModel) -> str | None:
        needed = (tool.spec.permission, tool.permission(parsed))
        if await self._executor.policy.permits(self.requester, *needed):
            return None
        return DENIED_WORDS.format(permission=needed[1] or needed[0] or "none is declared")

    def _key(self, task: int, tool: AnyTool, digest: str) -> ExecutionKey:
        counted = f"{tool.spec.name}:{digest}"
        occurrence = self._occurrences[counted]
        self._occurrences[counted] += 1
        return ExecutionKey(task=task, tool=tool.spec.name, arguments_hash=digest, occurrence=occurrence)

    async def _carry_out(
        self,
        tool: AnyTool,
        parsed: BaseModel,
        plain: Mapping[str, object],
        key: ExecutionKey,
        refusal: str | None,
        approval: int | None,
        title: str,
    ) -> Executed:
        spec = tool.spec
        try:
            record = await self._executor.begin(key, plain, self._lease, approval)
        except Conflict as error:
            if approval is None:
                raise
            outcome = Outcome(ExecutionStatus.DENIED, f"The approval could not be used: {error.message}")
            return Executed(0, spec.name, outcome.status, render(outcome, spec.output_limit), outcome.summary)
        self._observer(ToolStarted(execution=record.id, tool=spec.name, summary=title))
        interrupted = not record.fresh and record.status is ExecutionStatus.STARTED
        running = self._executor.is_running(record.id)
        if not record.fresh and not interrupted:
            text = record.result or render(Outcome(record.status, ""), spec.output_limit)
            executed = Executed(record.id, spec.name, record.status, text, summary_of(text), record.seconds)
        elif refusal is not None and not running:
            denied = Outcome(ExecutionStatus.DENIED, refusal)
            executed = await self._executor.close(record, spec.name, denied, spec.output_limit, 0.0)
        elif interrupted and not running and not spec.idempotent:
            unknown = Outcome(ExecutionStatus.UNKNOWN, UNKNOWN_WORDS)
            executed = await self._executor.close(record, spec.name, unknown, spec.output_limit, 0.0)
        else:
            call = self._executor.call_of(self, parsed, record)
            executed = await self._executor.run(tool, call, record)
        self._observer(
            ToolFinished(
                execution=record.id,
                tool=spec.name,
                status=executed.status.value,
                summary=executed.summary,
                seconds=executed.seconds,
            )
        )
        return executed
