"""One claimed task: run its turn, publish what happens, and end it with one fenced write.

`threads.runner` starts a `TaskRun` for each claim; `threads.live` has its own, simpler way for spoken turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

import structlog

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import platform_of
from antiphon.domain.errors import AntiphonError, LeaseLost, StoreUnavailable
from antiphon.domain.events import Bus, turn_topic
from antiphon.domain.platforms import Platform, PlatformLimits
from antiphon.domain.replies import OutboxStore
from antiphon.domain.turns import Brain, Final, Meter, Paused, TextDelta, ToolFinished, ToolStarted, TurnRequest
from antiphon.domain.work import Outcome, Pause, TaskFailure, TaskState, TaskStore, Usage, Work
from antiphon.telemetry import metrics, tracing
from antiphon.threads.audio import Listener
from antiphon.threads.drafts import DraftWriter
from antiphon.threads.splitting import split_text

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

TYPING_DELAY = 0.3
"""Seconds of work before it is shown."""
MAX_RETRY_SECONDS = 60.0
STORE_RETRY_DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 6.0, 6.0)
FAILED = (
    "Something went wrong while I worked on this, {times}. Your message is kept. "
    "You can retry it; if it keeps failing, an operator finds the reason in the dead letters."
)


@dataclass(frozen=True, slots=True)
class TurnParts:
    """What working on a task needs, built once by wiring."""

    tasks: TaskStore
    drafts: OutboxStore
    brain: Brain
    bus: Bus
    platforms: Mapping[str, Platform]
    clock: Clock
    listener: Listener | None = None
    """Makes words of voice messages."""


class _Ending(Enum):
    """Why a running turn is interrupted from outside."""

    STOPPED = "a person asked for it"
    DROPPED = "the task belongs to somebody else now, or goes back to the queue"


class TaskRun:
    """The work on one claimed task. `ended` is done when the task is out of this worker's hands; it never raises."""

    def __init__(self, work: Work, parts: TurnParts, *, max_attempts: int) -> None:
        self.work = work
        self._parts = parts
        self._max_attempts = max_attempts
        self._platform = parts.platforms.get(platform_of(work.channel))
        # A worker may think for a platform whose replies another process delivers; then there is no draft to show.
        self._limits = self._platform.limits if self._platform else PlatformLimits()
        self._text = ""
        self._meter = Meter()
        self._ending: _Ending | None = None
        self._turn: asyncio.Task[Final | Paused] | None = None
        self._started = time.monotonic()
        self.ended = asyncio.create_task(self._run(), name=f"task-{work.lease.task}")

    def stop_turn(self) -> None:
        """Stop on a person's word: the answer ends with the words said so far."""
        self._interrupt(_Ending.STOPPED)

    def drop(self) -> None:
        """Let go without writing anything."""
        self._interrupt(_Ending.DROPPED)

    def _interrupt(self, ending: _Ending) -> None:
        # Dropping wins over stopping: without the lease nothing may be written.
        if self._ending is not _Ending.DROPPED:
            self._ending = ending
        if self._turn is not None:
            self._turn.cancel()

    async def _run(self) -> None:
        lease = self.work.lease
        tracing.waited(lease.task, self.work.received_at)
        with (
            structlog.contextvars.bound_contextvars(task=lease.task, attempt=lease.attempt),
            tracing.of_task("turn", lease.task, attempt=lease.attempt),
        ):
            try:
                await self._work_on()
            except LeaseLost:
                log.info("task.lease_lost")
            except StoreUnavailable as error:
                log.warning("task.left_to_lease", error=str(error.__cause__ or error))
            except Exception:
                # Nothing above may raise anything else; if it does the lease expires and the task is tried again.
                log.exception("task.unexpected")

    async def _work_on(self) -> None:
        if self.work.cancel_requested:
            self._ending = _Ending.STOPPED
        if self.work.received_at is not None:
            waited = (self._parts.clock.now() - self.work.received_at).total_seconds()
            metrics.START_LATENCY.observe(max(0.0, waited))
        await self._publish("turn.started")
        drafts = self._open_drafts()
        typing = asyncio.create_task(self._show_work()) if self._limits.typing_interval else None
        try:
            end = await self._turn_end(drafts)
        finally:
            if typing is not None:
                typing.cancel()
            if drafts is not None:
                await drafts.close()
        if end is None:
            return
        if isinstance(end, Paused):
            await self._pause(end)
        else:
            await self._finish(end)

    def _open_drafts(self) -> DraftWriter | None:
        if self._platform is None or not self._limits.drafts:
            return None
        return DraftWriter(self._parts.drafts, self._platform, self.work.lease)

    async def _show_work(self) -> None:
        """Tell the people there that somebody is at work, as long as it takes longer than a moment."""
        assert self._platform is not None  # noqa: S101 - it has the limits that ask for this
        await asyncio.sleep(TYPING_DELAY)
        while True:
            await self._platform.working(self.work.channel)
            await asyncio.sleep(self._limits.typing_interval)

    async def _turn_end(self, drafts: DraftWriter | None) -> Outcome | Paused | None:
        """Run the turn to its end. None: nothing is to be written (any more)."""
        self._turn = asyncio.create_task(self._consume(drafts))
        if self._ending is not None:
            self._turn.cancel()
        try:
            end = await self._turn
        except asyncio.CancelledError:
            if self._ending is _Ending.STOPPED:
                return self._outcome(TaskState.CANCELLED, self._text, interrupted=bool(self._text))
            return None
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            return await self._failed(error)
        if isinstance(end, Paused):
            return end
        return self._outcome(TaskState.DONE, end.text, usage=end.usage, trace=end.trace)

    async def _consume(self, drafts: DraftWriter | None) -> Final | Paused:
        work, lease = self.work, self.work.lease
        resume = await self._parts.tasks.resume_of(lease) if work.resume else None
        text = await self._parts.listener.text_of(work) if self._parts.listener else work.text
        request = TurnRequest(
            task=lease.task,
            turn=lease.turn,
            attempt=lease.attempt,
            channel=work.channel,
            thread=work.thread,
            message=work.message,
            text=text,
            requester=work.requester,
            resume=resume,
            lease=lease,
            meter=self._meter,
        )
        # aclosing: a stopped turn ends its generator here and now, so that nothing of it runs on unseen.
        async with aclosing(self._parts.brain.turn(request)) as events:
            async for event in events:
                match event:
                    case TextDelta(text=text):
                        self._text += text
                        await self._publish("text.delta", text=text)
                        if drafts is not None:
                            drafts.update(self._text)
                    case ToolStarted(execution=execution, tool=tool, summary=summary):
                        await self._publish(
                            "tool.started", execution=str(execution), tool=tool, status="started", summary=summary
                        )
                    case ToolFinished():
                        await self._publish(
                            "tool.finished",
                            execution=str(event.execution),
                            tool=event.tool,
                            status=event.status,
                            summary=event.summary,
                            seconds=event.seconds,
                        )
                    case Final() | Paused():
                        return event
        raise AntiphonError("The turn ended without an answer.")

    async def _failed(self, error: Exception) -> Outcome | None:
        """A failed turn is tried again later, or given up with a word to the person."""
        tries = self.work.tries
        if isinstance(error, AntiphonError):
            failure, retryable = TaskFailure(error.code, error.message), error.retryable
            log.warning("turn.failed", code=failure.code)
        else:
            failure, retryable = TaskFailure("internal", "An unexpected error; the log has the details."), True
            log.error("turn.failed", code=failure.code, exc_info=error)
        if retryable and tries < self._max_attempts:
            delay = min(2.0 ** (tries - 1), MAX_RETRY_SECONDS)
            await self._stored(
                lambda: self._parts.tasks.retry_later(
                    self.work.lease, failure, delay, usage=self._consumed(), trace=self._meter.as_trace()
                )
            )
            await self._publish("turn.failed", code=failure.code, message=failure.message, retrying=True)
            return None
        text = FAILED.format(times="once" if tries == 1 else f"{tries} times in a row")
        return self._outcome(TaskState.DEAD, text, failure=failure)

    def _outcome(
        self,
        state: TaskState,
        text: str,
        *,
        usage: Usage | None = None,
        interrupted: bool = False,
        failure: TaskFailure | None = None,
        trace: dict[str, object] | None = None,
    ) -> Outcome:
        return Outcome(
            state=state,
            text=text,
            parts=self._split(text),
            usage=usage or self._consumed(),
            interrupted=interrupted,
            failure=failure,
            trace=trace or self._meter.as_trace(),
        )

    def _split(self, text: str) -> tuple[str, ...]:
        """The parts of an answer, or all of it where the platform rather takes a file."""
        parts = split_text(text, self._limits.text)
        return (text,) if 0 < self._limits.parts < len(parts) else parts

    def _consumed(self) -> Usage:
        """What a turn that did not come to its own end has consumed."""
        return replace(self._meter.usage, seconds=time.monotonic() - self._started)

    async def _finish(self, outcome: Outcome) -> None:
        await self._stored(lambda: self._parts.tasks.finish(self.work.lease, outcome))
        metrics.TASKS.labels(state=outcome.state).inc()
        metrics.TURN_SECONDS.observe(time.monotonic() - self._started)
        log.info("task.finished", state=outcome.state, seconds=round(time.monotonic() - self._started, 4))
        if outcome.failure is not None:
            await self._publish(
                "turn.failed", code=outcome.failure.code, message=outcome.failure.message, retrying=False
            )
        elif outcome.state is TaskState.CANCELLED and not outcome.text:
            await self._publish("turn.failed", code="cancelled", message="Stopped.", retrying=False)

    async def _pause(self, paused: Paused) -> None:
        pause = Pause(
            snapshot=paused.snapshot,
            requests=paused.requests,
            text=paused.text,
            parts=self._split(paused.text),
            usage=paused.usage,
            trace=paused.trace,
        )
        approvals = await self._stored(lambda: self._parts.tasks.pause(self.work.lease, pause))
        if not approvals:
            await self._publish("turn.failed", code="cancelled", message="Stopped.", retrying=False)
            return
        metrics.TASKS.labels(state=TaskState.WAITING).inc()
        for approval in approvals:
            await self._publish(
                "approval.needed",
                approval=str(approval.id),
                tool=approval.tool,
                summary=approval.summary,
                expires=approval.expires_at.isoformat().replace("+00:00", "Z"),
            )

    async def _stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeat a fenced write while the database is away: the turn is done, only its record is missing.

        Gives up after about 20 seconds; then the lease expires and the task is tried again from its records.
        """
        for delay in STORE_RETRY_DELAYS:
            try:
                return await write()
            except StoreUnavailable as error:
                log.warning("task.write_retried", error=str(error.__cause__ or error), retry_in=delay)
                await asyncio.sleep(delay)
        return await write()

    async def _publish(self, name: str, **payload: object) -> None:
        lease = self.work.lease
        await self._parts.bus.publish(
            turn_topic(self.work.channel),
            name,
            {"task": str(lease.task), "turn": lease.turn, "attempt": lease.attempt, **payload},
        )
