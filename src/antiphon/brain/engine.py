"""Runs the agent for `turn.py`: history in, streamed text and tool calls out. Holds everything pydantic-ai about it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_ai import (
    Agent,
    AgentStreamEvent,
    BinaryContent,
    Conversation,
    DeferredToolRequests,
    DeferredToolResults,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    RunContext,
    TextPart,
    TextPartDelta,
    UsageLimits,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior, UsageLimitExceeded
from pydantic_ai.models import Model
from pydantic_ai.models.instrumented import InstrumentationSettings

from antiphon.brain.context import TurnContext
from antiphon.brain.experts.embeddings import EmbeddingIndex
from antiphon.brain.experts.failover import Course, RoutedModel
from antiphon.brain.experts.registry import Experts
from antiphon.brain.experts.router import Route, Router, examples_of
from antiphon.brain.ledger import Ledger
from antiphon.brain.models import ModelChoice
from antiphon.brain.offline.model import OfflineModel
from antiphon.brain.offline.slots import NONE
from antiphon.brain.offline.understand import Understanding
from antiphon.brain.prompt import message_as_data
from antiphon.brain.toolset import CatalogToolset, TurnTools
from antiphon.config.settings import Settings
from antiphon.domain.approvals import Approval
from antiphon.domain.conversation import Author
from antiphon.domain.errors import ModelError
from antiphon.domain.turns import Meter
from antiphon.telemetry.tracing import tracing_of_models
from antiphon.tools.catalog import AnyTool
from antiphon.tools.execute import ApprovalNeeded, CallSession

log = structlog.stdlib.get_logger(__name__)

_SURE = 0.9
"""Confidence from which the offline model may answer instead of an expert (`routing.offline_first`)."""


class PauseLost(ModelError):
    """The stored pause of a turn cannot be read any more."""

    code = "pause_lost"
    retryable = False


class LimitReached(Exception):
    """A signal: the turn used up what one turn may use."""


class NothingUsable(Exception):
    """A signal: the model answered with nothing, or with nothing that can be used, several times."""


class _Snapshot(BaseModel):
    """A paused turn as it is stored."""

    model_config = ConfigDict(extra="forbid")

    version: int = 1
    conversation: Conversation
    occurrences: dict[str, int]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the agent. `snapshot` continues a paused turn instead of beginning with `text`."""

    text: str
    persona: str
    context: TurnContext
    session: CallSession
    visible: Sequence[AnyTool]
    snapshot: _Snapshot | None = None
    approvals: Mapping[str, Approval] = field(default_factory=dict[str, Approval])
    channel: str = ""
    spoken: bool = False
    """Somebody listens: the answer is read aloud, and an expert that is slow to begin is given up sooner."""
    options: Sequence[str] = ()
    """What can be voted for in the open poll of the channel."""
    ledger: Ledger = field(default_factory=lambda: Ledger(Meter()))


@dataclass(frozen=True, slots=True)
class Ran:
    """How the run ended: with text, or (`pause`) with questions keyed by call id and the snapshot to go on from."""

    text: str
    trace: dict[str, object]
    pause: bytes = b""
    asked: Mapping[str, ApprovalNeeded] = field(default_factory=dict[str, ApprovalNeeded])


def read_snapshot(raw: bytes) -> _Snapshot:
    """The stored pause. Raises `PauseLost`."""
    try:
        return _Snapshot.model_validate_json(raw)
    except ValidationError as error:
        raise PauseLost("This turn was paused by another version and cannot go on; please ask again.") from error


def pending_calls(snapshot: _Snapshot) -> Sequence[str]:
    """The names (as models spell them) of the tools the paused turn waits for."""
    requests = snapshot.conversation.deferred_tool_requests
    return [call.tool_name for call in requests.approvals] if requests is not None else []


def occurrences_of(snapshot: _Snapshot) -> Mapping[str, int]:
    """The counts of calls made before the pause."""
    return snapshot.occurrences


class Engine:
    """Owns the agent and the router; serves all turns of the process."""

    def __init__(self, experts: Experts, understanding: Understanding, settings: Settings) -> None:
        """Raises `ConfigError` when a model's library or file is missing."""
        self._understanding = understanding
        self._limits = settings.limits
        embeddings = EmbeddingIndex.of(settings, examples_of(experts))
        self._router = Router(experts, settings.routing, self._understood, embeddings=embeddings)
        for expert in experts.all.values():
            expert.model()  # built now, in the thread of the warm-up
        self._agent: Agent[TurnTools, str | DeferredToolRequests] = Agent(
            deps_type=TurnTools,
            output_type=[str, DeferredToolRequests],
            toolsets=[CatalogToolset()],
            name="antiphon",
            retries=2,
            capabilities=_instrumentation(),
        )

    async def close(self) -> None:
        """Close the connections of the router."""
        await self._router.close()

    async def run(self, job: Job, say: Callable[[str, bool], None]) -> Ran:
        """Run to the end or to a pause. `say(text, new_part)` hears the text as it comes.

        Raises `ModelError`, `LimitReached`, `CostReached` or `NothingUsable`; store errors of tool calls pass through.
        """
        tools = TurnTools(visible=job.visible, session=job.session, approvals=job.approvals)
        route = await self._router.route(job.text, job.channel, job.ledger)
        course = Course(route.chain, job.ledger, language=job.context.person.language, spoken=job.spoken)
        model = self._model(job, course)

        async def listen(ctx: RunContext[TurnTools], events: AsyncIterable[AgentStreamEvent]) -> None:
            del ctx
            async for event in events:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    say(event.part.content, True)
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    say(event.delta.content_delta, False)

        conversation = _conversation(job)
        run, before = copy(conversation.usage), copy(conversation.usage)
        try:
            result = await self._agent.run(
                None if job.snapshot else _prompt(job),
                message_history=conversation.messages,
                conversation_id=conversation.conversation_id,
                usage=run,
                deferred_tool_results=_decisions(job.snapshot),
                instructions=job.context.instructions(job.persona, spoken=job.spoken),
                deps=tools,
                model=model,
                usage_limits=UsageLimits(
                    request_limit=self._limits.turn_requests,
                    tool_calls_limit=self._limits.turn_tool_calls,
                    total_tokens_limit=self._limits.turn_tokens,
                ),
                event_stream_handler=listen,
                infer_name=False,
            )
        except UsageLimitExceeded as error:
            raise LimitReached(str(error)) from error
        except UnexpectedModelBehavior as error:
            # Its text quotes what the model wrote, which is about what people said.
            log.warning("model.nothing_usable", error=type(error).__name__, personal={"answer": str(error)})
            raise NothingUsable from error
        except ModelAPIError as error:
            raise ModelError("The language model failed.") from error
        finally:
            job.ledger.run_ended(run, before)
        answered_by = result.response.model_name or ""
        trace: dict[str, object] = {
            "model": answered_by,
            "tools": [e.tool for e in job.session.executed],
            **_course(route, course),
        }
        trace["context"] = [piece.as_trace() for piece in job.context.pieces]
        if isinstance(result.output, DeferredToolRequests):
            paused = _Snapshot(conversation=result.conversation, occurrences=job.session.occurrences)
            return Ran("", trace, pause=paused.model_dump_json().encode(), asked=dict(tools.asked))
        return Ran(result.output, trace)

    async def rehearse(self, job: Job) -> None:
        """Run a job with the offline model alone, for what is built on first use."""
        offline = OfflineModel(self._understanding, job.text, job.context, configured=ModelChoice(), failures=())
        tools = TurnTools(visible=job.visible, session=job.session)

        async def listen(ctx: RunContext[TurnTools], events: AsyncIterable[AgentStreamEvent]) -> None:
            del ctx
            async for _ in events:
                pass

        await self._agent.run(
            job.text, conversation=_conversation(job), deps=tools, model=offline, event_stream_handler=listen
        )

    def _model(self, job: Job, course: Course) -> Model:
        """The chain of this turn: its experts, and the offline model, which learns why it was needed."""
        configured = course.chain[0].choice if course.chain else ModelChoice()
        offline = OfflineModel(
            self._understanding,
            job.text,
            job.context,
            configured=configured,
            failures=course.reasons,
            options=job.options,
        )
        return RoutedModel(course, offline) if course.chain else offline

    def _understood(self, text: str) -> bool:
        """Whether the offline model is sure what a text asks for."""
        if not self._understanding.is_loaded(self._understanding.languages(text)[:2]):
            return False  # loading a language takes half a second; the offline model does it in a thread
        intents = self._understanding.read(text)
        return all(intent.name != NONE.name and not intent.missing and intent.confidence >= _SURE for intent in intents)


def _instrumentation() -> list[Instrumentation]:
    """Spans of model requests, when traces are wanted; what was said is in them only if the settings say so."""
    wanted = tracing_of_models()
    if wanted is None:
        return []
    provider, content = wanted
    settings = InstrumentationSettings(
        tracer_provider=provider,
        include_content=content,
        include_binary_content=False,
        include_model_request_parameters=content,
    )
    return [Instrumentation(settings=settings)]


def _course(route: Route, course: Course) -> dict[str, object]:
    """How the turn was routed and what became of each attempt, for its trace."""
    attempts = [
        {
            "expert": one.expert,
            "model": one.model,
            "result": one.kind,
            "first_token": None if one.first_token is None else round(one.first_token, 4),
            "seconds": round(one.seconds, 4),
            "after_text": one.after_text,
        }
        for one in course.records
    ]
    found: dict[str, object] = {"route": route.as_trace(), "attempts": attempts}
    found["expert"] = course.answered.name if course.answered is not None else "offline"
    if course.reasons:
        found["failures"] = list(course.reasons)
    return found


def _prompt(job: Job) -> str | Sequence[UserContent]:
    """What the person said, with what came with it."""
    text = job.context.prompt(job.text)
    images = [BinaryContent(f.image, media_type=f.media_type) for f in job.context.files if f.image]
    return [text or "(only the image)", *images] if images else text


def _conversation(job: Job) -> Conversation:
    if job.snapshot is not None:
        return job.snapshot.conversation
    history: list[ModelMessage] = []
    for message in job.context.history:
        if message.author is Author.AGENT:
            history.append(ModelResponse(parts=[TextPart(message.text)], timestamp=message.at))
        else:
            said = message_as_data(message, job.context.person)
            history.append(ModelRequest(parts=[UserPromptPart(said, timestamp=message.at)]))
    return Conversation(messages=history)


def _decisions(snapshot: _Snapshot | None) -> DeferredToolResults | None:
    """Let every waiting call through: whether it was approved is looked at where it runs, in `tools.execute`."""
    if snapshot is None or (requests := snapshot.conversation.deferred_tool_requests) is None:
        return None
    through: dict[str, Any] = {call.tool_call_id: True for call in requests.approvals}
    return requests.build_results(approvals=through)
