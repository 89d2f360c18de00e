"""The worker's loop: claim tasks, keep their leases, stop them when asked. `task_run.py` is one task being worked on.

The database decides who works on what (leases, fencing, one running task per channel); the loop only keeps the promise
that every claimed task ends in exactly one of finish, pause, retry_later, give_back, or a lease left to expire.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import structlog

from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.events import TASK_CANCEL, Bus
from antiphon.domain.signals import Signals
from antiphon.domain.work import TaskState, TaskStore, Work
from antiphon.telemetry import metrics
from antiphon.threads.task_run import TaskRun, TurnParts

log = structlog.stdlib.get_logger(__name__)

SWEEP_SECONDS = 1.0
"""How long a lost wake-up, an expired lease or a due retry may go unnoticed."""
STOP_GRACE_SECONDS = 2.0
"""How long running turns may go on after a stop was asked for; then their tasks are given back."""

GAVE_UP = (
    "I could not answer this: {attempts} attempts broke off, so I stopped trying. Your message is kept. "
    "You can retry it, or ask an operator to look at the dead letters."
)


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """`slots` tasks run at once; leases last `lease_seconds`; a task is given up after `max_attempts` claims."""

    slots: int = 16
    lease_seconds: float = 30.0
    max_attempts: int = 5


class Runner:
    """One worker's loop over the tasks of the database. `owner` names this worker run and must be unique."""

    def __init__(
        self, *, tasks: TaskStore, bus: Bus, signals: Signals, parts: TurnParts, owner: str, options: RunnerOptions
    ) -> None:
        self._tasks = tasks
        self._bus = bus
        self._signals = signals
        self._parts = parts
        self._owner = owner
        self._options = options
        self._runs: dict[int, TaskRun] = {}

    @property
    def running(self) -> int:
        """How many tasks are being worked on here."""
        return len(self._runs)

    @property
    def _free(self) -> int:
        return max(0, self._options.slots - len(self._runs))

    async def run(self, stop: asyncio.Event) -> None:
        """Claim and work until `stop` is set, then finish or give back what runs. Survives an absent database."""
        helpers = [
            asyncio.create_task(self._heartbeat(), name="runner-heartbeat"),
            asyncio.create_task(self._sweep_forever(), name="runner-sweep"),
            asyncio.create_task(self._wake_on(stop), name="runner-stop"),
            asyncio.create_task(self._follow_cancellations(), name="runner-cancellations"),
        ]
        try:
            while not stop.is_set():
                try:
                    claimed = await self.claim()
                except StoreUnavailable as error:
                    log.warning("runner.store_unavailable", error=str(error.__cause__ or error))
                    claimed = 0
                if not claimed:
                    self._tasks.stand_by(self._owner, self._free, self._options.lease_seconds)
                    await self._signals.wait("tasks", SWEEP_SECONDS)
        finally:
            await self._drain()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def claim(self) -> int:
        """Claim as many tasks as there are free slots and start working on them."""
        works = await self._tasks.claim(self._owner, self._free, self._options.lease_seconds)
        for work in works:
            self._start(work)
        return len(works)

    async def sweep(self) -> None:
        """Requeue tasks of lost workers and bury those that keep failing."""
        await self._tasks.reap()
        for task in await self._tasks.bury(
            self._options.max_attempts, GAVE_UP.format(attempts=self._options.max_attempts)
        ):
            metrics.TASKS.labels(state=TaskState.DEAD).inc()
            log.error("task.buried", task=task)

    async def _sweep_forever(self) -> None:
        """Beside the claims, so that no message waits for a sweep."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable:
                pass  # the claiming loop says so
            except Exception:
                log.exception("runner.sweep_failed")
            await asyncio.sleep(SWEEP_SECONDS)

    async def idle(self) -> None:
        """Wait until nothing runs here."""
        while self._runs:
            await asyncio.wait([run.ended for run in self._runs.values()])

    def request_stop(self, task: int) -> None:
        """A person asked to stop this task; it ends with the words said so far. Unknown tasks are ignored."""
        if run := self._runs.get(task):
            run.stop_turn()

    def _start(self, work: Work) -> None:
        run = TaskRun(work, self._parts, max_attempts=self._options.max_attempts)
        self._runs[work.lease.task] = run
        run.ended.add_done_callback(lambda _: self._ended(work.lease.task))

    def _ended(self, task: int) -> None:
        self._runs.pop(task, None)
        self._signals.notify("tasks")

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._signals.notify("tasks")

    async def _follow_cancellations(self) -> None:
        """Stop at once what a person cancels in another process; the heartbeat is the safety net."""
        async with self._bus.subscribe(TASK_CANCEL) as events:
            async for event in events:
                task = str(event.payload.get("task", ""))
                if task.isdecimal():
                    self.request_stop(int(task))

    async def _heartbeat(self) -> None:
        """Renew the leases of everything that runs; drop what is lost, stop what a person cancelled elsewhere."""
        while True:
            await asyncio.sleep(self._options.lease_seconds / 3)
            if not (ids := list(self._runs)):
                continue
            try:
                held = await self._tasks.renew(self._owner, ids, self._options.lease_seconds)
            except StoreUnavailable:
                continue  # the leases outlast two missed heartbeats
            except Exception:
                log.exception("runner.heartbeat_failed")  # one bad beat must not end all of them
                continue
            for task in ids:
                run = self._runs.get(task)
                if run is None:
                    continue
                if task not in held:
                    run.drop()
                elif held[task]:
                    run.stop_turn()

    async def _drain(self) -> None:
        """Let running turns end for a moment, then stop them and give their tasks back."""
        handed = await self._tasks.claim(self._owner, 0, self._options.lease_seconds)
        if self._runs:
            await asyncio.wait([run.ended for run in self._runs.values()], timeout=STOP_GRACE_SECONDS)
        left = list(self._runs.values())
        for run in left:
            run.drop()
        if left:
            await asyncio.wait([run.ended for run in left], timeout=0.5)
        if unfinished := [work.lease.task for work in (*handed, *(run.work for run in left))]:
            with contextlib.suppress(StoreUnavailable):  # then the leases expire
                await self._tasks.give_back(self._owner, unfinished)
