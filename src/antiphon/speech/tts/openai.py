"""openai: speaks by HTTP, as OpenAI does and many servers do too (speaches, LocalAI, Kokoro-FastAPI)."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from pydantic import Field

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import EngineStatus, SpeechChunk, VoiceInfo
from antiphon.speech.engine import Surroundings, TtsEngine
from antiphon.speech.openai_client import OpenAiClient, Service
from antiphon.speech.resampling import Resampler
from antiphon.speech.sentences import pieces

_LONGEST = 4_000
"""Characters one request may have."""
_HEAD_BYTES = 44


class Config(Service):
    """`[speech.engines.openai]`, and `[speech.engines.openai.tts]` for what is not for listening too."""

    model: str = Field(default="tts-1", min_length=1, max_length=200, description="Model that speaks.")
    voice: str = Field(default="alloy", min_length=1, max_length=200, description="Voice of the model.")
    sample_rate: int = Field(
        default=24_000, ge=8_000, le=48_000, description="Samples a second of the server's raw audio (pcm)."
    )


class OpenAi:
    """Implements `domain.speech.TextToSpeech`."""

    name = "openai"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self.sample_rate = config.sample_rate
        self._config = config
        self._language = surroundings.language
        self._client = OpenAiClient(config, surroundings)

    async def status(self) -> EngineStatus:
        """Whether it has a key, where it needs one."""
        return self._client.status()

    async def load(self) -> None:
        """Nothing is loaded here."""
        self._client.check()

    async def voices(self) -> Sequence[VoiceInfo]:
        """The one of the settings: the interface lists none."""
        return [VoiceInfo(self._config.voice, self._language)]

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak by one request, or several for a long text. The model hears the language from the text."""
        del language
        for piece in _requests(text):
            body = {
                "model": self._config.model,
                "voice": voice or self._config.voice,
                "input": piece,
                "response_format": "pcm",
            }
            async with self._client.post("/audio/speech", json=body) as response:
                kind = response.headers.get("content-type", "")
                if kind.startswith(("audio/mpeg", "audio/ogg", "audio/aac", "text/", "application/json")):
                    raise SpeechError(f"The server gives {kind.partition(';')[0]}, and raw audio was asked for.")
                async for chunk in self._samples(response):
                    yield chunk

    async def _samples(self, response: Any) -> AsyncIterator[SpeechChunk]:
        """Whole samples; some servers give a WAV file all the same."""
        held, begun = b"", False
        resampler: Resampler | None = None
        async for data in response.aiter_bytes():
            held += data
            if not begun:
                if len(held) < _HEAD_BYTES and held[:4] == b"RIFF"[: len(held)]:
                    continue
                begun = True
                if held[:4] == b"RIFF":
                    held, rate = _after_head(held)
                    resampler = Resampler(rate, self.sample_rate) if rate != self.sample_rate else None
            whole = len(held) & ~1
            pcm, held = held[:whole], held[whole:]
            if pcm:
                yield SpeechChunk(pcm if resampler is None else resampler.process(pcm))
        if resampler is not None and (rest := resampler.flush()):
            yield SpeechChunk(rest)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _requests(text: str) -> Iterator[str]:
    """The text, cut between sentences where it is too long for one request."""
    begin = end = 0
    for start, piece in pieces(text, _LONGEST):
        if start + len(piece) - begin > _LONGEST and end > begin:
            yield text[begin:end]
            begin = start
        end = start + len(piece)
    if end > begin:
        yield text[begin:end]


def _after_head(data: bytes) -> tuple[bytes, int]:
    """What follows the head of a WAV file, and its rate."""
    at = data.find(b"data", 12)
    channels, rate = struct.unpack_from("<HI", data, 22)
    (bits,) = struct.unpack_from("<H", data, 34)
    if at < 0 or channels != 1 or bits != 16 or not 4_000 <= rate <= 192_000:
        raise SpeechError("The server gives audio of a kind that is not taken.")
    return data[at + 8 :], rate


ENGINE = TtsEngine(
    title="OpenAI, or a server of your own with its HTTP interface",
    config=Config,
    argument="model",
    make=OpenAi,
)
