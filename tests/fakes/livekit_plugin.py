"""A plugin for LiveKit Agents that hears how much was said and hums. `install` makes it `livekit.plugins.fake`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS


class STT(stt.STT):
    """Streams, unless it is told not to."""

    def __init__(self, *, api_key: str = "", streaming: bool = True, breaks: bool = False) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=streaming, interim_results=streaming))
        if api_key == "wrong":
            raise ValueError("the key is wrong")
        self.api_key = api_key
        self.breaks = breaks

    async def _recognize_impl(self, buffer: Any, *, language: Any, conn_options: Any) -> stt.SpeechEvent:
        frames = buffer if isinstance(buffer, list) else [buffer]
        return _event("final_transcript", f"{sum(frame.samples_per_channel for frame in frames)} samples")

    def stream(self, *, language: Any = "", conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> _Stream:
        return _Stream(stt=self, conn_options=conn_options)


class _Stream(stt.RecognizeStream):
    async def _run(self) -> None:
        samples = 0
        async for frame in self._input_ch:
            if isinstance(frame, rtc.AudioFrame):
                samples += frame.samples_per_channel
                if self._stt.breaks:  # type: ignore[attr-defined]
                    raise RuntimeError("it broke")
                self._event_ch.send_nowait(_event("interim_transcript", f"{samples}"))
        self._event_ch.send_nowait(_event("final_transcript", f"{samples}"))
        self._event_ch.send_nowait(_event("final_transcript", "samples"))


def _event(kind: str, text: str) -> stt.SpeechEvent:
    return stt.SpeechEvent(
        type=stt.SpeechEventType(kind), alternatives=[stt.SpeechData(language="en", text=text, confidence=0.5)]
    )


class TTS(tts.TTS):
    """Fifty milliseconds of a hum for each letter."""

    def __init__(self, *, voice: str = "", http_session: Any = None) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24_000, num_channels=1)
        self.voice = voice
        self.http_session = http_session

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> _Speech:
        return _Speech(tts=self, input_text=text, conn_options=conn_options)


class _Speech(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        if self._tts.voice == "broken":  # type: ignore[attr-defined]
            raise RuntimeError("it broke")
        output_emitter.initialize(request_id="1", sample_rate=24_000, num_channels=1, mime_type="audio/pcm")
        for _ in self.input_text:
            output_emitter.push(b"\1\1" * 1200)
        output_emitter.flush()


def install(monkeypatch: pytest.MonkeyPatch, name: str = "fake") -> None:
    """Make it `livekit.plugins.NAME` for one test."""
    import importlib.machinery

    module = ModuleType(f"livekit.plugins.{name}")
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    module.STT, module.TTS = STT, TTS  # type: ignore[attr-defined]
    if "livekit.plugins" not in sys.modules:
        package = ModuleType("livekit.plugins")
        package.__path__ = []
        monkeypatch.setitem(sys.modules, "livekit.plugins", package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
