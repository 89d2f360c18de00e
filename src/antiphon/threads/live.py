"""Spoken turns through the same rows as written ones. The voice session calls this; nothing is delivered by the outbox,
because the words were heard.

A turn may be speculative: the brain starts before the person has surely finished. Then it produces text only; the
first tool call, record or usage row waits for `commit`, and a turn that is never committed leaves no trace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

import structlog

from antiphon.domain.approvals import Approval
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.errors import AntiphonError, LeaseLost, StoreUnavailable
from antiphon.domain.identity import Requester
from antiphon.domain.turns import Brain, Meter, TurnEvent, TurnRequest, Unfinished
from antiphon.domain.work import LiveStore, Outcome, Pause, TaskFailure, TaskState, TaskStore, Usage, Work
from antiphon.threads.inbox import check_text

log = structlog.stdlib.get_logger(__name__)


class LiveTurns:
    """Makes spoken turns for voice sessions."""

    def __init__(
        self, *, store: LiveStore, tasks: TaskStore, brain: Brain, lease_seconds: float, message_chars: int
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._brain = brain
        self._lease_seconds = lease_seconds
        self._message_chars = message_chars

    def start(
        self,
        message: InboundMessage,
        requester: Requester,
        *,
        session: str,
        thread: int = 0,
        role: str = "",
        unfinished: Unfinished | None = None,
    ) -> LiveTurn:
        """A turn for what was heard so far. Nothing is stored before `commit`. `role` is what the session asks for,
        `unfinished` the answer into which this was said.
        """
        check_text(message.text, self._message_chars)
        return LiveTurn(
            self._store,
            self._tasks,
            self._brain,
            message,
            requester,
            session,
            thread,
            self._lease_seconds,
            role,
            unfinished,
        )


class LiveTurn:
    """One spoken turn. Order of calls: `events` and `commit` in any order, then `finish`, `pause` or `abandon`."""

    def __init__(
        self,
        store: LiveStore,
        tasks: TaskStore,
        brain: Brain,
        message: InboundMessage,
        requester: Requester,
        session: str,
        thread: int,
        lease_seconds: float,
        role: str = "",
        unfinished: Unfinished | None = None,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._brain = brain
        self._role = role
        self._unfinished = unfinished
        self._message = message
        self._requester = requester
        self._session = session
        self._thread = thread
        self._lease_seconds = lease_seconds
        self._committed: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
        self._refused: AntiphonError | None = None
        self._heartbeat: asyncio.Task[None] | None = None
        self._meter = Meter()

    @property
    def work(self) -> Work | None:
        """The stored work once the turn is committed."""
        if not self._committed.done() or self._committed.cancelled() or self._refused is not None:
            return None
        return self._committed.result()

    async def commit(self) -> Work:
        """Store message and task, leased to the session, in one transaction. Repeating it returns the same work.

        Raises `ChannelBusy` while another task of the channel runs; the caller may try again.
        """
        if (work := self.work) is not None:
            return work
        if self._refused is not None:
            raise self._refused
        work = await self._store.begin(self._message, self._session, self._lease_seconds)
        if not self._committed.done():
            self._committed.set_result(work)
            self._heartbeat = asyncio.create_task(self._renew(work), name=f"live-{work.lease.task}")
        return work

    def refuse(self, error: AntiphonError) -> None:
        """It cannot be committed: what waits for that (a tool call, a question) gets the error and not for ever."""
        if not self._committed.done():
            self._refused = error
            self._committed.set_exception(error)
            self._committed.exception()  # seen, also when nothing waits for it

    async def events(self) -> AsyncGenerator[TurnEvent, None]:
        """The brain's events. Before `commit` only text is produced; a tool call waits inside for it."""
        work = self.work
        request = TurnRequest(
            task=work.lease.task if work else 0,
            turn=work.lease.turn if work else "",
            attempt=1,
            channel=self._message.channel,
            thread=work.thread if work else self._thread,
            message=work.message if work else None,
            text=self._message.text,
            requester=work.requester if work else self._requester,
            commit=None if work else self._task_once_committed,
            lease=work.lease if work else None,
            spoken=True,
            native_id=self._message.native_id,
            unfinished=self._unfinished,
            role=self._role,
            meter=self._meter,
        )
        async with contextlib.aclosing(self._brain.turn(request)) as events:
            async for event in events:
                yield event

    async def _task_once_committed(self) -> int:
        return (await asyncio.shield(self._committed)).lease.task

    async def finish(
        self,
        heard_text: str,
        *,
        interrupted: bool = False,
        usage: Usage | None = None,
        failure: TaskFailure | None = None,
    ) -> None:
        """Complete the turn with the words the person really heard. Fenced; raises `LeaseLost` when it was lost.

        Without `usage` (the person broke in before the end) what the turn has consumed so far is recorded.
        """
        work = await self.commit()
        try:
            await self._store.finish(
                work.lease,
                Outcome(
                    state=TaskState.DEAD if failure else TaskState.DONE,
                    text=heard_text,
                    parts=(heard_text,) if heard_text else (),
                    usage=usage or self._meter.usage,
                    trace=self._meter.as_trace(),
                    interrupted=interrupted,
                    failure=failure,
                    spoken=True,
                ),
            )
        finally:
            await self._stop_heartbeat()

    async def pause(self, pause: Pause) -> Sequence[Approval]:
        """The turn asks for an approval: it waits like a written one and is continued by a worker in writing."""
        work = await self.commit()
        try:
            return await self._tasks.pause(work.lease, pause)
        finally:
            await self._stop_heartbeat()

    async def abandon(self) -> None:
        """The session ends. An uncommitted turn leaves nothing; a committed one goes to a worker, who answers it."""
        await self._stop_heartbeat()
        if (work := self.work) is None:
            self._committed.cancel()
            return
        with contextlib.suppress(StoreUnavailable):  # then the lease expires
            await self._tasks.give_back(work.lease.owner, [work.lease.task])

    async def _stop_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._heartbeat
            self._heartbeat = None

    async def _renew(self, work: Work) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            try:
                held = await self._tasks.renew(work.lease.owner, [work.lease.task], self._lease_seconds)
            except StoreUnavailable:
                continue
            except LeaseLost:
                return
            if work.lease.task not in held:
                log.warning("live.lease_lost", task=work.lease.task)
                return
