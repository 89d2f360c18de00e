"""The runner on real databases: answers, failures, stops, lost leases, shutdown, approvals. One test per promise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from antiphon.bus.memory import MemoryBus
from antiphon.bus.signals import LocalSignals
from antiphon.config import Settings
from antiphon.domain.approvals import ApprovalState, ApproverKind, ApproverRule, PauseRequest
from antiphon.domain.conversation import Author, InboundMessage, Message
from antiphon.domain.errors import Conflict, Forbidden, InvalidInput, ModelError, StoreUnavailable, TooLarge
from antiphon.domain.events import BusEvent, problems_of, turn_topic
from antiphon.domain.identity import Requester, Role, Sender
from antiphon.domain.turns import Final, Paused, TextDelta, ToolStarted, TurnEvent, TurnRequest
from antiphon.domain.work import Task, TaskState, Usage
from antiphon.platforms.authorities import PlatformAuthorities
from antiphon.platforms.web import WebAuthority, WebPlatform
from antiphon.run.clock import SystemClock
from antiphon.threads.approvals import Approvals
from antiphon.threads.control import TaskControl
from antiphon.threads.inbox import Inbox
from antiphon.threads.runner import Runner, RunnerOptions
from antiphon.threads.task_run import TurnParts
from tests.fakes.brain import ScriptedBrain, Step

Script = Callable[[TurnRequest], list[Step]]


@dataclass
class Bench:
    """A running worker over real stores, and what was published."""

    stores: Any
    bus: MemoryBus
    brain: ScriptedBrain
    runner: Runner
    signals: LocalSignals
    inbox: Inbox
    control: TaskControl
    approvals: Approvals
    stop: asyncio.Event
    person: int
    events: list[BusEvent]

    async def say(self, text: str = "hello", channel: str = "web:a", native_id: str | None = None) -> int:
        message = InboundMessage(
            platform="web",
            channel=channel,
            native_id=native_id or f"{channel}-{text}",
            sender=Sender("u", "Ada"),
            text=text,
            at=SystemClock().now(),
            person=self.person,
        )
        receipt = await self.inbox.receive(message)
        self.signals.notify("tasks")
        return receipt.task

    async def until(self, task: int, *states: TaskState) -> Task:
        async with asyncio.timeout(15):
            while True:
                got = await self.stores.tasks.get(task)
                if got.state in (states or (TaskState.DONE,)):
                    return got
                await asyncio.sleep(0.01)

    async def answers(self, channel: str = "web:a") -> list[Message]:
        recent = await self.stores.threads.recent(channel, before=None, limit=50)
        return [message for message in recent if message.author is Author.AGENT]

    async def heard(self, name: str) -> None:
        """Wait until an event of that name was published."""
        async with asyncio.timeout(15):
            while not self.named(name):  # noqa: ASYNC110 - the list is filled by another task
                await asyncio.sleep(0.01)

    def named(self, name: str) -> list[dict[str, object]]:
        return [event.payload for event in self.events if event.name == name]


@asynccontextmanager
async def bench_of(
    settings: Settings,
    script: Script,
    *,
    lease: float = 30.0,
    max_attempts: int = 3,
    wrap: Callable[[Any], Any] = lambda t: t,
) -> AsyncIterator[Bench]:
    from antiphon.store.stores import open_stores

    clock, signals = SystemClock(), LocalSignals()
    stores = open_stores(settings, clock, signals)
    bus = MemoryBus(clock)
    brain = ScriptedBrain(script)
    tasks = wrap(stores.tasks)
    runner = Runner(
        tasks=tasks,
        bus=bus,
        signals=signals,
        parts=TurnParts(tasks, stores.outbox, brain, bus, {"web": WebPlatform(bus)}, clock),
        owner="me",
        options=RunnerOptions(slots=4, lease_seconds=lease, max_attempts=max_attempts),
    )
    authority = PlatformAuthorities({"web": WebAuthority(stores.people)})
    made = Bench(
        stores=stores,
        bus=bus,
        brain=brain,
        runner=runner,
        signals=signals,
        inbox=Inbox(stores.inbox, message_chars=1000),
        control=TaskControl(stores.tasks, bus),
        approvals=Approvals(stores.approvals, stores.tasks, authority, bus),
        stop=asyncio.Event(),
        person=(await stores.users.ensure_owner()).person,
        events=[],
    )

    async def listen() -> None:
        async with bus.subscribe(turn_topic("web:a")) as events:
            async for event in events:
                made.events.append(event)

    listening = asyncio.create_task(listen())
    running = asyncio.create_task(runner.run(made.stop))
    await asyncio.sleep(0)
    try:
        yield made
        assert [problem for e in made.events for problem in problems_of(e.topic, e.name, e.payload)] == []
    finally:
        made.stop.set()
        await running
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await stores.close()


def answering(*texts: str) -> Script:
    return lambda _: [*(TextDelta(text) for text in texts), Final("".join(texts))]


async def test_a_message_is_answered_with_events_in_order(store_settings: Settings) -> None:
    async with bench_of(store_settings, answering("Hel", "lo")) as bench:
        task = await bench.say()
        done = await bench.until(task)
        assert done.reply == "Hello"
        assert [message.text for message in await bench.answers()] == ["Hello"]
        assert [event.name for event in bench.events] == ["turn.started", "text.delta", "text.delta"]
        for event in bench.events:
            assert event.payload["task"] == str(task)
            assert event.payload["turn"] == f"{task}.1"
            assert event.payload["attempt"] == 1


async def test_a_channel_works_in_order_while_others_go_on(store_settings: Settings) -> None:
    gate = asyncio.Event()

    def script(request: TurnRequest) -> list[Step]:
        return [gate, Final("slow")] if request.text == "slow" else [Final("fast")]

    async with bench_of(store_settings, script) as bench:
        slow = await bench.say("slow")
        behind = await bench.say("behind")
        other = await bench.say("other", channel="web:b")
        await bench.until(other)
        assert (await bench.stores.tasks.get(behind)).state is TaskState.QUEUED
        gate.set()
        await bench.until(behind)
        assert [message.text for message in await bench.answers()] == ["slow", "fast"]
        assert (await bench.stores.tasks.get(slow)).state is TaskState.DONE


async def test_a_failing_turn_is_tried_again_and_listeners_are_told(store_settings: Settings) -> None:
    def script(request: TurnRequest) -> list[Step]:
        return [TextDelta("half"), ModelError("busy")] if request.attempt == 1 else [Final("whole")]

    async with bench_of(store_settings, script) as bench:
        done = await bench.until(await bench.say())
        assert (done.reply, done.attempt) == ("whole", 2)
        assert bench.named("turn.failed")[0]["retrying"] is True
        assert [payload["attempt"] for payload in bench.named("turn.started")] == [1, 2]
        assert [message.text for message in await bench.answers()] == ["whole"]


async def test_a_turn_that_always_fails_is_dead_and_the_person_reads_why(store_settings: Settings) -> None:
    async with bench_of(store_settings, lambda _: [RuntimeError("bug")], max_attempts=2) as bench:
        task = await bench.until(await bench.say(), TaskState.DEAD)
        assert task.error is not None
        assert task.error.code == "internal"
        assert "bug" not in task.error.message
        (answer,) = await bench.answers()
        assert "2 times" in answer.text
        assert "kept" in answer.text
        assert bench.named("turn.failed")[-1]["retrying"] is False


async def test_a_dead_task_retried_by_hand_gets_fresh_attempts(store_settings: Settings) -> None:
    def script(request: TurnRequest) -> list[Step]:
        return [ModelError("busy")] if request.attempt <= 2 else [Final("at last")]

    async with bench_of(store_settings, script, max_attempts=1) as bench:
        task = await bench.say()
        await bench.until(task, TaskState.DEAD)
        await bench.control.retry(task)
        bench.signals.notify("tasks")
        await bench.until(task, TaskState.DEAD)
        await bench.control.retry(task)
        done = await bench.until(task)
        assert done.reply == "at last"
        with pytest.raises(Conflict):
            await bench.control.retry(task)


async def test_an_error_that_will_not_go_away_is_not_tried_again(store_settings: Settings) -> None:
    async with bench_of(store_settings, lambda _: [InvalidInput("no")]) as bench:
        task = await bench.until(await bench.say(), TaskState.DEAD)
        assert task.attempt == 1


async def test_a_stopped_turn_keeps_the_words_said_so_far(store_settings: Settings) -> None:
    never = asyncio.Event()
    async with bench_of(store_settings, lambda _: [TextDelta("So far"), never, Final("never")]) as bench:
        task = await bench.say()
        await bench.heard("text.delta")
        await bench.control.cancel(task)
        stopped = await bench.until(task, TaskState.CANCELLED)
        assert stopped.reply == "So far"
        (answer,) = await bench.answers()
        assert (answer.text, answer.interrupted) == ("So far", True)
        assert bench.brain.closed == 1
        assert (await bench.control.cancel(task)).state is TaskState.CANCELLED


async def test_a_turn_stopped_before_its_first_word_says_so(store_settings: Settings) -> None:
    never = asyncio.Event()
    async with bench_of(store_settings, lambda _: [never]) as bench:
        task = await bench.say()
        await bench.heard("turn.started")
        await bench.control.cancel(task)
        await bench.until(task, TaskState.CANCELLED)
        await asyncio.sleep(0.05)
        assert bench.named("turn.failed")[-1]["code"] == "cancelled"
        assert await bench.answers() == []


async def test_a_queued_task_is_cancelled_at_once(store_settings: Settings) -> None:
    gate = asyncio.Event()
    async with bench_of(store_settings, lambda _: [gate, Final("x")]) as bench:
        await bench.say("first")
        second = await bench.say("second")
        assert (await bench.control.cancel(second)).state is TaskState.CANCELLED
        gate.set()
        await asyncio.sleep(0.3)
        assert [request.text for request in bench.brain.requests] == ["first"]


async def test_a_worker_that_lost_its_lease_writes_nothing(
    store_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antiphon.store.stores import open_stores

    gate = asyncio.Event()

    def script(request: TurnRequest) -> list[Step]:
        return [gate, Final("from the lost worker")] if request.attempt == 1 else [Final("from the new one")]

    async with bench_of(store_settings, script) as bench:
        task = await bench.say()
        await bench.heard("turn.started")

        async def no_claims() -> int:
            return 0

        monkeypatch.setattr(bench.runner, "claim", no_claims)  # it shall not simply take the task back
        elsewhere = open_stores(store_settings, SystemClock(), LocalSignals())
        await elsewhere.tasks.reap(owners_are_gone=True)  # another process decided that we are dead
        (work,) = await elsewhere.tasks.claim("other", 1, 30)
        gate.set()
        await asyncio.sleep(0.2)
        await elsewhere.close()
        assert work.lease.attempt == 2
        assert (await bench.stores.tasks.get(task)).state is TaskState.RUNNING
        assert await bench.answers() == []


async def test_the_heartbeat_keeps_a_long_turn_and_drops_a_lost_one(store_settings: Settings) -> None:
    gate = asyncio.Event()
    async with bench_of(store_settings, lambda _: [gate, Final("kept")], lease=2.0) as bench:
        task = await bench.say()
        await asyncio.sleep(2.5)
        await bench.stores.tasks.reap()
        assert (await bench.stores.tasks.get(task)).state is TaskState.RUNNING
        gate.set()
        assert (await bench.until(task)).attempt == 1


async def test_a_task_that_kills_its_workers_goes_to_the_dead_letters(sqlite_settings: Settings) -> None:
    from antiphon.store.stores import open_stores

    async with bench_of(sqlite_settings, answering("never reached")) as bench:
        bench.stop.set()
        await asyncio.sleep(0.05)
        stores = open_stores(sqlite_settings, SystemClock(), LocalSignals())
        task = await bench.say("poison")
        for life in range(3):
            claimed = await stores.tasks.claim(f"worker-{life}", 1, 30)
            assert len(claimed) == 1
            await stores.tasks.reap(owners_are_gone=True)  # it died of it
        assert list(await stores.tasks.bury(3, "Given up.")) == [task]
        assert (await stores.tasks.get(task)).state is TaskState.DEAD
        assert [message.text for message in await bench.answers()] == ["Given up."]
        await stores.close()


async def test_shutdown_gives_unfinished_tasks_back(store_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.threads.runner.STOP_GRACE_SECONDS", 0.1)
    never = asyncio.Event()
    async with bench_of(store_settings, lambda _: [TextDelta("x"), never]) as bench:
        task = await bench.say()
        await bench.heard("text.delta")
        bench.stop.set()
        queued = await bench.until(task, TaskState.QUEUED)
        assert queued.reply is None
        assert await bench.answers() == []


async def test_shutdown_gives_back_what_was_handed_over_last(store_settings: Settings) -> None:
    async with bench_of(store_settings, lambda _: [Final("never")]) as bench:
        bench.stop.set()
        await asyncio.sleep(0.05)
        bench.stores.tasks.stand_by("me", 1, 30)
        task = await bench.say()
        assert (await bench.stores.tasks.get(task)).state is TaskState.RUNNING
        await bench.runner.run(bench.stop)
        assert (await bench.stores.tasks.get(task)).state is TaskState.QUEUED


async def test_an_answer_outlives_a_database_that_is_away_for_a_moment(store_settings: Settings) -> None:
    class Away:
        """A task store whose next three completions fail."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner
            self.left = 3

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        async def finish(self, *arguments: Any) -> None:
            if self.left:
                self.left -= 1
                raise StoreUnavailable("away")
            await self._inner.finish(*arguments)

    async with bench_of(store_settings, answering("kept"), wrap=Away) as bench:
        done = await bench.until(await bench.say())
        assert (done.reply, done.attempt) == ("kept", 1)
        assert len(bench.brain.requests) == 1


def asking(rule: ApproverRule) -> Script:
    def script(request: TurnRequest) -> list[Step]:
        if request.resume is None and request.text == "ask":
            question = PauseRequest(
                "c1", "memory.forget_all", {}, "hash", "Forget it all", rule, SystemClock().now() + timedelta(minutes=5)
            )
            return [Paused(b"state", (question,), "")]
        states = [str(approval.state) for approval in request.resume.approvals] if request.resume else []
        return [Final(f"{request.text} {' '.join(states)}".strip())]

    return script


async def test_a_waiting_task_releases_its_channel_and_continues_when_approved(store_settings: Settings) -> None:
    async with bench_of(store_settings, asking(ApproverRule())) as bench:
        task = await bench.say("ask")
        await bench.until(task, TaskState.WAITING)
        await bench.until(await bench.say("meanwhile"))
        (approval,) = await bench.stores.approvals.pending("web:a")
        assert bench.named("approval.needed")[0]["approval"] == str(approval.id)
        await bench.approvals.decide(approval.id, Requester(bench.person, "web", ""), approve=True)
        done = await bench.until(task)
        assert done.reply == "ask approved"
        assert bench.named("approval.decided")[0]["state"] == "approved"
        assert bench.brain.requests[-1].resume is not None
        assert bench.brain.requests[-1].resume.snapshot == b"state"


async def test_only_who_may_answers_an_approval(store_settings: Settings) -> None:
    async with bench_of(store_settings, asking(ApproverRule())) as bench:
        task = await bench.say("ask")
        await bench.until(task, TaskState.WAITING)
        (approval,) = await bench.stores.approvals.pending()
        stranger = Requester((await bench.stores.users.create("eve", Role.MEMBER)).person, "web", "")
        with pytest.raises(Forbidden):
            await bench.approvals.decide(approval.id, stranger, approve=True)
        assert await bench.approvals.pending(stranger) == []
        assert (await bench.stores.approvals.get(approval.id)).state is ApprovalState.PENDING


async def test_an_approval_by_permission_is_for_operators(store_settings: Settings) -> None:
    rule = ApproverRule(ApproverKind.PERMISSION, "operator")
    async with bench_of(store_settings, asking(rule)) as bench:
        task = await bench.say("ask")
        await bench.until(task, TaskState.WAITING)
        (approval,) = await bench.stores.approvals.pending()
        member = await bench.stores.users.create("mia", Role.MEMBER)
        operator = await bench.stores.users.create("otto", Role.OPERATOR)
        with pytest.raises(Forbidden):
            await bench.approvals.decide(approval.id, Requester(member.person, "web", ""), approve=True)
        await bench.approvals.decide(approval.id, Requester(operator.person, "web", ""), approve=False)
        assert (await bench.until(task)).reply == "ask denied"


async def test_cancelling_a_waiting_task_withdraws_its_questions(store_settings: Settings) -> None:
    async with bench_of(store_settings, asking(ApproverRule())) as bench:
        task = await bench.say("ask")
        await bench.until(task, TaskState.WAITING)
        (approval,) = await bench.stores.approvals.pending()
        await bench.control.cancel(task)
        assert (await bench.stores.approvals.get(approval.id)).state is ApprovalState.CANCELLED
        with pytest.raises(Conflict):
            await bench.approvals.decide(approval.id, Requester(bench.person, "web", ""), approve=True)


async def test_a_stop_that_meets_a_pause_wins(store_settings: Settings) -> None:
    def script(request: TurnRequest) -> list[Step]:
        async def stop_asked_elsewhere(request: TurnRequest) -> None:
            await bench.stores.tasks.cancel(request.task)  # the word of it has not come here yet

        return [stop_asked_elsewhere, *asking(ApproverRule())(request)]

    async with bench_of(store_settings, script) as bench:
        task = await bench.say("ask")
        await bench.until(task, TaskState.CANCELLED)
        assert await bench.stores.approvals.pending() == []
        await bench.heard("turn.failed")
        assert bench.named("turn.failed")[-1]["code"] == "cancelled"


async def test_a_reply_among_the_dead_letters_is_sent_again_by_hand(store_settings: Settings) -> None:
    async with bench_of(store_settings, answering("lost")) as bench:
        task = await bench.say()
        await bench.until(task)
        (delivery,) = await bench.stores.outbox.claim("sender", 1, 30, ["web"])
        with pytest.raises(Conflict):
            await bench.control.retry(task)
        await bench.stores.outbox.dead("sender", delivery.reply, "gone")
        await bench.control.retry(task)
        (again,) = await bench.stores.outbox.claim("sender", 1, 30, ["web"])
        assert (again.reply, again.text) == (delivery.reply, "lost")
        assert len(bench.brain.requests) == 1


async def test_tool_events_are_published(store_settings: Settings) -> None:
    started: list[TurnEvent] = [ToolStarted(3, "clock.now", "the time"), Final("12:00")]
    async with bench_of(store_settings, lambda _: list(started)) as bench:
        await bench.until(await bench.say())
        assert bench.named("tool.started")[0] == {
            "task": "1",
            "turn": "1.1",
            "attempt": 1,
            "execution": "3",
            "tool": "clock.now",
            "status": "started",
            "summary": "the time",
        }


@pytest.mark.parametrize(("text", "error"), [("", InvalidInput), (" \n", InvalidInput), ("a\x00b", InvalidInput)])
async def test_unusable_text_is_refused(sqlite_settings: Settings, text: str, error: type[Exception]) -> None:
    async with bench_of(sqlite_settings, answering("x")) as bench:
        with pytest.raises(error):
            await bench.say(text, native_id="n")


async def test_too_long_and_half_characters_are_refused(sqlite_settings: Settings) -> None:
    async with bench_of(sqlite_settings, answering("x")) as bench:
        with pytest.raises(TooLarge):
            await bench.say("x" * 1001, native_id="n")
        with pytest.raises(InvalidInput):
            await bench.say("\ud800", native_id="n")
        assert sum((await bench.stores.tasks.counts()).values()) == 0


TRACES = "SELECT trace FROM antiphon_turn WHERE task_id = %s ORDER BY attempt"
SPENT = Usage(requests=2, input_tokens=700, output_tokens=70, cost=1.5, model="dear")


async def spend(request: TurnRequest) -> TurnEvent | None:
    """As a brain does whose request was broken off; a pause names what it consumed itself."""
    request.meter.usage = SPENT
    request.meter.requests.append({"model": "dear", "cost": 1.5, "estimated": True})
    if request.text != "ask":
        return None
    [paused] = asking(ApproverRule())(request)
    assert isinstance(paused, Paused)
    return replace(paused, usage=SPENT, trace=request.meter.as_trace())


@pytest.mark.parametrize("way", ["stopped", "failed", "paused"])
async def test_what_a_turn_consumed_is_in_the_accounts_however_it_ended(store_settings: Settings, way: str) -> None:
    gate = asyncio.Event()

    def script(request: TurnRequest) -> list[Step]:
        if way == "stopped":
            return [spend, TextDelta("One. "), gate]
        return [spend, ModelError("away")]

    async with bench_of(store_settings, script, max_attempts=2) as bench:
        task = await bench.say("ask" if way == "paused" else "hello")
        if way == "stopped":
            await bench.heard("text.delta")
            await bench.control.cancel(task)
            await bench.until(task, TaskState.CANCELLED)
        else:
            await bench.until(task, TaskState.DEAD if way == "failed" else TaskState.WAITING)
        today = await bench.stores.usage.today(SystemClock().now() - timedelta(days=1), bench.person, None)
        turns = 2 if way == "failed" else 1  # the one tried again, and the one given up
        assert (today.person.tokens, today.person.cost) == (770 * turns, 1.5 * turns)
        rows = await bench.stores.database.read(lambda tx: tx.rows(TRACES, task))
        traces = [json.loads(trace) if isinstance(trace, str) else trace for (trace,) in rows]
        assert [trace["requests"][0]["estimated"] for trace in traces] == [True] * turns
