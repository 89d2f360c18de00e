"""Riva's service RivaSpeechSynthesis over an engine that speaks. The audio is raw samples, 16 bit mono.

The engine is asked for its next piece when the caller has taken the one before; one that takes nothing is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from itertools import pairwise
from typing import Any, cast

from antiphon.config.speech_services import SpeechServiceSettings
from antiphon.domain.errors import InvalidInput, SpeechError, TooLarge
from antiphon.domain.speech import SAMPLE_BYTES, SpeechChunk, TextToSpeech
from antiphon.speech.calls import Calls
from antiphon.speech.resampling import Resampler
from antiphon.speech.riva import (
    SYNTHESIS_CONFIG,
    SYNTHESIZE,
    SYNTHESIZE_ONLINE,
    Encoding,
    Method,
    language_code,
    languages,
    milliseconds,
    tts,
)

_RATES = range(8_000, 48_001)
_PIECE_BYTES = 65_536

Read = Callable[[], Awaitable[Any]]
Write = Callable[[Any], Awaitable[None]]
Audio = tuple[bytes, list[tts.WordTiming]]


class SynthesisService:
    """The three methods."""

    def __init__(self, engine: TextToSpeech, settings: SpeechServiceSettings, calls: Calls, language: str) -> None:
        self._engine = engine
        self._settings = settings
        self._calls = calls
        self._language = language

    def methods(self) -> Mapping[Method, Any]:
        """What serves which method."""
        return {SYNTHESIZE: self.synthesize, SYNTHESIZE_ONLINE: self.online, SYNTHESIS_CONFIG: self.config}

    async def synthesize(self, request: tts.SynthesizeSpeechRequest) -> tts.SynthesizeSpeechResponse:
        """All audio of one text. More than a message may hold is refused."""
        with self._calls.begin("grpc"):
            pieces: list[bytes] = []
            words: list[tts.WordTiming] = []
            size = 0
            async with aclosing(self._speak(request)) as audio:
                async for pcm, begun in audio:
                    pieces.append(pcm)
                    words += begun
                    size += len(pcm)
                    if size > self._settings.message_bytes:
                        raise TooLarge("The audio is larger than a message may be; ask SynthesizeOnline for it.")
            for word, following in pairwise(words):
                word.end_time = following.start_time
            meta = tts.SynthesizeSpeechResponseMetadata(text=request.text, processed_text=request.text, words=words)
            return tts.SynthesizeSpeechResponse(audio=b"".join(pieces), meta=meta, id=request.id)

    async def online(self, read: Read, write: Write) -> None:
        """Texts one after the other, their audio as it is made."""
        idle = self._settings.idle_seconds
        with self._calls.begin("grpc"):
            while True:
                try:
                    async with asyncio.timeout(idle):
                        request = await read()
                except TimeoutError:
                    raise TimeoutError("No text was sent.") from None
                if request is None:
                    return
                meta = tts.SynthesizeSpeechResponseMetadata(text=request.text, processed_text=request.text)
                async with aclosing(self._speak(request)) as audio:
                    async for pcm, words in audio:
                        if words:
                            meta.ClearField("words")
                            meta.words.extend(words)
                        response = tts.SynthesizeSpeechResponse(audio=pcm, meta=meta, id=request.id)
                        try:
                            async with asyncio.timeout(idle):
                                await write(response)
                        except TimeoutError:
                            raise TimeoutError("The audio is not read.") from None
                        meta = tts.SynthesizeSpeechResponseMetadata()

    async def config(self, request: tts.RivaSynthesisConfigRequest) -> tts.RivaSynthesisConfigResponse:
        """The engine, as a model, with its voices."""
        kind = tts.RivaSynthesisConfigResponse
        if request.model_name not in ("", self._engine.name):
            return kind()
        voices = await self._engine.voices()
        parameters = {
            "language_code": languages([language_code(self._language), *(voice.language for voice in voices)]),
            "voice_name": voices[0].name if voices else "",
            "subvoices": languages([voice.name for voice in voices]),
            "sample_rate": str(self._engine.sample_rate),
        }
        return kind(model_config=[kind.Config(model_name=self._engine.name, parameters=parameters)])

    async def _speak(self, request: tts.SynthesizeSpeechRequest) -> AsyncGenerator[Audio, None]:
        """The audio of one text at the rate that was asked for, with the words that begin in it."""
        _check(request, self._settings)
        await self._engine.load()
        rate = self._engine.sample_rate
        wanted = request.sample_rate_hz or rate
        resampler = Resampler(rate, wanted) if rate != wanted else None
        speaking = self._engine.synthesize(
            request.text, voice=request.voice_name, language=self._spoken(request.language_code)
        )
        seconds = 0.0
        async with aclosing(cast("AsyncGenerator[SpeechChunk, None]", speaking)):
            while (chunk := await self._next(speaking)) is not None:
                seconds += len(chunk.pcm) / SAMPLE_BYTES / rate
                words = _words(request, chunk, seconds)
                pcm = chunk.pcm if resampler is None else resampler.process(chunk.pcm)
                for at in range(0, len(pcm), _PIECE_BYTES):
                    yield pcm[at : at + _PIECE_BYTES], words
                    words = []
        if resampler is not None and (rest := resampler.flush()):
            yield rest, []
        self._calls.audio(seconds)

    def _spoken(self, code: str) -> str:
        """The language to speak. The usual one is asked for with a region, and has a voice that was chosen for it."""
        return self._language if code.casefold() == language_code(self._language).casefold() else code

    async def _next(self, speaking: AsyncIterator[SpeechChunk]) -> SpeechChunk | None:
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                return await anext(speaking)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise SpeechError("The engine did not speak in time.") from None


def _check(request: tts.SynthesizeSpeechRequest, settings: SpeechServiceSettings) -> None:
    if not request.text.strip():
        raise InvalidInput("There is no text.")
    if len(request.text) > settings.text_chars:
        raise TooLarge(f"The text is longer than {settings.text_chars} characters.")
    if request.encoding not in (Encoding.ENCODING_UNSPECIFIED, Encoding.LINEAR_PCM):
        raise InvalidInput("Audio is given as LINEAR_PCM only.")
    if request.sample_rate_hz and request.sample_rate_hz not in _RATES:
        raise InvalidInput(f"A sample rate of {request.sample_rate_hz} is not given; use 8000 to 48000.")


def _words(request: tts.SynthesizeSpeechRequest, chunk: SpeechChunk, until: float) -> list[tts.WordTiming]:
    """The words that begin in a chunk. Each lasts until the next, the last until the end of the chunk."""
    if not request.enable_word_time_offsets:
        return []
    ends = [*(word.at for word in chunk.words[1:]), until]
    return [
        tts.WordTiming(
            word=request.text[word.start : word.end].strip(),
            start_time=milliseconds(word.at),
            end_time=milliseconds(max(word.at, end)),
        )
        for word, end in zip(chunk.words, ends, strict=False)
    ]
