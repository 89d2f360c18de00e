"""openai: recognises by HTTP, as OpenAI does and many servers do too (speaches, LocalAI, vLLM, whisper.cpp).

The interface takes whole recordings, so there are no interim transcripts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

from pydantic import Field

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import LISTENING_RATE, EngineStatus, Transcript, Word
from antiphon.speech.by_utterance import UtteranceStream
from antiphon.speech.codec import wav
from antiphon.speech.engine import SttEngine, Surroundings, primary
from antiphon.speech.openai_client import OpenAiClient, Service, read_within

_ANSWER_BYTES = 4 * 1024 * 1024
_PROMPT_CHARS = 800


class Config(Service):
    """`[speech.engines.openai]`, and `[speech.engines.openai.stt]` for what is not for speaking too."""

    model: str = Field(default="whisper-1", min_length=1, max_length=200, description="Model that listens.")
    words: bool = Field(
        default=False, description="Whether the times of words are asked for (verbose_json), which not all models give."
    )


class OpenAi:
    """Implements `domain.speech.SpeechToText`."""

    name = "openai"
    interim = False

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._client = OpenAiClient(config, surroundings)

    async def status(self) -> EngineStatus:
        """Whether it has a key, where it needs one."""
        return self._client.status()

    async def load(self) -> None:
        """Nothing is loaded here."""
        self._client.check()

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise one utterance by one request."""
        form: dict[str, Any] = {"model": self._config.model, "response_format": "json"}
        if self._config.words:
            form |= {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
        if language:
            form["language"] = primary(language)
        if hints:
            form["prompt"] = ", ".join(hints)[:_PROMPT_CHARS]
        files = {"file": ("speech.wav", wav(pcm, LISTENING_RATE), "audio/wav")}
        async with self._client.post("/audio/transcriptions", data=form, files=files) as response:
            body = await read_within(response, _ANSWER_BYTES)
        try:
            return _transcript(json.loads(body), language)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SpeechError("The answer of the server is no transcript.") from error

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> _Stream:
        """Listen to one person; each utterance is a request."""
        return _Stream(self, language, hints)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Stream(UtteranceStream):
    """One request for each utterance."""

    def __init__(self, engine: OpenAi, language: str, hints: Sequence[str]) -> None:
        super().__init__(engine.name)
        self._openai = engine
        self._language = language
        self._hints = hints
        self._asking: asyncio.Task[Transcript] | None = None

    def abort(self) -> None:
        """Let the request go."""
        if self._asking is not None:
            self._asking.cancel()

    async def utterance(self, first: bytes) -> AsyncGenerator[Transcript, None]:
        """The final."""
        pcm = await self.all(first)
        asking = asyncio.create_task(self._openai.recognize(pcm, language=self._language, hints=self._hints))
        self._asking = asking
        try:
            await asyncio.wait({asking})
            if not asking.cancelled():
                yield asking.result()
        finally:
            asking.cancel()
            self._asking = None


def _transcript(answer: Mapping[str, Any], language: str) -> Transcript:
    found = cast("list[Mapping[str, Any]]", answer.get("words") or [])
    words = tuple(Word(str(word["word"]).strip(), float(word["start"]), float(word["end"])) for word in found)
    return Transcript(str(answer["text"]).strip(), language=primary(language), words=words)


ENGINE = SttEngine(
    title="OpenAI, or a server of your own with its HTTP interface",
    config=Config,
    argument="model",
    make=OpenAi,
)
