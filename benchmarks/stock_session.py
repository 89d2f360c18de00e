"""LiveKit's `AgentSession` as it comes, beside us: its voice activity detection with a thread per session, its own
wrapper around a recogniser that does not stream. Recogniser, model and voice take no time. Used by `voice`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, stt, tts
from livekit.agents.voice import io

from antiphon.voice.transports.transport import FRAME_SAMPLES, RATE


class Ears(stt.STT):
    """Hears nothing."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))

    async def _recognize_impl(self, buffer: Any, *, language: Any = None, conn_options: Any) -> Any:
        raise NotImplementedError


class Mouth(tts.TTS):
    """Is never asked."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24_000, num_channels=1)

    def synthesize(self, text: str, *, conn_options: Any = None) -> Any:
        raise NotImplementedError


class Brain(llm.LLM):
    """Is never asked either."""

    def chat(self, **_: Any) -> Any:
        raise NotImplementedError


class Microphone(io.AudioInput):
    """Sound in."""

    def __init__(self) -> None:
        super().__init__(label="bench")
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()

    def hear(self, pcm: bytes) -> None:
        """A frame of it."""
        self._frames.put_nowait(pcm)

    async def __anext__(self) -> rtc.AudioFrame:
        return rtc.AudioFrame(await self._frames.get(), RATE, 1, FRAME_SAMPLES)


class StockSessions:
    """Sessions of one process."""

    def __init__(self) -> None:
        self._sessions: list[Any] = []

    async def begin(self) -> Microphone:
        """One more; returns its microphone."""
        session: Any = AgentSession(stt=Ears(), llm=Brain(), tts=Mouth(), turn_handling={"turn_detection": "vad"})
        microphone = Microphone()
        session.input.audio = microphone
        await session.start(Agent(instructions="Be brief."), record=False)
        self._sessions.append(session)
        return microphone

    async def aclose(self) -> None:
        """End all of them."""
        await asyncio.gather(*(session.aclose() for session in self._sessions))
        self._sessions.clear()
