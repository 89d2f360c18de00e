"""Inbox, runner, approvals, schedule and outbox as one state machine on a real database, with a crash at every step.

Whatever order messages, decisions, time and crashes come in, once things are quiet: every message that was accepted
was answered exactly once, answers of a channel came in order, no tool ran twice, each approval was used at most once,
every reminder came exactly once, and nothing is left running.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from pydantic import SecretStr

from antiphon.bus.memory import MemoryBus
from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings, ThreadSettings
from antiphon.domain.approvals import ApprovalState, ApproverRule, PauseRequest
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.errors import Conflict, DeliveryRetry, ModelError
from antiphon.domain.identity import Sender
from antiphon.domain.platforms import PlatformLimits
from antiphon.domain.replies import Delivery
from antiphon.domain.schedule import EntryKind, NewEntry
from antiphon.domain.tools import ExecutionKey, ExecutionStatus, ExecutionStore
from antiphon.domain.turns import Final, Paused, TextDelta, TurnEvent, TurnRequest
from antiphon.store.settings import configure
from antiphon.threads.inbox import Inbox
from antiphon.threads.outbox import Outbox, OutboxOptions
from antiphon.threads.runner import Runner, RunnerOptions
from antiphon.threads.schedule import Scheduler
from antiphon.threads.task_run import TurnParts
from tests.fakes.clock import FakeClock
from tests.fakes.platform import FakePlatform
from tests.fixtures_databases import ENGINES, PostgresqlServer
from tests.property.crashing import Death, Died, Mortal

pytestmark = pytest.mark.needs("postgresql")

CHANNELS = ("telegram:a", "telegram:b", "telegram:c")
MAX_ATTEMPTS = 100
"""Crashes count as attempts, and a long walk holds many: the dead letters have tests of their own."""
THREADS = ThreadSettings(max_attempts=MAX_ATTEMPTS)


@dataclass
class World:
    """What exists outside of our processes: effects of tools, and the platform people look at."""

    effects: Counter[str] = field(default_factory=Counter[str])
    approved_effects: Counter[str] = field(default_factory=Counter[str])


class ScriptedBrain:
    """A brain that does what the message says: `say`, `tool`, `ask` (an approval), `fail` (the first attempt).

    Its tool calls are recorded like the real executor's: before they run, under a key that a replay finds again.
    """

    def __init__(self, world: World, executions: ExecutionStore, clock: FakeClock) -> None:
        self._world = world
        self._executions = executions
        self._clock = clock

    async def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        kind = request.text.partition(" ")[0]
        if kind == "fail" and request.attempt == 1:
            raise ModelError("the model is busy")
        yield TextDelta("Well: ")
        if kind == "tool":
            await self._act(request, None)
        if kind == "ask":
            if request.resume is None:
                yield Paused(b"snapshot", (self._question(request),), "I have to ask.")
                return
            approval = request.resume.approvals[0]
            if approval.state in (ApprovalState.APPROVED, ApprovalState.CONSUMED):
                with contextlib.suppress(Conflict):  # approved, but too late: then it is not done
                    await self._act(request, approval.id)
        yield Final(f"answer to {request.text}")

    def _question(self, request: TurnRequest) -> PauseRequest:
        return PauseRequest(
            call_id="c1",
            tool="test.act",
            arguments={"text": request.text},
            arguments_hash="h" + request.text,
            summary="do it",
            rule=ApproverRule(),
            expires_at=self._clock.now() + timedelta(minutes=10),
        )

    async def _act(self, request: TurnRequest, approval: int | None) -> None:
        key = ExecutionKey(request.task, "test.act", "h" + request.text, 0)
        record = await self._executions.begin(key, {"text": request.text}, lease=request.lease, approval=approval)
        if record.status is not ExecutionStatus.STARTED:
            return
        if not record.fresh:
            await self._executions.end(record.id, ExecutionStatus.UNKNOWN, "unknown", 0.0)
            return
        self._world.effects[request.text] += 1
        if approval is not None:
            self._world.approved_effects[f"approval {approval}"] += 1
        await self._executions.end(record.id, ExecutionStatus.OK, "done", 0.0)


class Process:
    """One run of a worker process: the real loops' steps over ports through which it may die."""

    def __init__(self, number: int, stores: Any, world: World, platform: FakePlatform, clock: FakeClock) -> None:
        self.death = Death()
        signals = LocalSignals()
        bus = MemoryBus(clock)
        mortal = {name: Mortal(getattr(stores, name), self.death) for name in ("tasks", "outbox", "schedule", "inbox")}
        brain = ScriptedBrain(world, Mortal(stores.executions, self.death), clock)  # type: ignore[arg-type]
        platforms: dict[str, Any] = {"telegram": Mortal(platform, self.death)}
        self.owner = owner = f"process-{number}"
        self.inbox = Inbox(mortal["inbox"], message_chars=1000)  # type: ignore[arg-type]
        self.runner = Runner(
            tasks=mortal["tasks"],  # type: ignore[arg-type]
            bus=bus,
            signals=signals,
            parts=TurnParts(mortal["tasks"], mortal["outbox"], brain, bus, platforms, clock),  # type: ignore[arg-type]
            owner=owner,
            options=RunnerOptions(slots=2, lease_seconds=30, max_attempts=MAX_ATTEMPTS),
        )
        self.outbox = Outbox(
            store=mortal["outbox"],  # type: ignore[arg-type]
            platforms=platforms,
            signals=signals,
            clock=clock,
            owner=owner,
            options=OutboxOptions(slots=2, lease_seconds=30, max_attempts=MAX_ATTEMPTS),
        )
        self.scheduler = Scheduler(mortal["schedule"], signals, clock)  # type: ignore[arg-type]


class DurablePath(RuleBasedStateMachine):
    """Rules: people write and decide, time passes, a process works a step, and dies."""

    fresh_settings: Callable[[], Settings]
    limits = PlatformLimits(reconciles=True)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.world = World()
        self.platform = FakePlatform(limits=self.limits)
        self.accepted: dict[str, list[str]] = {channel: [] for channel in CHANNELS}
        self.last: InboundMessage | None = None
        self.reminders: list[str] = []
        self.count = 0
        self.processes = 0

    @initialize()
    def start(self) -> None:
        self.settings = self.fresh_settings()
        configure(self.settings)
        self.do(self._open())

    async def _open(self) -> None:
        from antiphon.store.stores import open_stores

        self.stores = open_stores(self.settings, self.clock, LocalSignals())
        self._new_process()

    def _new_process(self) -> None:
        self.processes += 1
        self.process = Process(self.processes, self.stores, self.world, self.platform, self.clock)

    def do(self, step: Coroutine[Any, Any, Any]) -> Any:
        """Run a step of the process; if it dies of it, the next one takes over."""

        async def run() -> Any:
            try:
                result = await step
            except Died:
                result = None
            if hasattr(self, "process") and self.process.death.dead:
                await self._recover()
            return result

        return self.runner.run(run())

    async def _recover(self) -> None:
        """What a restart does: the old owner is known to be gone."""
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.stores.tasks.claim("nobody", 0, 30)  # what was handed over died with the process's memory
        self._new_process()
        await self.stores.tasks.reap(owners_are_gone=True)

    @rule(channel=st.sampled_from(CHANNELS), kind=st.sampled_from(["say", "tool", "ask", "fail"]))
    def somebody_writes(self, channel: str, kind: str) -> None:
        self.count += 1
        text = f"{kind} {self.count}"
        message = InboundMessage(
            platform="telegram",
            channel=channel,
            native_id=str(self.count),
            sender=Sender("u1", "Ada"),
            text=text,
            at=self.clock.now(),
            receiver="bot",
        )
        # The platform delivers again after a crash, as its cursor did not move: at least once, until accepted.
        while self.do(self.process.inbox.receive(message)) is None:
            pass
        self.accepted[channel].append(text)
        self.last = message

    @rule()
    def a_message_comes_again(self) -> None:
        if self.count:
            channel = next(
                key for key, texts in self.accepted.items() if any(t.endswith(f" {self.count}") for t in texts)
            )
            text = next(t for t in self.accepted[channel] if t.endswith(f" {self.count}"))
            message = InboundMessage(
                "telegram", channel, str(self.count), Sender("u1", "Ada"), text, self.clock.now(), receiver="bot"
            )
            receipt = self.do(self.process.inbox.receive(message))
            assert receipt is None or not receipt.created

    @rule(channel=st.sampled_from(CHANNELS), minutes=st.integers(1, 8))
    def a_reminder_is_made(self, channel: str, minutes: int) -> None:
        if not self.accepted[channel]:
            return
        text = f"reminder {len(self.reminders) + 1}"
        entry = NewEntry(
            EntryKind.REMINDER, self.clock.now() + timedelta(minutes=minutes), channel, 1, origin=text, text=text
        )
        self.do(self.stores.schedule.add(entry))
        self.reminders.append(text)

    @rule()
    def work_a_step(self) -> None:
        self.do(self._work())

    async def _work(self) -> None:
        await self.process.runner.sweep()
        await self.process.runner.claim()
        await self.process.runner.idle()

    @rule(slots=st.integers(1, 2))
    def the_worker_stands_by(self, slots: int) -> None:
        self.stores.tasks.stand_by(self.process.owner, slots, 30)

    @rule()
    def deliver_a_step(self) -> None:
        self.do(self._deliver())

    async def _deliver(self) -> None:
        await self.process.outbox.deliver_ready()
        await self.process.outbox.idle()

    @rule()
    def schedule_a_step(self) -> None:
        self.do(self.process.scheduler.step())

    @rule(minutes=st.sampled_from([0, 1, 3, 11]))
    def time_passes(self, minutes: int) -> None:
        self.clock.move(seconds=2 + 60 * minutes)

    @rule(approve=st.booleans())
    def somebody_decides(self, approve: bool) -> None:
        async def decide() -> None:
            pending = await self.stores.approvals.pending()
            if pending:
                state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
                await self.stores.approvals.decide(pending[0].id, state, pending[0].requester)

        self.do(decide())

    @rule(calls=st.integers(1, 12), after=st.booleans())
    def it_will_die_soon(self, calls: int, after: bool) -> None:
        self.process.death.arm(calls, after=after)

    @rule(lose=st.booleans())
    def the_network_breaks_once(self, lose: bool) -> None:
        used: list[int] = []

        def once(_: Delivery) -> Exception | None:
            if used:
                return None
            used.append(1)
            return DeliveryRetry("broken", maybe_sent=True)

        if lose:
            self.platform.lose_answer = once
        else:
            self.platform.fail = once

    def teardown(self) -> None:
        try:
            if hasattr(self, "process"):
                self.runner.run(self._settle())
                self.runner.run(self._check())
                self.runner.run(self.stores.close())
        finally:
            self.runner.close()

    async def _settle(self) -> None:
        """No more crashes: let everything that was begun come to its end."""
        self.process.death.left = None
        if self.process.death.dead:
            await self._recover()
        for _ in range(3 * self.count + 12):  # each round lets approvals expire and failed turns be tried again
            self.clock.move(minutes=1)
            await self.process.scheduler.step()
            worked = sent = 1
            while worked or sent:
                await self.process.runner.sweep()
                worked = await self.process.runner.claim()
                await self.process.runner.idle()
                sent = await self.process.outbox.deliver_ready()
                await self.process.outbox.idle()

    async def _check(self) -> None:
        counts = await self.stores.tasks.counts()
        left = {state: count for state, count in counts.items() if count and state != "done"}
        assert left == {}, left
        for channel, texts in self.accepted.items():
            shown = [text for text in self.platform.texts(channel) if text.startswith("answer to ")]
            assert sorted(shown) == sorted(f"answer to {text}" for text in texts)
            # A question that waits for a person lets later messages pass; everything else keeps the order.
            plain = [text for text in shown if not text.startswith("answer to ask")]
            assert plain == [f"answer to {text}" for text in texts if not text.startswith("ask")]
        shown = Counter(text for channel in CHANNELS for text in self.platform.texts(channel))
        for reminder in self.reminders:
            said = re.compile(rf"Reminder: {reminder}\b")
            assert sum(count for text, count in shown.items() if said.search(text.split("\n")[0])) == 1
        assert all(count == 1 for count in self.world.effects.values()), self.world.effects
        assert all(count == 1 for count in self.world.approved_effects.values())


@pytest.fixture(params=ENGINES)
def fresh_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Settings]:
    """Makes settings of a fresh, migrated database, as often as they are asked for."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")

        def sqlite() -> Settings:
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            shutil.copy(template, folder / "antiphon.db")
            return Settings(data_dir=folder, threads=THREADS)

        return sqlite
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name: str = request.getfixturevalue("_postgresql_template")

    def postgresql() -> Settings:
        url = server.create(f"property_{uuid4().hex}", name)
        return Settings(data_dir=tmp_path, database_url=SecretStr(url), threads=THREADS)

    return postgresql


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_doubled(fresh_settings: Callable[[], Settings], request: Any) -> None:
    sqlite = "sqlite" in request.node.name
    machine = type("Machine", (DurablePath,), {"fresh_settings": staticmethod(fresh_settings)})
    # Tasks that died in earlier walks tell so when they are collected, and printing a traceback parses source. If that
    # happened while Hypothesis parses this module, Python 3.11 would trip over itself (a SystemError of `ast`).
    gc.collect()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100 if sqlite else 25,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=(Phase.explicit, Phase.generate),  # shrinking a walk takes longer than a run may
        ),
    )
