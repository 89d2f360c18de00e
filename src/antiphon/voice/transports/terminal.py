"""Speech through this machine's own microphone and loudspeaker, for `antiphon talk`. Needs the extra `talk`.

The library calls back from threads of its own; what a listener heard is what it was given for the loudspeaker.
There is no echo cancellation here: without headphones the agent hears itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from antiphon.domain.errors import Unavailable
from antiphon.voice.transports.transport import FRAME_SAMPLES, RATE

MOST_UNHEARD = 50
"""Pieces that wait for the engine: a second; older ones are dropped."""


class TerminalTransport:
    """One microphone and one loudspeaker. `library` is sounddevice, or something like it."""

    name = "terminal"

    def __init__(self, library: Any = None) -> None:
        self._library = library
        self._loop = asyncio.get_running_loop()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closed = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._played = 0
        self._streams: list[Any] = []

    async def open(self) -> None:
        """Open both devices. `Unavailable` says what is missing. Twice is once."""
        if self._streams:
            return
        try:
            await asyncio.to_thread(self._open)
        except Exception as error:
            await self.aclose()
            raise Unavailable(f"The microphone or the loudspeaker cannot be opened: {error}") from error

    def _open(self) -> None:
        library = self._library or _sounddevice()
        form = {"samplerate": RATE, "channels": 1, "dtype": "int16", "blocksize": FRAME_SAMPLES}
        for kind, callback in (("RawInputStream", self._heard), ("RawOutputStream", self._play)):
            stream = getattr(library, kind)(callback=callback, **form)
            self._streams.append(stream)
            stream.start()

    async def receive(self) -> bytes | None:
        """The next 20 ms of the microphone; None once it is closed."""
        return await self._frames.get()

    async def write(self, pcm: bytes) -> None:
        """Say something: the loudspeaker takes it piece by piece."""
        with self._lock:
            self._waiting += pcm

    def clear(self) -> None:
        """Be silent at once."""
        with self._lock:
            self._waiting.clear()

    @property
    def played(self) -> int:
        """Samples that the loudspeaker was given."""
        return self._played

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Nobody is there to be told: the terminal shows the transcript."""

    @property
    def closed(self) -> asyncio.Event:
        """Set once the devices are closed."""
        return self._closed

    async def aclose(self) -> None:
        """Close the devices. Twice is once."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._frames.put_nowait(None)
        streams, self._streams = self._streams, []
        for stream in streams:
            await asyncio.to_thread(stream.close)

    # --- called from the library's threads ----------------------------------------------------------------------------

    def _heard(self, sound: Any, frames: int, at: Any, status: Any) -> None:
        self._loop.call_soon_threadsafe(self._take, bytes(sound))

    def _take(self, pcm: bytes) -> None:
        if self._closed.is_set():
            return
        if self._frames.qsize() >= MOST_UNHEARD:
            self._frames.get_nowait()
        self._frames.put_nowait(pcm)

    def _play(self, sound: Any, frames: int, at: Any, status: Any) -> None:
        with self._lock:
            part = bytes(self._waiting[: 2 * frames])
            del self._waiting[: 2 * frames]
            self._played += len(part) // 2
        sound[:] = part.ljust(2 * frames, b"\0")


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise Unavailable("the package sounddevice is missing; .venv/bin/pip install 'antiphon[talk]'") from error
    except OSError as error:
        raise Unavailable("the library PortAudio is missing; apt install libportaudio2") from error
    return sounddevice
