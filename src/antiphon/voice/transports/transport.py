"""What every transport offers to a spoken session. The engine knows nothing else of how sound travels.

Sound is PCM, 16 bit signed little-endian, mono, 16,000 samples a second, both ways; frames are 20 ms (640 bytes). A
session may outlive its transport: a browser that lost its connection comes back with a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

RATE = 16_000
FRAME_MS = 20
FRAME_SAMPLES = RATE * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * 2
SILENCE = bytes(FRAME_BYTES)

Control = Callable[[Mapping[str, Any]], None]
"""Takes the JSON objects that the person's side sends beside the sound: `mute {muted}`, `ptt {down}`."""


class Transport(Protocol):
    """One person's ear and mouth. Its maker hands it a `Control` when it is built."""

    @property
    def name(self) -> str:
        """Its word in the API and in figures: `embedded`, `livekit`, `terminal`, `discord`."""
        ...

    async def open(self) -> None:
        """Connect, if that is still to be done. `Unavailable` when it cannot."""
        ...

    async def receive(self) -> bytes | None:
        """The next piece of what the person says: whole samples, usually 20 ms. None once it is over for good.

        Waits while nothing comes: a transport that sends nothing in silence is fine.
        """
        ...

    async def write(self, pcm: bytes) -> None:
        """Say something. The engine paces it, about 100 ms ahead of what is heard; this may wait, but not for long."""
        ...

    def clear(self) -> None:
        """Be silent at once: what was written and not heard yet never will be, and counts as not written."""
        ...

    @property
    def played(self) -> int:
        """Samples that the person has really heard so far, of all that was written. Never goes back.

        After `clear` it stays where it is, or catches up with what the person's side reports.
        """
        ...

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Tell the person's side something beside the sound. Lost when it is away: such messages are hints."""
        ...

    @property
    def closed(self) -> asyncio.Event:
        """Set once nothing will be heard or said over it any more."""
        ...

    async def aclose(self) -> None:
        """Free everything. Twice is once."""
        ...
