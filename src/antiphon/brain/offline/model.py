"""The offline model behind the interface of any language model: it streams, calls tools, words their results.

Built per turn by `engine`, always as the last of the chain. `_parts_manager` and friends are names pydantic-ai keeps to
its own model classes; a model has no other way to stream, which is why the version of pydantic-ai is pinned.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic_ai import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    RunContext,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from antiphon.brain.context import TurnContext, tokens_of
from antiphon.brain.models import OFFLINE, ModelChoice
from antiphon.brain.offline.answering import Answers, answers_for
from antiphon.brain.offline.detect import languages
from antiphon.brain.offline.extract import summarise
from antiphon.brain.offline.slots import NONE, Intent
from antiphon.brain.offline.understand import Understanding
from antiphon.domain.conversation import Author
from antiphon.tools.builtin.overlap import content_words, shared
from antiphon.tools.builtin.polls import option_named
from antiphon.tools.catalog import model_name
from antiphon.tools.results import parse

_EARLIER = 3
"""How many of the person's previous messages a follow-up may refer to."""
_FILE_SENTENCES = 5
_KNOWN_FROM = 0.66
"""How much of a question must be found in one memory to answer an unknown question from memory."""

_CONNECTING = "ANTIPHON_MODEL="
"""What the long answer to an impossible request has and no other."""
_IN_SIGHT = 12
"""Messages back in which that answer is still to be seen."""

_Part = TextPart | ToolCallPart

_SAID_LATER = frozenset({"reminders.create", "timers.create", "polls.create"})
"""Tools whose words come later, when nobody asks: they learn the language of the message."""


@dataclass
class _WordByWord(StreamedResponse):
    """Streams finished parts, text word by word."""

    parts: Sequence[_Part] = ()
    answered_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for part in self.parts:
            if isinstance(part, TextPart):
                for piece in re.findall(r"\s*\S+\s*", part.content):
                    for event in self._parts_manager.handle_text_delta(vendor_part_id="text", content=piece):
                        yield event
                    await asyncio.sleep(0)
            else:
                yield self._parts_manager.handle_tool_call_part(
                    vendor_part_id=part.tool_call_id,
                    tool_name=part.tool_name,
                    args=part.args,
                    tool_call_id=part.tool_call_id,
                )
        self._usage = _usage(self.parts)

    async def close_stream(self) -> None:
        """Nothing is open."""

    @property
    def model_name(self) -> str:
        """As the model's."""
        return OFFLINE

    @property
    def provider_name(self) -> str:
        """As the model's."""
        return OFFLINE

    @property
    def provider_url(self) -> None:
        """There is none."""
        return

    @property
    def timestamp(self) -> datetime:
        """When the answer was made."""
        return self.answered_at


class OfflineModel(Model):
    """Answers one turn. `text` is what was said, `failures` (filled by the chain) why other models did not answer."""

    _profile = ModelProfile(context_window=None)
    """Said here so that it is not looked up in a list of 5 MB with the prices of others."""

    def __init__(
        self,
        understanding: Understanding,
        text: str,
        context: TurnContext,
        *,
        configured: ModelChoice,
        failures: Sequence[str],
        options: Sequence[str] = (),
    ) -> None:
        """`options` are those of the open poll of the channel: a message that is just one of them is a vote."""
        # Not the base's constructor, which reads the same list.
        self._understanding = understanding
        self._text = text
        self._context = context
        self._configured = configured
        self._failures = failures
        self._options = tuple(options)
        self._intents: Sequence[Intent] = ()

    @property
    def model_name(self) -> str:
        """The name that stands in usage and traces."""
        return OFFLINE

    @property
    def system(self) -> str:
        """The provider's name."""
        return OFFLINE

    @property
    def provider(self) -> None:
        """There is none."""
        return

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The whole answer at once."""
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts = await self._decide(messages, parameters)
        return ModelResponse(parts=parts, model_name=OFFLINE, provider_name=OFFLINE, usage=_usage(parts))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The answer word by word."""
        del run_context
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts = await self._decide(messages, parameters)
        yield _WordByWord(model_request_parameters=parameters, parts=parts)

    async def _decide(self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> Sequence[_Part]:
        intents = await self._read()
        answers = answers_for(intents[0].language)
        results = _results(messages)
        if results:
            # In a thread: a summary compares every sentence with every other.
            worded = await asyncio.to_thread(lambda: [_worded(part, answers) for part in results])
            return [TextPart("\n\n".join(text for text in worded if text) or answers.word("", {}))]
        usable = {tool.name for tool in parameters.function_tools}
        calls: list[_Part] = []
        for intent in intents:
            answer = self._without_tools(intent, usable, answers)
            if answer is not None:
                return [TextPart(answer)]
            name = model_name(intent.name)
            arguments = dict(intent.arguments)
            if intent.name in _SAID_LATER and intent.language != self._context.person.language.partition("-")[0]:
                arguments["language"] = intent.language
            calls.append(ToolCallPart(name, arguments, tool_call_id=f"offline_{uuid.uuid4().hex}"))
        return calls

    async def _read(self) -> Sequence[Intent]:
        """What the message asks for, understood once per turn; a language is loaded in a thread where it must be."""
        if not self._intents:
            earlier, own = self._earlier(), self._context.person.language
            possible = self._understanding.languages(self._text, earlier, own)
            if not self._understanding.is_loaded(possible[:2]):
                await asyncio.to_thread(self._understanding.load, possible[:2])
            place = option_named(self._text, self._options) if self._options else None
            if place is not None:
                vote = Intent("polls.vote", {"option": str(place + 1)}, language=possible[0])
                self._intents = (vote,)
            else:
                self._intents = self._understanding.read(self._text, earlier, own)
        return self._intents

    def _without_tools(self, intent: Intent, usable: set[str], answers: Answers) -> str | None:
        """The answer to what needs no tool, or may not use it; None when the tool is to be called."""
        if intent.name == NONE.name:
            return self._known(answers) or answers.cannot(self._configured, self._failures, short=self._said_before())
        if intent.missing:
            return answers.missing(intent.missing, intent.arguments)
        if intent.name.startswith("smalltalk."):
            return self._reply(intent)
        if model_name(intent.name) not in usable:
            return answers.not_allowed(intent.name)
        return None

    def _reply(self, intent: Intent) -> str:
        """One of the prepared answers; which one depends on the minute, so that they vary without chance."""
        choices = self._understanding.grammar(intent.language).replies[intent.name]
        person = self._context.person.name.strip()
        chosen = choices[self._context.now.minute % len(choices)]
        return chosen.format(name=f", {person}" if person and len(person) <= 40 else "")

    def _from_memory(self) -> str | None:
        """A question that one remembered fact answers almost word for word."""
        if not self._text.rstrip().endswith("?") or len(content_words(self._text)) < 2:
            return None
        fits = [(shared(self._text, memory.text), memory.text) for memory in self._context.memories]
        best = max(fits, default=(0.0, ""))
        return best[1] if best[0] >= _KNOWN_FROM else None

    def _known(self, answers: Answers) -> str | None:
        """What corrections, memories and files say about a message that asks for nothing else."""
        fact = self._from_memory()
        return self._from_correction() or (answers.told(fact) if fact else None) or self._from_files()

    def _said_before(self) -> bool:
        """Whether the long answer to an impossible request is still in sight."""
        recent = self._context.history[-_IN_SIGHT:]
        return any(message.author is Author.AGENT and _CONNECTING in message.text for message in recent)

    def _from_correction(self) -> str | None:
        """What the person said is right when they asked the same before and were not content."""
        for lesson in self._context.lessons:
            if lesson.correction and content_words(lesson.question) == content_words(self._text):
                return lesson.correction
        return None

    def _from_files(self) -> str | None:
        """What stands in the files that came with the message, in short."""
        own = self._context.person.language
        found = [
            f"**{file.name}**: "
            + summarise([file.text], sentences=_FILE_SENTENCES, language=languages(file.text[:2000], preferred=own)[0])
            for file in self._context.files
            if file.text
        ]
        return "\n\n".join(found) or None

    def _earlier(self) -> Sequence[str]:
        person = self._context.person.id
        said = [m.text for m in self._context.history if m.author is Author.PERSON and m.person == person]
        return said[-_EARLIER:]


def _results(messages: Sequence[ModelMessage]) -> Sequence[ToolReturnPart]:
    """The tool results since the person spoke; empty when no tool has run yet."""
    found: list[ToolReturnPart] = []
    for message in reversed(messages):
        if isinstance(message, ModelRequest):
            if any(isinstance(part, UserPromptPart) for part in message.parts):
                break
            found[:0] = [part for part in message.parts if isinstance(part, ToolReturnPart)]
    return found


def _worded(part: ToolReturnPart, answers: Answers) -> str:
    if part.outcome == "retried":
        return answers.again()
    tool = part.tool_name.replace("_", ".", 1)
    return answers.word(tool, parse(str(part.content)))


def _usage(parts: Sequence[_Part]) -> RequestUsage:
    """Nothing is paid for, which is said so that no price is looked up; the estimate keeps the figures comparable."""
    tokens = sum(tokens_of(part.content) for part in parts if isinstance(part, TextPart))
    return RequestUsage(output_tokens=tokens, cost=Decimal(0))
