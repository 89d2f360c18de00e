"""Any voice that has a plugin for LiveKit Agents: `livekit:cartesia`, once livekit-plugins-cartesia is installed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic import Field

from antiphon.domain.errors import AntiphonError, SpeechError
from antiphon.domain.speech import EngineStatus, SpeechChunk, VoiceInfo
from antiphon.speech.engine import Surroundings, TtsEngine
from antiphon.speech.livekit_plugins import PluginConfig, PluginMaker
from antiphon.speech.sentences import pieces

_MOST_VOICES = 8
_PIECE = 400


class Config(PluginConfig, extra="forbid"):
    """`[speech.engines.livekit]`, and `[speech.engines.livekit.tts]` for speaking alone."""

    voice_option: str = Field(
        default="voice", pattern=r"^\w*$", description="The option that takes a voice somebody chose. Empty: none."
    )


class LiveKitSpeaker:
    """Implements `domain.speech.TextToSpeech`."""

    name = "livekit"

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._maker = PluginMaker("TTS", config, surroundings.secret)
        self._plugins: dict[str, Any] = {}

    @property
    def sample_rate(self) -> int:
        """That of the plugin; known after `load`."""
        plugin = self._plugins.get("")
        return int(plugin.sample_rate) if plugin is not None else 0

    async def status(self) -> EngineStatus:
        """Whether the plugin is installed."""
        return await asyncio.to_thread(self._maker.status)

    async def load(self) -> None:
        """Make the plugin's object."""
        self._with("")

    def _with(self, voice: str) -> Any:
        """The plugin, made once for each voice."""
        if not self._config.voice_option:
            voice = ""
        if voice not in self._plugins:
            if len(self._plugins) >= _MOST_VOICES:
                raise SpeechError("Too many voices are in use at once.")
            self._plugins[voice] = self._maker.make({self._config.voice_option: voice} if voice else None)
        return self._plugins[voice]

    async def voices(self) -> Sequence[VoiceInfo]:
        """Plugins do not tell which voices they have: that of the options."""
        chosen = self._config.options.get(self._config.voice_option)
        return [VoiceInfo(chosen if isinstance(chosen, str) else "", "", self._config.plugin)]

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak piece by piece."""
        del language
        plugin = self._with(voice)
        for _, piece in pieces(text, _PIECE):
            try:
                async with plugin.synthesize(piece) as stream:
                    async for audio in stream:
                        if audio.frame.num_channels != 1 or audio.frame.sample_rate != plugin.sample_rate:
                            raise SpeechError("The plugin gives audio of another form than it says.")
                        yield SpeechChunk(bytes(audio.frame.data))
            except AntiphonError:
                raise
            except Exception as error:
                raise SpeechError(f"The plugin {self._config.plugin} failed ({type(error).__name__}).") from error

    async def aclose(self) -> None:
        """Close plugins and session."""
        plugins = list(self._plugins.values())
        self._plugins.clear()
        for plugin in plugins:
            await plugin.aclose()
        await self._maker.aclose()


ENGINE = TtsEngine(
    title="any voice with a plugin for LiveKit Agents; most are services on the internet",
    config=Config,
    argument="plugin",
    make=LiveKitSpeaker,
)
