"""riva: a server that listens by Riva's gRPC interface: `antiphon stt`, an NVIDIA Riva, or a NIM.

Each utterance is a call of its own: the interface knows no end of an utterance but that of what is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import LISTENING_RATE, EngineStatus, Transcript, Word
from antiphon.speech.addresses import USUAL_PORTS, Address, split_address
from antiphon.speech.by_utterance import UtteranceStream
from antiphon.speech.engine import SttEngine, Surroundings
from antiphon.speech.grpc_client import Connection, RivaClient

if TYPE_CHECKING:
    from antiphon.speech.protos import riva_asr_pb2 as asr

_PORT = USUAL_PORTS["stt"]["riva"]
_SECONDS = 600.0
"""Deadline of a call, so that nothing is held for ever."""
_LATE_SECONDS = 0.2
_MESSAGE_BYTES = 32_000


class Config(Connection):
    """`[speech.engines.riva]`, and `[speech.engines.riva.stt]` for what is not for speaking too."""

    address: Address = Field(default=f"127.0.0.1:{_PORT}", description="host:port of the server.")
    punctuation: bool = Field(default=True, description="Whether the server sets punctuation, where it can.")


class Riva:
    """Implements `domain.speech.SpeechToText`."""

    name = "riva"
    interim = True

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self.config = config
        self._language = surroundings.language
        host, port = split_address(config.address, _PORT)
        self.client = RivaClient(self.name, host, port, config, surroundings)

    async def status(self) -> EngineStatus:
        """Whether its server answers."""
        return await self.client.status()

    async def load(self) -> None:
        """Connect."""
        from antiphon.speech.riva import RECOGNITION_CONFIG, asr

        await self.client.load(RECOGNITION_CONFIG, asr.RivaSpeechRecognitionConfigRequest())

    def settings(self, language: str, hints: Sequence[str]) -> asr.RecognitionConfig:
        """What the server is told about the audio."""
        from antiphon.speech.riva import Encoding, asr, language_code

        return asr.RecognitionConfig(
            encoding=Encoding.LINEAR_PCM,
            sample_rate_hertz=LISTENING_RATE,
            audio_channel_count=1,
            language_code=language_code(language or self._language),
            max_alternatives=1,
            enable_word_time_offsets=True,
            enable_automatic_punctuation=self.config.punctuation,
            model=self.config.model,
            speech_contexts=[asr.SpeechContext(phrases=hints, boost=20.0)] if hints else [],
        )

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise one utterance by one call."""
        from antiphon.speech.riva import RECOGNIZE, asr

        request = asr.RecognizeRequest(config=self.settings(language, hints), audio=pcm)
        try:
            response = await self.client.call(RECOGNIZE)(request, timeout=_SECONDS, metadata=self.client.metadata())
        except Exception as error:
            raise self.client.failed(error) from error
        return _together([result.alternatives[0] for result in response.results if result.alternatives])

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> _Stream:
        """Listen to one person; the server is called with the first audio."""
        return _Stream(self, language, hints)

    async def aclose(self) -> None:
        """Close the connection."""
        await self.client.aclose()


class _Stream(UtteranceStream):
    """One call for each utterance."""

    def __init__(self, engine: Riva, language: str, hints: Sequence[str]) -> None:
        super().__init__(engine.name)
        self._riva = engine
        self._language = language
        self._hints = hints
        self._call: Any = None

    def abort(self) -> None:
        """Cancel the call, which frees the server's decoder."""
        if self._call is not None:
            self._call.cancel()

    async def utterance(self, first: bytes) -> AsyncGenerator[Transcript, None]:
        """Audio there, transcripts back. A server may take it for several utterances: they are joined."""
        from antiphon.speech.riva import STREAMING_RECOGNIZE

        client = self._riva.client
        self._call = call = client.call(STREAMING_RECOGNIZE)(timeout=_SECONDS, metadata=client.metadata())
        sending = asyncio.create_task(self._send(call, first), name="riva sending")
        finals: list[asr.SpeechRecognitionAlternative] = []
        try:
            async for response in call:
                for result in response.results:
                    if not result.alternatives:
                        continue
                    heard = result.alternatives[0]
                    if result.is_final:
                        finals.append(heard)
                    if text := _text([*finals, *([] if result.is_final else [heard])]):
                        yield Transcript(text, final=False, language=_language(heard))
            await asyncio.wait({sending}, timeout=_LATE_SECONDS)
            if not sending.done():
                raise SpeechError(f"The server at {client.address} stopped listening.")
            await sending
        except asyncio.CancelledError:
            if not self.closed:  # else it is the call that was cancelled, by `abort`
                raise
        except Exception as error:
            raise client.failed(error) from error
        finally:
            sending.cancel()
            await asyncio.wait({sending})
            if not sending.cancelled():
                sending.exception()  # told by the call already
            call.cancel()
            self._call = None
        yield _together(finals)

    async def _send(self, call: Any, first: bytes) -> None:
        from antiphon.speech.riva import asr

        config = self._riva.settings(self._language, self._hints)
        await call.write(
            asr.StreamingRecognizeRequest(
                streaming_config=asr.StreamingRecognitionConfig(config=config, interim_results=True)
            )
        )
        piece: bytes | None = first
        while piece is not None:
            for at in range(0, len(piece), _MESSAGE_BYTES):
                await call.write(asr.StreamingRecognizeRequest(audio_content=piece[at : at + _MESSAGE_BYTES]))
            piece = await self.next()
        await call.done_writing()


def _text(parts: Sequence[asr.SpeechRecognitionAlternative]) -> str:
    return " ".join(text for part in parts if (text := part.transcript.strip()))


def _language(heard: asr.SpeechRecognitionAlternative) -> str:
    return heard.language_code[0] if heard.language_code else ""


def _together(parts: Sequence[asr.SpeechRecognitionAlternative]) -> Transcript:
    """One transcript of what a server took for several utterances. Their times count from the same beginning."""
    words = tuple(
        Word(word.word, word.start_time / 1000, word.end_time / 1000, max(0.0, min(1.0, word.confidence)))
        for part in parts
        for word in part.words
    )
    known = [part.confidence for part in parts if 0 < part.confidence <= 1]
    return Transcript(
        _text(parts),
        language=next((language for part in parts if (language := _language(part))), ""),
        confidence=min(known, default=0.0),
        words=words,
    )


ENGINE = SttEngine(
    title="a server with Riva's gRPC interface: antiphon stt, NVIDIA Riva, a NIM",
    config=Config,
    argument="address",
    make=Riva,
)
