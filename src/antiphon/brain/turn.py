"""READ FIRST. One turn: context, agent, tools, limits, and the events the runner publishes.

The runner (or a live session) calls `TurnBrain.turn`. The agent runs in a task of its own and feeds a queue, so text
and tool events come out in the order they happen, and closing the iterator stops the agent but no started tool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from antiphon.brain.context import ContextReader, ContextSources, TurnContext
from antiphon.brain.experts.health import ExpertHealth
from antiphon.brain.experts.registry import Experts
from antiphon.brain.models import ModelChoice
from antiphon.brain.offline.understand import Understanding
from antiphon.brain.tokens import counter_for
from antiphon.config.settings import Settings
from antiphon.domain.approvals import PauseRequest
from antiphon.domain.identity import Person, Requester
from antiphon.domain.polls import PollState, PollStore
from antiphon.domain.turns import Final, Paused, TextDelta, TurnEvent, TurnRequest
from antiphon.telemetry import tracing
from antiphon.tools.catalog import AnyTool, model_name
from antiphon.tools.execute import ToolExecutor

if TYPE_CHECKING:
    from antiphon.brain.engine import Engine, Ran

_LONGEST_VOTE = 100
"""Characters up to which a message may be nothing but the option of a poll."""
TOO_LONG = "I stopped here: this took longer than the {seconds:g} seconds one answer may take."
TOO_DEAR = "I stopped here: this answer reached {limit:g}, the most that one answer may cost. Ask for a smaller part."
TOO_MUCH = "I stopped here: this needed more steps than one answer may take. Ask me to go on, or for a smaller part."
NOTHING = "I could not form a useful answer to that. Please say it in other words, or try again."


class TurnBrain:
    """Implements `domain.turns.Brain`. One per process."""

    def __init__(
        self,
        settings: Settings,
        executor: ToolExecutor,
        sources: ContextSources,
        *,
        choice: ModelChoice | None = None,
        polls: PollStore | None = None,
    ) -> None:
        """`choice` replaces the model the settings name. Raises `ConfigError` when the settings cannot work."""
        self._settings = settings
        self._executor = executor
        self._clock = sources.clock
        self._experts = Experts.of(settings, choice)
        self.health = ExpertHealth(self._experts, every=settings.routing.health_seconds, own_port=settings.http.port)
        self._context = ContextReader(
            sources,
            messages=settings.limits.context_messages,
            tokens=settings.limits.context_tokens,
            attachments=settings.attachments,
            count=counter_for(settings.model, settings.models_path),
        )
        self._understanding = Understanding()
        self._polls = polls
        self._loading: asyncio.Task[Engine] | None = None

    async def warm_up(self) -> None:
        """Import and build what the first turn needs (about two seconds of CPU, in a thread). Called after the port
        is open; a turn that comes earlier waits for it."""
        await self._engine()
        await asyncio.to_thread(_warm_tools)

    async def close(self) -> None:
        """Close the connections to the language models."""
        loading = self._loading
        if loading is not None and loading.done() and not loading.cancelled() and loading.exception() is None:
            await loading.result().close()
        await self._experts.close()

    async def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """Yield the turn's events, ending with `Final` or `Paused`. Raises `ModelError`."""
        events: asyncio.Queue[TurnEvent | None] = asyncio.Queue()
        running = asyncio.create_task(self._run(request, events.put_nowait), name=f"turn {request.turn}")
        running.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield running.result()
        finally:
            running.cancel()
            await asyncio.wait((running,))

    async def _run(self, request: TurnRequest, emit: Callable[[TurnEvent], None]) -> Final | Paused:
        loop = asyncio.get_running_loop()
        began = loop.time()
        speech = _Speech(emit)
        seconds = self._settings.limits.turn_seconds
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                ended = await self._answer(request, speech, emit)
        except TimeoutError:
            if not deadline.expired():
                raise
            ended = speech.close_with(TOO_LONG.format(seconds=seconds), {"stopped": "time"})
        meter = request.meter
        meter.usage = replace(meter.usage, seconds=loop.time() - began)
        return replace(ended, usage=meter.usage, trace={**ended.trace, **meter.as_trace()})

    async def _answer(self, request: TurnRequest, speech: _Speech, emit: Callable[[TurnEvent], None]) -> Final | Paused:
        engine = await self._engine()
        from antiphon.brain import engine as engines  # late: imported already, in the thread of `_engine`
        from antiphon.brain import ledger as accounts

        with tracing.span("context"):
            context = await self._context.read(request)
        snapshot = engines.read_snapshot(request.resume.snapshot) if request.resume else None
        limits = self._settings.limits
        ledger = accounts.Ledger(request.meter, self._settings.prices, limit=limits.turn_cost)
        session = self._executor.open(
            request.requester,
            context.person,
            _task_of(request),
            lease=request.lease,
            occurrences=engines.occurrences_of(snapshot) if snapshot else None,
            observer=emit,
        )
        waiting = engines.pending_calls(snapshot) if snapshot else ()
        job = engines.Job(
            text=request.text,
            persona="\n\n".join(part for part in (self._settings.system_prompt, request.role) if part.strip()),
            context=context,
            session=session,
            visible=await self._visible(request.requester, waiting),
            snapshot=snapshot,
            approvals={a.call_id: a for a in request.resume.approvals} if request.resume else {},
            channel=request.channel,
            spoken=request.spoken,
            options=await self._options(request),
            ledger=ledger,
        )
        try:
            ran = await engine.run(job, speech.say)
        except engines.LimitReached:
            return speech.close_with(TOO_MUCH, {"stopped": "limit"})
        except accounts.CostReached:
            return speech.close_with(TOO_DEAR.format(limit=limits.turn_cost), {"stopped": "cost"})
        except engines.NothingUsable:
            return speech.close_with(NOTHING, {"stopped": "nothing usable"})
        if ran.pause:
            return self._paused(ran, speech)
        if not speech.text.strip():
            return speech.close_with(ran.text.strip() or NOTHING, ran.trace)
        return Final(text=speech.text, trace=ran.trace)

    async def _visible(self, requester: Requester, waiting: Sequence[str]) -> Sequence[AnyTool]:
        """The tools the requester may use now, and those a paused turn waits for: whether these may still run is for
        the executor to say, in words the person gets to read."""
        tools = self._executor.catalog.all()
        permitted = await self._executor.policy.permitted(requester, [tool.spec for tool in tools])
        return [tool for tool in tools if tool.spec.name in permitted or model_name(tool.spec.name) in waiting]

    async def _options(self, request: TurnRequest) -> Sequence[str]:
        """What can be voted for in this channel, where the message is short enough to be a vote."""
        if self._polls is None or len(request.text) > _LONGEST_VOTE:
            return ()
        poll = await self._polls.latest(request.channel)
        return poll.options if poll is not None and poll.state is PollState.OPEN else ()

    def _paused(self, ran: Ran, speech: _Speech) -> Paused:
        expires = self._clock.now() + timedelta(minutes=self._settings.approvals.expire_minutes)
        requests = tuple(
            PauseRequest(
                call_id=call_id,
                tool=needed.tool,
                arguments=needed.arguments,
                arguments_hash=needed.arguments_hash,
                summary=needed.summary,
                rule=needed.rule,
                expires_at=expires,
            )
            for call_id, needed in ran.asked.items()
        )
        # The question itself is put by whoever stores the pause: a notice, a card, a spoken sentence.
        return Paused(snapshot=ran.pause, requests=requests, text=speech.text, trace=ran.trace)

    async def _engine(self) -> Engine:
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._build), name="brain warm-up")
        loading = self._loading
        try:
            return await asyncio.shield(loading)
        except Exception:
            self._loading = None
            raise

    def _build(self) -> Engine:
        from antiphon.brain.engine import Engine  # late: more than a second of imports, in a thread

        self._understanding.warm_up()
        engine = Engine(self._experts, self._understanding, self._settings)
        asyncio.run(self._rehearse(engine))
        return engine

    async def _rehearse(self, engine: Engine) -> None:
        """One turn for nobody, offline and without tools: pydantic builds a third of a second of validators in it."""
        from antiphon.brain.engine import Job

        nobody = Person(id=0, name="")
        session = self._executor.open(Requester(0, "web", "web:warm-up"), nobody, _nothing_to_commit)
        context = TurnContext(self._clock.now(), nobody, (), ())
        await engine.rehearse(Job("hello", "", context, session, self._executor.catalog.all()))


class _Speech:
    """The words of a turn as they come: what is streamed and what the final text says are the same."""

    def __init__(self, emit: Callable[[TurnEvent], None]) -> None:
        self.text = ""
        self._emit = emit

    def say(self, text: str, new_part: bool) -> None:
        """More text. A new part (after a tool, say) begins a paragraph of its own."""
        if not text:
            return
        if new_part and self.text.strip() and not self.text.endswith("\n"):
            text = "\n\n" + text
        self.text += text
        self._emit(TextDelta(text))

    def close_with(self, words: str, trace: dict[str, object]) -> Final:
        """End the turn with a sentence of our own after whatever was said."""
        self.say(words, True)
        return Final(text=self.text, trace=trace)


def _task_of(request: TurnRequest) -> Callable[[], Awaitable[int]]:
    """How the session learns the task's id: at once, or, for a speculative turn, once it is committed."""
    if request.commit is not None:
        return _once(request.commit)

    async def known() -> int:
        return request.task

    return known


async def _nothing_to_commit() -> int:
    return 0


def _once(commit: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    """Ask for the commit a single time, however many tools wait for it."""
    asked: list[asyncio.Future[int]] = []

    async def committed() -> int:
        if not asked:
            asked.append(asyncio.ensure_future(commit()))
        return await asyncio.shield(asked[0])

    return committed


def _warm_tools() -> None:
    from antiphon.tools.builtin import places, units, when  # late: heavy on purpose

    for part in (places, when, units):
        part.warm_up()
