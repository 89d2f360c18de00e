"""A language model in this process: a GGUF file of `models_dir`, run by llama.cpp. Needs the extra `gguf`.

It answers in text and calls no tools: small models call them badly. One request at a time; the others wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_ai import ModelMessage, ModelResponse, RunContext
from pydantic_ai.exceptions import ModelAPIError, ModelContextWindowExceededError
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponseStreamEvent,
    RetryFeedbackPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from antiphon.domain.errors import ConfigError

_CONTEXT = 8192
"""Tokens of context, or the model's own when that is less: each costs memory."""
_ANSWER = 1024
"""Tokens of an answer when nothing else is said."""


@dataclass
class _Spoken(StreamedResponse):
    """Text out of a thread."""

    name: str = ""
    pieces: AsyncIterator[str] | None = None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        count = 0
        async for piece in self.pieces or _nothing():
            count += 1
            for event in self._parts_manager.handle_text_delta(vendor_part_id="text", content=piece):
                yield event
        self._usage = RequestUsage(output_tokens=count)
        self.finish_reason = "stop"
        self.provider_details = {"finish_reason": "stop"}  # it ended by itself, and was not cut

    async def close_stream(self) -> None:
        """The thread is stopped where the stream is opened."""

    @property
    def model_name(self) -> str:
        """The file's name."""
        return self.name

    @property
    def provider_name(self) -> str:
        """Always the same."""
        return "gguf"

    @property
    def provider_url(self) -> None:
        """There is none."""
        return

    @property
    def timestamp(self) -> datetime:
        """When it began to answer."""
        return self.began


class GgufModel(Model):
    """One file. It is loaded with the first request, and then kept."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises `ImportError` without the extra, and `ConfigError` when the file is not there."""
        import llama_cpp  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport] - optional

        super().__init__()
        self._path = folder / (name if name.endswith(".gguf") else f"{name}.gguf")
        self._name = name
        self._loaded: Any = None
        self._one = asyncio.Lock()
        if not self._path.is_file():
            raise ConfigError(
                source="settings",
                key="model",
                problem=f"there is no file {self._path.name} in {folder}",
                remedy="put the GGUF file there, or name another one",
            )

    @property
    def model_name(self) -> str:
        """The file's name."""
        return self._name

    @property
    def system(self) -> str:
        """The provider's name."""
        return "gguf"

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
        """The answer as it comes. Leaving early stops the thread after its current token."""
        del run_context
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        instructions = self._get_instruction_parts(messages, parameters) or []
        chat = list(_chat(messages, "\n\n".join(part.content for part in instructions)))
        stop = threading.Event()
        async with self._one:
            pieces = self._generate(chat, settings or {}, stop)
            try:
                yield _Spoken(model_request_parameters=parameters, name=self._name, pieces=pieces)
            finally:
                stop.set()
                await pieces.aclose()

    async def _generate(
        self, chat: Sequence[dict[str, str]], settings: ModelSettings, stop: threading.Event
    ) -> AsyncGenerator[str, None]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | Exception | None] = asyncio.Queue()

        def work() -> None:
            end: Exception | None = None
            try:
                for piece in self._pieces(chat, settings):
                    if stop.is_set():
                        return
                    loop.call_soon_threadsafe(queue.put_nowait, piece)
            except Exception as error:
                end = error
            finally:
                loop.call_soon_threadsafe(queue.put_nowait, end)

        working = loop.run_in_executor(None, work)
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, ValueError) and "context window" in str(item):
                    raise ModelContextWindowExceededError(self._name, "The conversation is longer than its context.")
                if isinstance(item, Exception):
                    raise ModelAPIError(self._name, "llama.cpp failed.") from item
                yield item
        finally:
            stop.set()
            await asyncio.shield(working)

    def _pieces(self, chat: Sequence[dict[str, str]], settings: ModelSettings) -> Iterator[str]:
        loaded = self._loaded
        if loaded is None:
            import llama_cpp  # pyright: ignore[reportMissingImports] - optional

            library: Any = llama_cpp
            loaded = self._loaded = library.Llama(str(self._path), n_ctx=_CONTEXT, verbose=False)
        answer: Iterator[Any] = loaded.create_chat_completion(
            messages=chat,
            stream=True,
            max_tokens=settings.get("max_tokens") or _ANSWER,
            temperature=settings.get("temperature", 0.7),
        )
        for chunk in answer:
            if text := chunk["choices"][0]["delta"].get("content"):
                yield text


async def _nothing() -> AsyncIterator[str]:
    return
    yield ""


def _chat(messages: Sequence[ModelMessage], instructions: str) -> Iterator[dict[str, str]]:
    """The conversation as plain chat; calls and results of tools, which another model made, as text."""
    if instructions:
        yield {"role": "system", "content": instructions}
    for message in messages:
        role = "user" if isinstance(message, ModelRequest) else "assistant"
        said = [text for part in message.parts if (text := _text(part))]
        if said:
            yield {"role": role, "content": "\n\n".join(said)}


def _text(part: object) -> str:
    match part:
        case UserPromptPart(content=str(text)) | SystemPromptPart(content=text) | TextPart(content=text):
            return text
        case UserPromptPart(content=pieces):
            return "\n".join(piece for piece in pieces if isinstance(piece, str))
        case ToolCallPart():
            return f"(I use the tool {part.tool_name}.)"
        case ToolReturnPart():
            return f"(The tool {part.tool_name} says: {part.content})"
        case RetryFeedbackPart():
            return str(part.content)
        case _:
            return ""
