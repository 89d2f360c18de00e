"""wyoming: a server that speaks by the Wyoming protocol: `antiphon tts`, piper, and what else Home Assistant uses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from antiphon.domain.errors import AntiphonError, InvalidInput, SpeechError
from antiphon.domain.speech import EngineStatus, SpeechChunk, VoiceInfo
from antiphon.speech.addresses import USUAL_PORTS, Address, reachable, split_address
from antiphon.speech.engine import Surroundings, TtsEngine, check_ready, package_missing, primary
from antiphon.speech.resampling import Resampler

if TYPE_CHECKING:
    from wyoming.tts import Synthesize, SynthesizeVoice

_PORT = USUAL_PORTS["tts"]["wyoming"]


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.wyoming]`, and `[speech.engines.wyoming.tts]` for what is not for listening too."""

    address: Address = Field(default=f"127.0.0.1:{_PORT}", description="host:port of the server.")
    voice: str = Field(default="", max_length=200, description="Voice of the server. Empty: its own for the language.")
    speaker: str = Field(default="", max_length=200, description="Speaker of the voice, where it has several.")
    sample_rate: int = Field(
        default=22_050,
        ge=8_000,
        le=48_000,
        description="Samples a second that are given on. The server says its own with each text.",
    )


class Wyoming:
    """Implements `domain.speech.TextToSpeech`."""

    name = "wyoming"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self.sample_rate = config.sample_rate
        self._config = config
        self._language = surroundings.language
        self._host, self._port = split_address(config.address, _PORT)
        self._voices: list[VoiceInfo] | None = None

    async def status(self) -> EngineStatus:
        """Whether its server answers."""
        missing = package_missing(self.name, "wyoming", "services")
        return missing or await reachable(self.name, self._host, self._port)

    async def load(self) -> None:
        """Ask the server for its voices, once."""
        if self._voices is not None:
            return
        check_ready(package_missing(self.name, "wyoming", "services"))
        from antiphon.speech.wyoming_client import described

        info = await described(self._host, self._port)
        if not info.tts:
            raise SpeechError(f"The Wyoming server at {self._host}:{self._port} offers nothing that speaks.")
        self._voices = [
            VoiceInfo(voice.name, language, voice.description or "")
            for program in info.tts
            for voice in program.voices
            for language in (voice.languages or [self._language])[:1]
        ]

    async def voices(self) -> Sequence[VoiceInfo]:
        """The voices of the server, that of the settings first."""
        await self.load()
        chosen = [VoiceInfo(self._config.voice, self._language)] if self._config.voice else []
        return chosen + [voice for voice in self._voices or () if voice.name != self._config.voice]

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak over one connection; closing the iterator hangs up."""
        from wyoming.tts import Synthesize, SynthesizeVoice

        from antiphon.speech.wyoming_client import ServerProblem

        if not text.strip():
            return
        await self.load()
        name, wanted = voice or self._config.voice, language or self._language
        chosen = SynthesizeVoice(name=name, speaker=self._config.speaker or None) if name else self._for(wanted)
        try:
            async with aclosing(self._speak(Synthesize(text=text, voice=chosen))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ServerProblem as error:
            if self._offers(name, wanted):
                raise
            what = f"no voice {name[:40]}" if name else f"no voice for {wanted[:40]}"
            raise InvalidInput(f"The Wyoming server at {self._host}:{self._port} has {what}.") from error

    async def _speak(self, request: Synthesize) -> AsyncGenerator[SpeechChunk]:
        from wyoming.audio import AudioChunk, AudioStart, AudioStop

        from antiphon.speech.wyoming_client import connected

        async with connected(self._host, self._port) as client:
            await client.send(request)
            rate, incoming = 0, None
            while not AudioStop.is_type((event := await client.receive()).type):
                try:
                    if AudioStart.is_type(event.type):
                        rate, incoming = _format(event.data), None
                    elif AudioChunk.is_type(event.type) and event.payload:
                        rate = rate or _format(event.data)
                        if incoming is None and rate != self.sample_rate:
                            incoming = Resampler(rate, self.sample_rate)
                        yield SpeechChunk(event.payload if incoming is None else incoming.process(event.payload))
                except (AntiphonError, KeyError, TypeError, ValueError) as error:
                    raise SpeechError("The Wyoming server sent audio of a kind that is not taken.") from error
            if incoming is not None and (rest := incoming.flush()):
                yield SpeechChunk(rest)

    def _for(self, language: str) -> SynthesizeVoice:
        """The first voice of the server for a language, as some servers do not look for one by themselves."""
        from wyoming.tts import SynthesizeVoice

        fitting = self._fitting(language)
        exact = [voice for voice in fitting if voice.language.casefold() == language.casefold()]
        found = next(iter((*exact, *fitting)), None)
        if found is None:
            return SynthesizeVoice(language=language)
        return SynthesizeVoice(name=found.name, speaker=self._config.speaker or None)

    def _fitting(self, language: str) -> Sequence[VoiceInfo]:
        return [voice for voice in self._voices or () if primary(voice.language) == primary(language)]

    def _offers(self, voice: str, language: str) -> bool:
        """Whether the server names the voice, or without a name one for the language; or it names no voices."""
        if not self._voices:
            return True
        return any(one.name == voice for one in self._voices) if voice else bool(self._fitting(language))

    async def aclose(self) -> None:
        """Nothing is held between texts."""


def _format(data: dict[str, object]) -> int:
    rate, width, channels = data["rate"], data["width"], data["channels"]
    if width != 2 or channels != 1 or not isinstance(rate, int) or not 4_000 <= rate <= 192_000:
        raise ValueError("not 16 bit mono")
    return rate


ENGINE = TtsEngine(
    title="a server with the Wyoming protocol, as Home Assistant uses them",
    config=Config,
    argument="address",
    make=Wyoming,
)
