"""Language models that say what a test tells them to, behind the configured model of a brain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pydantic_ai import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from antiphon.brain.models import ModelChoice


@dataclass(frozen=True)
class Talk:
    """Words, and then a call or a failure."""

    words: str
    tool: str = ""
    breaks: Exception | None = None


Step = Talk | str | Sequence[tuple[str, str]] | Exception
"""One answer of a model: text, calls as (tool, JSON arguments), or a failure."""


@dataclass(frozen=True)
class ScriptedChoice(ModelChoice):
    """Answers one step after the other; the last one for ever. `seen` keeps what each request contained."""

    name: str = "scripted"
    label: str = "openai:scripted"
    steps: Sequence[Step] = ()
    seen: list[tuple[list[ModelMessage], AgentInfo]] = field(default_factory=list)

    def build(self) -> Model:
        """A model that streams the steps."""

        async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
            self.seen.append((messages, info))
            step = self.steps[min(len(self.seen), len(self.steps)) - 1]
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Talk):
                yield step.words
                if step.breaks is not None:
                    raise step.breaks
                yield {1: DeltaToolCall(step.tool, "{}", tool_call_id=f"call_{len(self.seen)}")}
            elif isinstance(step, str):
                first, *more = step.split(" ")
                yield first
                for word in more:
                    yield f" {word}"
            else:
                for index, (name, arguments) in enumerate(step):
                    call = DeltaToolCall(name, arguments, tool_call_id=f"call_{len(self.seen)}_{index}")
                    yield {index: call}

        return FunctionModel(stream_function=answer, model_name="scripted")
