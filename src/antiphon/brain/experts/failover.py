"""One model made of several: the first of a chain that can answer does, and when it breaks off another goes on.

What a person has seen stays: the next expert is given it and asked to go on (`seam` joins the two). Calls of tools are
passed on only when their answer is whole, so that a call that broke off never runs; what has run stands in the
messages and is not asked for again. The offline model is last, and always there. `engine` makes one per turn.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import structlog
from pydantic_ai import ModelMessage, ModelResponse, RunContext, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    RetryFeedbackPart,
    TextPartDelta,
    ThinkingPart,
    ToolReturnPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from antiphon.brain.experts.breaker import BreakerState
from antiphon.brain.experts.failures import Failure, Kind, failure_of
from antiphon.brain.experts.registry import Expert
from antiphon.brain.experts.seam import Seam
from antiphon.brain.experts.words import broke_off, cut_short
from antiphon.brain.ledger import Ledger, StreamWatch, prompt_tokens, words_of
from antiphon.brain.tokens import estimated_tokens
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

CONTINUE = (
    "[This is not from the person.] Your answer above was cut off by a fault. Go on exactly after its last word, in "
    "the same language and style, as if nothing had happened. Repeat none of it, do not greet, do not mention this."
)
STALL_SECONDS = 15.0
"""Seconds between two signs of an answer that has begun."""
PATIENCE = 5.0
"""Seconds a chain waits before it asks an expert a second time; beyond that the offline model answers."""
_PAUSE = 0.25
_ANSWER_TOKENS = 16_000
"""Tokens after which an answer is cut where the settings name no number: some models never stop."""
_CHARS_PER_TOKEN = 4
_WRONG_ROUNDS = 2
"""Wrong calls in a row after which another expert is asked."""


class Failed(Exception):
    """A signal: this attempt failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind.value)
        self.failure = failure


@dataclass(slots=True)
class AttemptRecord:
    """What stands in the trace about one attempt. `kind` is "ok", "left_alone", or a `Kind`; times in seconds."""

    expert: str
    model: str
    kind: str = ""
    first_token: float | None = None
    seconds: float = 0.0
    after_text: bool = False


@dataclass
class Course:
    """How a turn goes through its chain: what has failed, who answered last, and why, for people and for the trace."""

    chain: Sequence[Expert]
    ledger: Ledger
    language: str = "en"
    spoken: bool = False
    reasons: list[str] = field(default_factory=list[str])
    """Why experts did not answer, in words; the offline model quotes the last one."""
    records: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    answered: Expert | None = None
    _failed: dict[Expert, Failure] = field(default_factory=dict[Expert, Failure])
    _again: set[Expert] = field(default_factory=set[Expert])

    async def next(self) -> Expert | None:
        """Who is asked now, its breaker entered; None when only the offline model is left."""
        for expert in dict.fromkeys((*([self.answered] if self.answered else ()), *self.chain)):
            if expert in self._failed:
                continue
            if expert.breaker.enter():
                return expert
            self._left_alone(expert)
        for expert in self.chain:  # nobody is left: those whose fault may have passed, once more
            failure = self._failed[expert]
            pause = _PAUSE if failure.retry_after is None else failure.retry_after
            if failure.passing and expert not in self._again and pause <= PATIENCE:
                self._again.add(expert)
                await asyncio.sleep(pause)
                if expert.breaker.enter():
                    return expert
        return None

    def last(self, expert: Expert) -> bool:
        """Whether only the offline model could step in for this one."""
        return all(other is expert or other in self._failed for other in self.chain)

    def failed(self, expert: Expert, failure: Failure) -> None:
        """Not again in this turn, or only when nobody else is left."""
        self._failed[expert] = failure
        self.reasons.append(failure.reason)
        if self.answered is expert:
            self.answered = None

    def _left_alone(self, expert: Expert) -> None:
        failure = expert.failure or Failure(Kind.SERVER)
        self.records.append(AttemptRecord(expert.name, expert.label, "left_alone"))
        # Not to be tried a second time either: it is left alone for a reason.
        self._again.add(expert)
        self.failed(expert, failure)


class RoutedModel(Model):
    """See the module. `offline` answers when nobody else can."""

    _answers_requests_itself: ClassVar[bool] = False
    _profile = ModelProfile(context_window=None)
    """Said here so that it is not looked up in a list of prices, 5 MB, that experts may need and this does not."""

    def __init__(self, course: Course, offline: Model) -> None:
        # Not the base's constructor, which reads the same list.
        self._course = course
        self._offline = offline

    @property
    def model_name(self) -> str:
        """The chain, for traces; the answer itself names who answered."""
        return "routed"

    @property
    def system(self) -> str:
        """The provider's name."""
        return "antiphon"

    @property
    def provider(self) -> None:
        """There is none."""
        return

    def prepare_request(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings | None, ModelRequestParameters]:
        """Nothing: each expert prepares for itself."""
        return model_settings, model_request_parameters

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """Nothing: each expert prepares for itself."""
        del model_request_parameters
        return messages

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The whole answer at once."""
        async with self.request_stream(messages, model_settings, model_request_parameters) as stream:
            async for _ in stream:
                pass
        return stream.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The answer as it comes."""
        course = self._course
        course.ledger.begin()
        if course.answered is not None and _wrong_rounds(messages) >= _WRONG_ROUNDS:
            failure = Failure(Kind.CALLS)
            course.answered.failed(failure)
            course.failed(course.answered, failure)
        stream = _RoutedStream(
            model_request_parameters=model_request_parameters,
            course=course,
            offline=self._offline,
            messages=messages,
            settings=model_settings,
            context=run_context,
        )
        try:
            yield stream
        finally:
            await stream.close_stream()


@dataclass
class _RoutedStream(StreamedResponse):
    """One answer, out of as many attempts as it takes."""

    _: KW_ONLY
    course: Course
    offline: Model
    messages: list[ModelMessage]
    settings: ModelSettings | None
    context: RunContext[Any] | None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    used: str = ""
    used_provider: str | None = None
    _telling: AsyncGenerator[ModelResponseStreamEvent, None] | None = None

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        self._telling = self._tell()
        return self._telling

    async def close_stream(self) -> None:
        """End the attempt under way; its connection is closed."""
        if self._telling is not None:
            await self._telling.aclose()

    @property
    def model_name(self) -> str:
        """Who answered, or is answering."""
        return self.used or "routed"

    @property
    def provider_name(self) -> str | None:
        """Whose model that is."""
        return self.used_provider

    @property
    def provider_url(self) -> None:
        """Several: not told."""
        return

    @property
    def timestamp(self) -> datetime:
        """When the question was asked."""
        return self.began

    async def _tell(self) -> AsyncGenerator[ModelResponseStreamEvent, None]:
        course, seam = self.course, Seam()
        while (expert := await course.next()) is not None:
            seam.begin()
            attempt = _Attempt(expert, course, self.settings, after_text=bool(seam.length))
            try:
                await attempt.open(self._asked(seam.shown), self.model_request_parameters, self.context)
                self.used, self.used_provider = attempt.stream.model_name, attempt.stream.provider_name
                while (event := await attempt.pull()) is not None:
                    if not (text := _text(event)):
                        continue
                    if new := seam.add(text):
                        for told in self._parts_manager.handle_text_delta(vendor_part_id="text", content=new):
                            yield told
                        if seam.length > attempt.most_chars:
                            for told in self._say(seam, cut_short(course.language)):
                                yield told
                            self.finish_reason = "length"
                            attempt.good()
                            return
                for told in self._finish(attempt, seam):
                    yield told
                attempt.good()
                return
            except Failed as failed:
                attempt.bad(failed.failure, shown=bool(seam.length))
            finally:
                self._usage = self._usage + attempt.account()
                await attempt.close()
        async for told in self._without_experts(seam):
            yield told

    def _asked(self, shown: str) -> list[ModelMessage]:
        if not shown.strip():
            return self.messages
        so_far = ModelResponse(parts=[TextPart(shown.rstrip())])
        return [*self.messages, so_far, ModelRequest(parts=[UserPromptPart(CONTINUE)])]

    def _finish(self, attempt: _Attempt, seam: Seam) -> list[ModelResponseStreamEvent]:
        """The end of a whole answer: the held back word, then thoughts and calls. Raises `Failed`."""
        response = attempt.whole()
        told: list[ModelResponseStreamEvent] = []
        if rest := seam.end():
            told += self._parts_manager.handle_text_delta(vendor_part_id="text", content=rest)
        calls = _told_apart([part for part in response.parts if isinstance(part, ToolCallPart)])
        if not calls and not seam.shown.strip():
            raise Failed(Failure(Kind.EMPTY))
        if any(not _readable(call) for call in calls):
            raise Failed(Failure(Kind.BROKEN))
        # Some providers want their signed thoughts back together with the calls these led to.
        thoughts = [part for part in response.parts if isinstance(part, ThinkingPart)] if calls else []
        told += [self._parts_manager.handle_part(vendor_part_id=None, part=part) for part in (*thoughts, *calls)]
        self.finish_reason = response.finish_reason
        self.provider_details = response.provider_details
        return told

    def _say(self, seam: Seam, words: str) -> list[ModelResponseStreamEvent]:
        """Words of our own at the end."""
        rest = seam.end()
        return list(self._parts_manager.handle_text_delta(vendor_part_id="text", content=f"{rest}\n\n{words}"))

    async def _without_experts(self, seam: Seam) -> AsyncGenerator[ModelResponseStreamEvent, None]:
        """Nobody else is left. An answer that has begun is ended honestly; else the offline model gives one."""
        course = self.course
        log.warning("expert.none_left", tried=[f"{one.expert}: {one.kind}" for one in course.records])
        if seam.shown.strip():
            seam.begin()
            for told in self._say(seam, broke_off(course.language, course.reasons[-1])):
                yield told
            return
        self.used, self.used_provider = self.offline.model_name, None
        parameters = self.model_request_parameters
        messages = self.offline.prepare_messages(_without_wrong_rounds(self.messages), parameters)
        async with self.offline.request_stream(messages, self.settings, parameters, self.context) as stream:
            async for event in stream:
                if text := _text(event):
                    for told in self._parts_manager.handle_text_delta(vendor_part_id="text", content=text):
                        yield told
            response = stream.get()
        for part in response.parts:
            if isinstance(part, ToolCallPart):
                yield self._parts_manager.handle_part(vendor_part_id=None, part=part)
        self._usage = self._usage + response.usage
        course.ledger.add(self.used, response.usage)


class _Attempt:
    """One request to one expert, with its deadlines. Its breaker was entered; `good`, `bad` or `close` leave it."""

    def __init__(self, expert: Expert, course: Course, settings: ModelSettings | None, *, after_text: bool) -> None:
        self._expert = expert
        self._course = course
        self._settings = settings
        self._asked: Sequence[ModelMessage] = ()
        self._parameters = ModelRequestParameters()
        self._words: list[str] = []
        self._watch: StreamWatch | None = None
        self._sent = False
        self._whole = False
        self._open: StreamedResponse | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._first = self._began + expert.first_token_seconds(spoken=course.spoken, last=course.last(expert))
        self._end = self._began + expert.profile.total_seconds
        self._stack = AsyncExitStack()
        self._settled = False
        # Only the one that tries a breaker gives the try back: others began before it opened.
        self._tries = expert.breaker.state is not BreakerState.CLOSED
        self.begun = False
        self.record = AttemptRecord(expert.name, expert.label, after_text=after_text)
        course.records.append(self.record)
        self.most_chars = _CHARS_PER_TOKEN * (expert.profile.max_output_tokens or _ANSWER_TOKENS)

    async def open(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters, context: RunContext[Any] | None
    ) -> None:
        """Send the request. Raises `Failed`."""
        self._asked, self._parameters = messages, parameters
        ledger = self._course.ledger
        settings = ModelSettings(**(self._settings or {}))
        settings["timeout"] = self._expert.profile.total_seconds
        if most := self._expert.profile.max_output_tokens:
            settings["max_tokens"] = most
        try:
            async with asyncio.timeout_at(min(self._first, self._end)):
                await self._stack.enter_async_context(self._expert.place())
                model = self._expert.model()
                self._sent = True
                prepared = model.prepare_messages(messages, parameters)
                opening = model.request_stream(prepared, settings, parameters, context)
                self._open = await self._stack.enter_async_context(opening)
        except Exception as error:
            raise Failed(self._failure(error)) from error
        self._events: AsyncIterator[ModelResponseStreamEvent] = aiter(self.stream)
        if ledger.limited:
            prompt = prompt_tokens(messages, parameters)
            self._watch = ledger.watch(self.stream.model_name, self._expert.label, prompt)

    @property
    def stream(self) -> StreamedResponse:
        """The answer, once `open` has returned."""
        if self._open is None:
            raise RuntimeError("The request was not sent.")
        return self._open

    async def pull(self) -> ModelResponseStreamEvent | None:
        """The next event, or None at the end. Raises `Failed` or `CostReached`."""
        now = self._loop.time()
        deadline = min(now + STALL_SECONDS if self.begun else self._first, self._end)
        try:
            async with asyncio.timeout_at(deadline):
                event = await anext(self._events)
        except StopAsyncIteration:
            return None
        except Exception as error:
            raise Failed(self._failure(error)) from error
        if not self.begun:
            self.begun = True
            self.record.first_token = self._loop.time() - self._began
            metrics.EXPERT_FIRST_TOKEN.labels(expert=self._expert.name).observe(self.record.first_token)
        if said := words_of(event):
            self._words.append(said)
            if self._watch is not None:
                self._watch.heard(said)
        return event

    def whole(self) -> ModelResponse:
        """The response, when it is whole. Raises `Failed`."""
        response = self.stream.get()
        if response.state == "incomplete":
            raise Failed(Failure(Kind.BROKEN))
        over_the_wire = self.stream.provider_name == self._expert.choice.provider
        if over_the_wire and "finish_reason" not in (response.provider_details or {}):
            # A stream that ends without saying why was cut: servers and proxies that die close it like this.
            raise Failed(Failure(Kind.BROKEN if self.begun else Kind.GARBAGE))
        self._whole = True
        return response

    def account(self) -> RequestUsage:
        """Enter what the attempt consumed in the ledger: the server's figures, an estimate where these are missing."""
        refused = not self.begun and self._settled and self.record.kind not in _LATE
        if not self._sent or refused:
            return RequestUsage()
        usage = self._open.usage if self._open is not None else RequestUsage()
        model = self._open.model_name if self._open is not None else ""
        estimated = False
        if not usage.input_tokens:
            usage = replace(usage, input_tokens=prompt_tokens(self._asked, self._parameters))
            estimated = True
        if not self._whole or not usage.output_tokens:
            # A server tells with the last event how long its answer was, or counts up to there.
            heard = estimated_tokens("".join(self._words)) if self._words else 0
            if heard > usage.output_tokens:
                usage = replace(usage, output_tokens=heard)
                estimated = True
        if estimated:  # so that the limits of a turn count it
            usage = replace(usage, unmeasured_requests=0)
        self._course.ledger.add(model, usage, label=self._expert.label, estimated=estimated)
        return usage

    def good(self) -> None:
        """It answered."""
        self._settle("ok")
        self._course.answered = self._expert
        self._expert.went_well()

    def bad(self, failure: Failure, *, shown: bool) -> None:
        """It failed; `shown` when a person had seen some of the answer."""
        self._settle(failure.kind.value)
        self._course.failed(self._expert, failure)
        self._expert.failed(failure)
        log.warning(
            "expert.failed",
            expert=self._expert.name,
            model=self._expert.label,
            kind=failure.kind.value,
            reason=failure.reason,
            after_text=shown,
            breaker=self._expert.breaker.state.value,
        )

    async def close(self) -> None:
        """Close the connection. Without a verdict the breaker is left as it was."""
        if not self._settled:
            self._settle("stopped")
            if self._tries:
                self._expert.left()
        try:
            await self._stack.aclose()
        except Exception as error:  # a connection that breaks while it is closed changes nothing
            log.debug("expert.close_failed", expert=self._expert.name, error=type(error).__name__)

    def _settle(self, result: str) -> None:
        self._settled = True
        self.record.kind = result
        self.record.seconds = self._loop.time() - self._began
        result = result if result in _ENDS else "failed"
        metrics.EXPERT_ATTEMPTS.labels(expert=self._expert.name, result=result).inc()

    def _failure(self, error: Exception) -> Failure:
        if isinstance(error, TimeoutError) and self._loop.time() >= self._end:
            return Failure(Kind.TOTAL)
        return failure_of(error, begun=self.begun)


_ENDS = ("ok", "stopped")
_LATE = ("first_token", "stalled", "total")
"""Failures of a server that has taken the request, and may be working on it."""


def _text(event: ModelResponseStreamEvent) -> str:
    if isinstance(event, PartDeltaEvent):
        return event.delta.content_delta if isinstance(event.delta, TextPartDelta) else ""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return ""


def _told_apart(calls: Sequence[ToolCallPart]) -> list[ToolCallPart]:
    """The calls, each under an id of its own: some servers give all calls of an answer the same one."""
    seen: set[str] = set()
    found: list[ToolCallPart] = []
    for number, call in enumerate(calls):
        if call.tool_call_id in seen:
            call = replace(call, tool_call_id=f"{call.tool_call_id}-{number}")
        seen.add(call.tool_call_id)
        found.append(call)
    return found


def _readable(call: ToolCallPart) -> bool:
    """Whether the arguments are whole; wrong ones are for the tool to refuse."""
    if not isinstance(call.args, str) or not call.args:
        return True
    try:
        json.loads(call.args)
    except (ValueError, RecursionError):
        return False
    return True


def _wrong_rounds(messages: Sequence[ModelMessage]) -> int:
    """How many of the latest requests told the model that it had called wrongly."""
    rounds = 0
    for message in reversed(messages):
        if isinstance(message, ModelRequest):
            if not any(_wrong(part) for part in message.parts):
                break
            rounds += 1
    return rounds


def _without_wrong_rounds(messages: list[ModelMessage]) -> list[ModelMessage]:
    """The conversation before a model began to call wrongly: the offline model starts from there."""
    kept = list(messages)
    while kept and isinstance(kept[-1], ModelRequest) and kept[-1].parts and all(map(_wrong, kept[-1].parts)):
        kept.pop()
        while kept and isinstance(kept[-1], ModelResponse):
            kept.pop()
    return kept


def _wrong(part: object) -> bool:
    return isinstance(part, RetryFeedbackPart) or (isinstance(part, ToolReturnPart) and part.outcome == "retried")
