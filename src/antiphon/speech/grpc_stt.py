"""Riva's service RivaSpeechRecognition over an engine that listens.

What is streamed goes through a `Dictation`, which cuts it into utterances and slows the caller down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from antiphon.config.speech_services import SpeechServiceSettings
from antiphon.domain.errors import InvalidInput, MalformedInput, SpeechError, TooLarge
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, SpeechToText, Transcript
from antiphon.speech.calls import Calls
from antiphon.speech.codec import container, decode
from antiphon.speech.dictation import Dictation, Heard
from antiphon.speech.incoming import Incoming, Samples
from antiphon.speech.riva import (
    RECOGNITION_CONFIG,
    RECOGNIZE,
    STREAMING_RECOGNIZE,
    Encoding,
    Method,
    asr,
    language_code,
    milliseconds,
)

_RAW: Mapping[int, Samples] = {
    Encoding.ENCODING_UNSPECIFIED: "pcm",
    Encoding.LINEAR_PCM: "pcm",
    Encoding.MULAW: "mulaw",
    Encoding.ALAW: "alaw",
}
_MOST_HINTS = 500

Read = Callable[[], Awaitable[Any]]
Write = Callable[[Any], Awaitable[None]]


class RecognitionService:
    """The three methods."""

    def __init__(self, engine: SpeechToText, settings: SpeechServiceSettings, calls: Calls, language: str) -> None:
        self._engine = engine
        self._settings = settings
        self._calls = calls
        self._language = language

    def methods(self) -> Mapping[Method, Any]:
        """What serves which method."""
        return {RECOGNIZE: self.recognize, STREAMING_RECOGNIZE: self.stream, RECOGNITION_CONFIG: self.config}

    async def recognize(self, request: asr.RecognizeRequest) -> asr.RecognizeResponse:
        """A whole recording."""
        with self._calls.begin("grpc"):
            config = request.config
            pcm = await self._whole(request.audio, config)
            seconds = len(pcm) / SAMPLE_BYTES / LISTENING_RATE
            self._calls.audio(seconds)
            try:
                async with asyncio.timeout(self._settings.answer_seconds + 2 * seconds):
                    heard = await self._engine.recognize(pcm, language=config.language_code, hints=_hints(config))
            except TimeoutError:
                raise SpeechError("The engine did not answer in time.") from None
            result = asr.SpeechRecognitionResult(
                alternatives=[_alternative(heard, config, 0.0)], channel_tag=1, audio_processed=seconds
            )
            return asr.RecognizeResponse(results=[result] if heard.text else [], id=request.id)

    async def _whole(self, audio: bytes, config: asr.RecognitionConfig) -> bytes:
        """The audio of a request: a file, or raw samples."""
        most = self._settings.audio_seconds
        samples = _RAW.get(config.encoding)
        if samples is None or (container(audio) and audio[:1] != b"\xff"):
            decoded = await decode(audio, max_seconds=most)
            pcm, longer = decoded.pcm, decoded.cut and decoded.seconds >= most
        else:
            incoming = _incoming(config, samples)
            pcm = await asyncio.to_thread(incoming.process, audio) + incoming.flush()
            longer = len(pcm) > most * LISTENING_RATE * SAMPLE_BYTES
        if longer:
            raise TooLarge(f"The recording is longer than {most:g} seconds.")
        return pcm

    async def stream(self, read: Read, write: Write) -> None:
        """Audio as it is spoken."""
        with self._calls.begin("grpc"):
            try:
                async with asyncio.timeout(self._settings.idle_seconds):
                    first = await read()
            except TimeoutError:
                raise TimeoutError("Nothing was sent.") from None
            if first is None:
                return
            if first.WhichOneof("streaming_request") != "streaming_config":
                raise InvalidInput("The first message must be the streaming_config.")
            self._calls.audio(await _Stream(self._engine, self._settings, first, read, write).run())

    async def config(self, request: asr.RivaSpeechRecognitionConfigRequest) -> asr.RivaSpeechRecognitionConfigResponse:
        """The engine, as a model."""
        kind = asr.RivaSpeechRecognitionConfigResponse
        if request.model_name not in ("", self._engine.name):
            return kind()
        parameters = {
            "language_code": language_code(self._language),
            "sample_rate": str(LISTENING_RATE),
            "streaming": "True",
            "type": "online",
        }
        return kind(model_config=[kind.Config(model_name=self._engine.name, parameters=parameters)])


class _Stream:
    """One call of StreamingRecognize."""

    def __init__(
        self,
        engine: SpeechToText,
        settings: SpeechServiceSettings,
        first: asr.StreamingRecognizeRequest,
        read: Read,
        write: Write,
    ) -> None:
        config = first.streaming_config.config
        samples = _RAW.get(config.encoding)
        if samples is None:
            raise InvalidInput("A stream takes LINEAR_PCM, MULAW or ALAW; send files to Recognize.")
        self._config = config
        self._id = first.id
        self._read = read
        self._write = write
        self._dictation = Dictation(
            engine,
            settings,
            self._said,
            _incoming(config, samples),
            language=config.language_code,
            hints=_hints(config),
            pause=_pause(config),
            interim=first.streaming_config.interim_results,
        )

    async def run(self) -> float:
        """Until the caller has sent everything and got every final. The seconds of audio it was."""
        await self._dictation.run(self._listen)
        return self._dictation.position

    async def _listen(self) -> None:
        first = True
        while (message := await self._read()) is not None:
            audio = message.audio_content
            if not audio and message.WhichOneof("streaming_request") == "streaming_config":
                raise MalformedInput("The configuration comes once, before the audio.")
            if first and audio:
                first = False
                audio = _without_header(audio)
            await self._dictation.hear(audio)

    async def _said(self, heard: Heard) -> None:
        final = heard.transcript.final
        result = asr.StreamingRecognitionResult(
            alternatives=[_alternative(heard.transcript, self._config, heard.begins)],
            is_final=final,
            stability=1.0 if final else 0.1,
            channel_tag=1,
            audio_processed=heard.ends,
        )
        await self._write(asr.StreamingRecognizeResponse(results=[result], id=self._id))


def _incoming(config: asr.RecognitionConfig, samples: Samples) -> Incoming:
    return Incoming(
        config.sample_rate_hertz or LISTENING_RATE, channels=config.audio_channel_count or 1, samples=samples
    )


def _pause(config: asr.RecognitionConfig) -> float | None:
    """The silence that ends an utterance, if the caller asks for one; within reason."""
    asked = config.endpointing_config.stop_history
    return min(10.0, max(0.1, asked / 1000)) if asked > 0 else None


def _without_header(audio: bytes) -> bytes:
    """Raw samples, where somebody streams a WAV file from its beginning."""
    if audio[:4] == b"RIFF" and audio[8:12] == b"WAVE" and (at := audio.find(b"data", 12, 4096)) > 0:
        return audio[at + 8 :]
    return audio


def _hints(config: asr.RecognitionConfig) -> Sequence[str]:
    phrases = [phrase for context in config.speech_contexts for phrase in context.phrases]
    if len(phrases) > _MOST_HINTS:
        raise InvalidInput(f"There are more than {_MOST_HINTS} phrases in speech_contexts.")
    return phrases


def _alternative(heard: Transcript, config: asr.RecognitionConfig, begins: float) -> asr.SpeechRecognitionAlternative:
    words = [
        asr.WordInfo(
            word=word.text,
            start_time=milliseconds(begins + word.start),
            end_time=milliseconds(begins + word.end),
            confidence=word.confidence,
        )
        for word in (heard.words if config.enable_word_time_offsets else ())
    ]
    return asr.SpeechRecognitionAlternative(
        transcript=heard.text,
        confidence=heard.confidence,
        words=words,
        language_code=[heard.language] if heard.language else [],
    )
