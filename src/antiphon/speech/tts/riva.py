"""riva: a server that speaks by Riva's gRPC interface: `antiphon tts`, an NVIDIA Riva, or a NIM."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic import Field

from antiphon.domain.speech import EngineStatus, SpeechChunk, SpokenWord, VoiceInfo
from antiphon.speech.addresses import USUAL_PORTS, Address, split_address
from antiphon.speech.engine import Surroundings, TtsEngine
from antiphon.speech.grpc_client import Connection, RivaClient

_PORT = USUAL_PORTS["tts"]["riva"]
_SECONDS = 600.0
"""Deadline of a call, so that nothing is held for ever."""


class Config(Connection):
    """`[speech.engines.riva]`, and `[speech.engines.riva.tts]` for what is not for listening too."""

    address: Address = Field(default=f"127.0.0.1:{_PORT}", description="host:port of the server.")
    voice: str = Field(default="", max_length=200, description="Voice of the server. Empty: its own for the language.")
    sample_rate: int = Field(
        default=22_050, ge=8_000, le=48_000, description="Samples a second that are asked for; a NIM may want 44100."
    )


class Riva:
    """Implements `domain.speech.TextToSpeech`."""

    name = "riva"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self.sample_rate = config.sample_rate
        self._config = config
        self._language = surroundings.language
        host, port = split_address(config.address, _PORT)
        self._client = RivaClient(self.name, host, port, config, surroundings)
        self._offer: Any = None

    async def status(self) -> EngineStatus:
        """Whether its server answers."""
        return await self._client.status()

    async def load(self) -> None:
        """Connect, once."""
        from antiphon.speech.riva import SYNTHESIS_CONFIG, tts

        if self._offer is None:
            request = tts.RivaSynthesisConfigRequest()
            self._offer = await self._client.load(SYNTHESIS_CONFIG, request) or tts.RivaSynthesisConfigResponse()

    async def voices(self) -> Sequence[VoiceInfo]:
        """The voices of every model of the server, that of the settings first."""
        await self.load()
        found = [VoiceInfo(self._config.voice, self._language)] if self._config.voice else []
        for model in self._offer.model_config:
            facts = model.parameters
            language = facts.get("language_code", "").partition(",")[0]
            main = facts.get("voice_name", "")
            for name in (main, *facts.get("subvoices", "").split(",")):
                voice = name.partition(":")[0].strip()
                if voice and voice != main and main and "." not in voice and facts.get("subvoices", "").count(":"):
                    voice = f"{main}.{voice}"  # a model of several speakers: English-US.Female-1
                if voice:
                    found.append(VoiceInfo(voice, language, model.model_name))
        return list({voice.name: voice for voice in reversed(found)}.values())[::-1]

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak by one call; closing the iterator cancels it, which stops the server."""
        from antiphon.speech.riva import SYNTHESIZE_ONLINE, Encoding, language_code, tts

        if not text.strip():
            return
        await self.load()
        client = self._client
        request = tts.SynthesizeSpeechRequest(
            text=text,
            language_code=language_code(language or self._language),
            encoding=Encoding.LINEAR_PCM,
            sample_rate_hz=self.sample_rate,
            voice_name=voice or self._config.voice,
            enable_word_time_offsets=True,
        )
        call = client.call(SYNTHESIZE_ONLINE)(timeout=_SECONDS, metadata=client.metadata())
        at, odd = 0, b""
        try:
            await call.write(request)
            await call.done_writing()
            async for response in call:
                words: list[SpokenWord] = []
                for word in response.meta.words:
                    begin = text.find(word.word, at)
                    if begin >= 0 and word.word:
                        at = begin + len(word.word)
                        words.append(SpokenWord(word.start_time / 1000, begin, at))
                pcm = odd + response.audio
                odd = pcm[len(pcm) & ~1 :]
                if pcm or words:
                    yield SpeechChunk(pcm[: len(pcm) & ~1], tuple(words))
        except Exception as error:
            raise client.failed(error) from error
        finally:
            call.cancel()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()


ENGINE = TtsEngine(
    title="a server with Riva's gRPC interface: antiphon tts, NVIDIA Riva, a NIM",
    config=Config,
    argument="address",
    make=Riva,
)
