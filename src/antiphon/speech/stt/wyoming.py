"""wyoming: a server that listens by the Wyoming protocol: `antiphon stt`, or what Home Assistant uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, EngineStatus, Transcript
from antiphon.speech.addresses import USUAL_PORTS, Address, reachable, split_address
from antiphon.speech.by_utterance import UtteranceStream
from antiphon.speech.engine import SttEngine, Surroundings, check_ready, knows, package_missing, primary

if TYPE_CHECKING:
    from antiphon.speech.wyoming_client import WyomingClient

_PORT = USUAL_PORTS["stt"]["wyoming"]
_PIECE_BYTES = 8_192


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.wyoming]`, and `[speech.engines.wyoming.stt]` for what is not for speaking too."""

    address: Address = Field(default=f"127.0.0.1:{_PORT}", description="host:port of the server.")
    model: str = Field(default="", max_length=200, description="Model of the server. Empty: its own.")


class Wyoming:
    """Implements `domain.speech.SpeechToText`."""

    name = "wyoming"
    interim = True

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self.config = config
        self.language = surroundings.language
        self.host, self.port = split_address(config.address, _PORT)
        self._offered: frozenset[str] | None = None

    async def status(self) -> EngineStatus:
        """Whether its server answers."""
        missing = package_missing(self.name, "wyoming", "services")
        return missing or await reachable(self.name, self.host, self.port)

    async def load(self) -> None:
        """See whether the server listens at all."""
        check_ready(package_missing(self.name, "wyoming", "services"))
        from antiphon.speech.wyoming_client import described

        info = await described(self.host, self.port)
        if not info.asr:
            raise SpeechError(f"The Wyoming server at {self.host}:{self.port} offers nothing that listens.")
        models = [model for program in info.asr for model in program.models]
        named = [model for model in models if model.name == self.config.model]
        self._offered = frozenset(primary(language) for model in named or models for language in model.languages)

    async def offers(self, language: str) -> bool:
        """Whether the server has said that it understands the language, or has said nothing about languages."""
        if self._offered is None:
            with suppress(SpeechError):
                await self.load()
        return knows(self._offered or frozenset(), language)

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise one utterance."""
        async with aclosing(self.stream(language=language, hints=hints)) as stream:
            return await stream.whole(pcm)

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> _Stream:
        """Listen to one person; the server is called with the first audio."""
        return _Stream(self, language, hints)

    async def aclose(self) -> None:
        """Nothing is held between utterances."""


class _Stream(UtteranceStream):
    """One connection for each utterance."""

    def __init__(self, engine: Wyoming, language: str, hints: Sequence[str]) -> None:
        super().__init__(engine.name)
        self._wyoming = engine
        self._language = language
        self._hints = list(hints)
        self._client: WyomingClient | None = None

    def abort(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.abort()

    async def utterance(self, first: bytes) -> AsyncGenerator[Transcript, None]:
        """Audio there, the transcript back; before it pieces of it, from servers that give some."""
        from wyoming.asr import Transcript as Told
        from wyoming.asr import TranscriptChunk

        from antiphon.speech.wyoming_client import ServerProblem, connected

        engine = self._wyoming
        language = self._language or engine.language
        async with connected(engine.host, engine.port) as client:
            self._client = client
            sending = asyncio.create_task(self._send(client, first), name="wyoming sending")
            try:
                so_far = ""
                while not Told.is_type((event := await client.receive()).type):
                    if TranscriptChunk.is_type(event.type):
                        so_far += str(event.data.get("text", ""))
                        yield Transcript(so_far.strip(), final=False)
            except ServerProblem as error:
                if self.closed or await engine.offers(language):
                    raise
                raise InvalidInput(
                    f"The Wyoming server at {engine.host}:{engine.port} does not understand {language[:40]}."
                ) from error
            finally:
                self._client = None
                sending.cancel()
                await asyncio.wait({sending})
                if not sending.cancelled():
                    sending.exception()  # what it was is told by the reading
            yield Transcript(str(event.data.get("text") or "").strip(), language=str(event.data.get("language") or ""))

    async def _send(self, client: WyomingClient, first: bytes) -> None:
        from wyoming.asr import Transcribe
        from wyoming.audio import AudioChunk, AudioStart, AudioStop

        engine = self._wyoming
        language = self._language or engine.language
        await client.send(
            Transcribe(name=engine.config.model or None, language=language, transcript_terms=self._hints or None)
        )
        await client.send(AudioStart(rate=LISTENING_RATE, width=SAMPLE_BYTES, channels=1))
        piece: bytes | None = first
        while piece is not None:
            for at in range(0, len(piece), _PIECE_BYTES):
                audio = piece[at : at + _PIECE_BYTES]
                await client.send(AudioChunk(rate=LISTENING_RATE, width=SAMPLE_BYTES, channels=1, audio=audio))
            piece = await self.next()
        await client.send(AudioStop())


ENGINE = SttEngine(
    title="a server with the Wyoming protocol, as Home Assistant uses them",
    config=Config,
    argument="address",
    make=Wyoming,
)
