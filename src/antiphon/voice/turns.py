"""The turns of one session, from the person's words to rows: prepared early, committed when the person is done, ended
with the words that were really heard.

The engine (`turn_taking`) says when; `threads/live` keeps. Everything that is written goes through one queue, so that
a turn is ended before the next one is committed, and nothing in the conversation waits for the database.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import structlog

from antiphon.domain.approvals import Approval, ApprovalState
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage
from antiphon.domain.errors import (
    AntiphonError,
    ChannelBusy,
    Conflict,
    Forbidden,
    LeaseLost,
    NotFound,
    StoreUnavailable,
)
from antiphon.domain.events import Bus, turn_topic
from antiphon.domain.identity import Requester, Sender
from antiphon.domain.turns import Final, Paused, TextDelta, ToolFinished, ToolStarted, Unfinished
from antiphon.domain.voice import VoiceSession, spoken_message
from antiphon.domain.work import Pause, TaskFailure, Usage
from antiphon.telemetry import metrics
from antiphon.threads.approvals import Approvals
from antiphon.threads.live import LiveTurn, LiveTurns
from antiphon.voice.backchannels import yes_or_no
from antiphon.voice.latency import Moments, observe
from antiphon.voice.own_words import own_words
from antiphon.voice.spoken import Spoken
from antiphon.voice.telling import Teller
from antiphon.voice.transcript import Transcript, instant, tool_status
from antiphon.voice.transports.transport import RATE

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

COMMIT_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, *(1.0,) * 30)
FINISH_WAITS = (0.1, 0.3, 1.0, 2.0, 4.0, 6.0, 6.0)


class SpokenTurn:
    """One answer of the agent and what the person said before it. Without `live` it is a notice of our own."""

    def __init__(self, number: int, text: str, live: LiveTurn | None, moments: Moments) -> None:
        self.number = number
        self.text = text
        self.live = live
        self.moments = moments
        self.spoken = Spoken()
        self.written = ""
        """What the model has written so far."""
        self.segment = 0
        self.wanted = asyncio.Event()
        """Set once the person is done and this is the answer to be given."""
        self.usage: Usage | None = None
        self.failure: TaskFailure | None = None
        self.paused = False
        self.ended = False
        self.decision: bool | None = None
        """The person answered our question, and this is their answer."""


@dataclass(frozen=True, slots=True)
class _Question:
    """An answer that asks for a yes or no: what it names, in words and by the numbers of the approvals."""

    turn: SpokenTurn
    what: str
    approvals: frozenset[int]


class Turns:
    """Begins, commits and ends the turns of one session."""

    def __init__(
        self,
        session: VoiceSession,
        *,
        live: LiveTurns,
        approvals: Approvals,
        bus: Bus,
        clock: Clock,
        transcript: Transcript,
        teller: Teller,
        name: str,
        language: str,
        say: Callable[[str], None],
        heard: Callable[[Spoken], int],
        after: int = 0,
    ) -> None:
        """`say` speaks a text of ours as soon as nobody else speaks; `heard` tells how many samples of an answer were
        heard by now. `name` is the person's.

        `after` is the number of the last turn that there is already.
        """
        self._session = session
        self._live = live
        self._approvals = approvals
        self._bus = bus
        self._clock = clock
        self._transcript = transcript
        self._teller = teller
        self._name = name
        self._language = language
        self._words = own_words(language)
        self._say = say
        self._heard = heard
        self._answered: SpokenTurn | None = None
        """The last turn that was wanted."""
        self._numbers = after
        self._message = f"{spoken_message(session.key)}{secrets.token_hex(3)}"
        """Begins the ids of what the person says: other ones where the session goes on in another process."""
        self._heard_words = 0
        self._latest: asyncio.Task[object] | None = None
        self._asking: dict[int, Approval] = {}
        self._question: _Question | None = None
        """What was asked for a yes or no last, if nothing else was said since."""
        self._following: asyncio.Task[None] | None = None
        self._open: set[SpokenTurn] = set()

    @property
    def asking(self) -> bool:
        """Whether the agent waits for a yes or no."""
        now = self._clock.now()
        return any(approval.expires_at > now for approval in self._asking.values())

    def follow(self) -> None:
        """Begin to listen to what others write in this conversation: answers after an approval, reminders."""
        self._following = asyncio.create_task(self._follow(), name="voice-follow")

    async def recall(self) -> None:
        """Take up what was asked in this conversation and is not answered yet: a yes asks it again, to be heard."""
        who = Requester(person=self._session.person, platform="web", channel=self._session.channel)
        try:
            asked = await self._approvals.pending(who, self._session.channel)
        except AntiphonError as error:
            log.warning("voice.questions_not_recalled", code=error.code)
            return
        self._asking.update({approval.id: approval for approval in asked})

    # --- one turn -----------------------------------------------------------------------------------------------------

    def begin(self, text: str, moments: Moments) -> SpokenTurn:
        """Prepare an answer to what was heard so far. It may never be wanted. Raises `AntiphonError`."""
        now = self._clock.now()
        self._asking = {number: asked for number, asked in self._asking.items() if asked.expires_at > now}
        decision = yes_or_no(text, self._language) if self._asking else None
        if decision is not None:
            turn = SpokenTurn(0, text, None, moments)
            turn.decision = decision
        else:
            turn = SpokenTurn(0, text, self._live_turn(text), moments)
        self._open.add(turn)
        return turn

    def notice(self, text: str, moments: Moments) -> SpokenTurn:
        """Something of our own that is going to be said."""
        turn = SpokenTurn(0, text, None, moments)
        turn.written = text
        turn.wanted.set()
        self._open.add(turn)
        self._question = None
        return turn

    def _live_turn(self, text: str) -> LiveTurn:
        session = self._session
        self._heard_words += 1
        message = InboundMessage(
            platform="web",
            channel=session.channel,
            native_id=f"{self._message}-{self._heard_words}",
            sender=Sender(native_id=str(session.person), name=self._name),
            text=text,
            at=self._clock.now(),
            person=session.person,
        )
        who = Requester(person=session.person, platform="web", channel=session.channel)
        return self._live.start(
            message,
            who,
            session=f"voice-{session.key}",
            role=session.system_prompt.strip(),
            unfinished=self._unfinished(),
        )

    def _unfinished(self) -> Unfinished | None:
        """What the agent says, or said last: an interruption is answered before what it cut short is stored."""
        turn = self._answered
        work = turn.live.work if turn is not None and turn.live is not None else None
        if turn is None or work is None or turn.paused:
            return None
        text = turn.spoken.heard(None if turn.ended else self._heard(turn.spoken))
        return Unfinished(work.lease.task, text) if text else None

    def commit(self, turn: SpokenTurn) -> None:
        """The person is done: this is the answer. It is stored from here on."""
        if turn.wanted.is_set():
            return
        self._numbers += 1
        turn.number = self._numbers
        turn.wanted.set()
        if (live := turn.live) is not None:
            self._question = None
            self._answered = turn
            self._in_order(lambda: self._commit(turn, live))

    async def _commit(self, turn: SpokenTurn, live: LiveTurn) -> None:
        for wait in COMMIT_WAITS:
            try:
                work = await live.commit()
            except (ChannelBusy, StoreUnavailable) as error:
                log.info("voice.commit_waits", code=error.code)
                await asyncio.sleep(wait)
            except AntiphonError as error:
                self._cannot_keep(turn, live, error)
                return
            else:
                lease = work.lease
                await self._bus.publish(
                    turn_topic(self._session.channel),
                    "turn.started",
                    {"task": str(lease.task), "turn": lease.turn, "attempt": lease.attempt},
                )
                return
        self._cannot_keep(turn, live, StoreUnavailable("This could not be stored. It stands in the transcript alone."))

    def _cannot_keep(self, turn: SpokenTurn, live: LiveTurn, error: AntiphonError) -> None:
        log.error("voice.turn_not_stored", code=error.code)
        self._transcript.tell("error", code=error.code, message=error.message)
        turn.failure = TaskFailure(error.code, error.message)
        live.refuse(error)

    async def words(self, turn: SpokenTurn) -> AsyncGenerator[str, None]:
        """The answer as it is written. Closing it stops the model, but no tool that has started."""
        live = turn.live
        if live is None:
            await turn.wanted.wait()
            if turn.decision and self._asking and not self._question_heard():
                yield self._ask_for_all(turn)
            else:
                yield await self._decide(approve=bool(turn.decision))
            return
        try:
            async with aclosing(live.events()) as events:
                async for event in events:
                    match event:
                        case TextDelta(text=text):
                            turn.written += text
                            yield text
                        case ToolStarted() | ToolFinished():
                            self._tell_tool(turn, event)
                        case Paused():
                            yield await self._ask(turn, live, event)
                        case Final():
                            turn.usage = event.usage
                            if not turn.written and event.text:
                                turn.written = event.text
                                yield event.text
        except AntiphonError as error:
            log.warning("voice.turn_failed", code=error.code)
            turn.failure = TaskFailure(error.code, error.message)
            self._transcript.tell("error", code=error.code, message=error.message)
            yield (" " if turn.written else "") + self._words.sorry

    def end(self, turn: SpokenTurn, *, interrupted: bool) -> None:
        """The answer was spoken, or not wanted after all, or interrupted. Twice is once."""
        if turn.ended:
            return
        turn.ended = True
        self._open.discard(turn)
        spoken = turn.spoken
        heard = spoken.heard()
        cut = interrupted or not spoken.complete
        if turn.wanted.is_set():
            self._count(turn, interrupted)
            if turn.segment:
                self._transcript.close(
                    turn.segment,
                    heard,
                    interrupted=cut and bool(spoken.text),
                    unheard=spoken.unheard if cut else "",
                    heard_seconds=round(spoken.heard_samples / RATE, 2) if cut else None,
                )
        if turn.live is None:
            return
        live, wanted = turn.live, turn.wanted.is_set()
        self._in_order(lambda: self._finish(turn, live, heard, cut) if wanted else live.abandon())

    def _count(self, turn: SpokenTurn, interrupted: bool) -> None:
        result = "failed" if turn.failure else "interrupted" if interrupted else "whole"
        metrics.VOICE_TURNS.labels(result=result).inc()
        if turn.number:
            self.measured(turn)

    def measured(self, turn: SpokenTurn) -> None:
        """Tell and keep how long the turn took."""
        times = turn.moments.times(turn.number)
        observe(times)
        self._transcript.tell("latency", turn=times.turn, **times.parts)
        self._teller.do(lambda: self._transcript.keep_times(times))

    async def _finish(self, turn: SpokenTurn, live: LiveTurn, heard: str, cut: bool) -> None:
        if turn.paused or live.work is None:  # it waits for an approval; or it could not be stored
            if live.work is None:
                await live.abandon()
            return
        for wait in (*FINISH_WAITS, None):
            try:
                await live.finish(heard, interrupted=cut, usage=turn.usage, failure=turn.failure)
                return
            except LeaseLost:
                log.warning("voice.lease_lost", task=live.work.lease.task)
                return
            except StoreUnavailable:
                if wait is None:
                    log.error("voice.turn_left_to_lease", task=live.work.lease.task)
                    return
                await asyncio.sleep(wait)

    # --- tools and questions ------------------------------------------------------------------------------------------

    def _tell_tool(self, turn: SpokenTurn, event: ToolStarted | ToolFinished) -> None:
        finished = isinstance(event, ToolFinished)
        status = tool_status(event.status) if finished else "running"
        seconds = round(event.seconds, 3) if finished else None
        told: dict[str, object] = {"execution": str(event.execution), "tool": event.tool, "summary": event.summary}
        self._transcript.tell("tool", **told, status=status, seconds=seconds)
        work = turn.live.work if turn.live is not None else None
        if work is not None:
            name = "tool.finished" if finished else "tool.started"
            payload: dict[str, object] = {**told, "status": event.status if finished else "started"}
            if finished:
                payload["seconds"] = event.seconds
            self._publish(work.lease.task, work.lease.turn, work.lease.attempt, name, payload)

    def _publish(self, task: int, turn: str, attempt: int, name: str, payload: dict[str, object]) -> None:
        common = {"task": str(task), "turn": turn, "attempt": attempt}
        self._teller.do(lambda: self._bus.publish(turn_topic(self._session.channel), name, {**common, **payload}))

    async def _ask(self, turn: SpokenTurn, live: LiveTurn, paused: Paused) -> str:
        """Store the question, and return the words that ask it."""
        await turn.wanted.wait()
        turn.paused = True
        pause = Pause(
            snapshot=paused.snapshot,
            requests=paused.requests,
            text=paused.text,
            parts=(paused.text,) if paused.text else (),
            usage=paused.usage,
            trace=paused.trace,
        )
        approvals = await asyncio.shield(self._in_order(lambda: live.pause(pause)))
        work = live.work
        for approval in approvals:
            self._asking[approval.id] = approval
            told = {
                "approval": str(approval.id),
                "summary": approval.summary,
                "expires": instant(approval.expires_at),
            }
            self._transcript.tell("approval", **told)
            if work is not None:
                lease = work.lease
                self._publish(lease.task, lease.turn, lease.attempt, "approval.needed", {**told, "tool": approval.tool})
        if not approvals:
            return self._words.denied
        return ("\n" if turn.written else "") + self._ask_for_all(turn)

    def _ask_for_all(self, turn: SpokenTurn) -> str:
        """The question for everything that waits: what was left unanswered before is named again, for one yes."""
        what = "; and ".join(approval.summary.rstrip(".?! ") for approval in self._asking.values())
        self._question = _Question(turn, what, frozenset(self._asking))
        return self._words.question.format(what=what)

    def _question_heard(self) -> bool:
        """Whether the person heard everything they are asked to agree to, as the last thing that was said; a yes from
        before, or after something else, means something else."""
        asked = self._question
        return asked is not None and asked.approvals >= set(self._asking) and asked.what in asked.turn.spoken.heard()

    async def _decide(self, *, approve: bool) -> str:
        """Answer everything that was asked, with the authority of the session's own person."""
        who = Requester(person=self._session.person, platform="web", channel=self._session.channel)
        asked, self._asking = self._asking, {}
        words = self._words.too_late
        for approval in asked.values():
            try:
                decided = await self._approvals.decide(approval.id, who, approve=approve)
            except Forbidden:
                self._asking[approval.id] = approval
                words = self._words.not_yours
            except (Conflict, NotFound):
                continue
            except AntiphonError as error:
                self._asking[approval.id] = approval
                self._transcript.tell("error", code=error.code, message=error.message)
                words = self._words.sorry
            else:
                words = self._words.approved if decided.state is ApprovalState.APPROVED else self._words.denied
        return words

    # --- what others do in this conversation --------------------------------------------------------------------------

    async def _follow(self) -> None:
        async with self._bus.subscribe(turn_topic(self._session.channel)) as events:
            async for event in events:
                payload = event.payload
                match event.name:
                    case "reply" if payload.get("kind") in ("answer", "reminder"):
                        self._say(str(payload.get("text", "")))
                    case "approval.decided":
                        self._transcript.tell("approval", approval=payload["approval"], state=payload["state"])
                        self._asking.pop(int(str(payload["approval"])), None)
                    case _:
                        continue

    # --- order --------------------------------------------------------------------------------------------------------

    def _in_order(self, deed: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Do something once everything before it is done."""
        before = self._latest

        async def run() -> T:
            if before is not None:
                await asyncio.wait({before})
            return await deed()

        task = asyncio.create_task(run(), name="voice-turn-kept")
        task.add_done_callback(_noted)
        self._latest = task
        return task

    async def aclose(self, seconds: float = 3.0) -> None:
        """End what is still open, and give its rows a moment."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})
        for turn in list(self._open):
            self.end(turn, interrupted=True)
        if self._latest is not None:
            await asyncio.wait({self._latest}, timeout=seconds)


def _noted(task: asyncio.Task[T]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("voice.deed_failed", exc_info=error)
