"""Speaking at the pace of hearing: sound goes out a little ahead of what is heard, and can be taken back.

Synthesis is faster than speech, so sound waits here and not at the person's side: whoever interrupts is obeyed at
once. What was written and not heard when the agent fell silent is kept, and said again if it goes on.

One answer (a segment) after the other: `push`, `flush`, and exactly one `finished` for each, or `clear` in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from antiphon.voice.spoken import Spoken
from antiphon.voice.transports.transport import FRAME_BYTES, FRAME_MS, FRAME_SAMPLES, RATE

log = structlog.stdlib.get_logger(__name__)

LEAD_SECONDS = 0.1
"""How far ahead of the ear sound is written at most: the page's own buffer holds 40 to 200 ms."""
STEP_FRAMES = 2
"""Frames written each time: half the wake-ups, and no later."""
MOST_AHEAD_SECONDS = 4.0
"""Sound that may wait here; then synthesis waits."""
REPORT_SECONDS = 0.4
"""How long the person's side is given to say that it played more, and at last the end."""
UNHEARD_SAMPLES = RATE // 2
"""An end of which more than this was never reported as played was not heard, whatever the clock says."""
SETTLE_SECONDS = 0.06
"""How long the person's side is given to say what it had played when it fell silent."""


class Line(Protocol):
    """What playout needs of a transport; `voice.line` puts whichever one the session has now behind it."""

    @property
    def open(self) -> bool:
        """Whether somebody can hear anything."""
        ...

    @property
    def played(self) -> int:
        """See `Transport.played`."""
        ...

    async def write(self, pcm: bytes) -> None:
        """See `Transport.write`."""
        ...

    def clear(self) -> None:
        """See `Transport.clear`."""
        ...


class Playout:
    """Plays one answer after the other. `started` is called with its first sound, `finished` with its last."""

    def __init__(self, line: Line, *, started: Callable[[Spoken], None], finished: Callable[[Spoken], None]) -> None:
        self._line = line
        self._started = started
        self._finished = finished
        self._spoken: Spoken | None = None
        self._audio = bytearray()
        self._first = 0  # the sample of the answer at which `_audio` begins
        self._sent = 0
        self._base = 0  # what the line had played when the answer's first sample went out
        self._written = 0  # of all answers, as the line counts
        self._flushed = False
        self._paused = False
        self._begun = False
        self._heard_by = 0.0
        self._reported = 0
        self._reported_at = 0.0
        self._ending: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._over = asyncio.Event()
        self._over.set()
        self._pump: asyncio.Task[None] | None = None
        self.silent_at: float | None = None
        """When the agent fell silent last because somebody spoke (`time.monotonic`: the loop's clock may be coarse)."""

    # --- what comes in ------------------------------------------------------------------------------------------------

    async def push(self, pcm: bytes, spoken: Spoken) -> None:
        """More sound of an answer. Waits while enough of it is here."""
        if self._spoken is not spoken:
            await self._over.wait()
            self._begin(spoken)
        self._audio += pcm
        self._wake.set()
        if self._ahead() > MOST_AHEAD_SECONDS:
            self._room.clear()
            await self._room.wait()

    def flush(self) -> None:
        """The answer has no more sound."""
        if self._spoken is not None:
            self._flushed = True
            self._wake.set()

    def clear(self) -> None:
        """The answer was interrupted: fall silent, and finish it with what was heard. Twice is once."""
        if self._spoken is None or self._ending is not None:
            return
        settled = self._paused or not self._sent
        self._silence()
        self._spoken.interrupted = True
        if settled:
            self._finish()
        else:
            self._ending = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._finish)

    def pause(self) -> None:
        """Fall silent for now. Twice is once."""
        if self._paused:
            return
        self._paused = True
        if self._spoken is not None and self._begun:
            self._silence()

    def resume(self) -> None:
        """Go on with the first sample that was not heard. Twice is once."""
        if not self._paused:
            return
        self._paused = False
        if self._spoken is not None and self._ending is None:
            self._take_back(self._spoken)
            self._wake.set()

    @property
    def active(self) -> Spoken | None:
        """The answer that is being spoken, or waits to be."""
        return self._spoken

    def reconnected(self) -> None:
        """There is another transport behind the line, which counts from the beginning."""
        self._written = 0
        if self._spoken is not None:
            self._sent = self._spoken.heard_samples
            self._base = -self._sent
            self._wake.set()

    def lost(self) -> None:
        """The transport is gone: what it had not played by now was not heard."""
        if self._spoken is not None:
            self._spoken.heard_samples = self.heard

    async def aclose(self) -> None:
        """Stop; an answer that was being spoken is finished as interrupted."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
            self._pump = None
        if self._ending is not None:
            self._ending.cancel()
        if self._spoken is not None:
            self._spoken.interrupted = True
            self._finish()

    # --- what goes out ------------------------------------------------------------------------------------------------

    @property
    def heard(self) -> int:
        """Samples of the answer that were really heard."""
        if not self._begun:
            return 0
        at_least = self._spoken.heard_samples if self._spoken is not None else 0
        return max(at_least, min(self._line.played - self._base, self._sent))

    def _begin(self, spoken: Spoken) -> None:
        self._spoken = spoken
        self._audio.clear()
        self._first = self._sent = self._reported = 0
        self._flushed = self._begun = False
        self._over.clear()
        if self._pump is None:
            self._pump = asyncio.create_task(self._play(), name="voice-playout")

    def _ahead(self) -> float:
        return (self._first + len(self._audio) // 2 - self._sent) / RATE

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            if self._spoken is None or self._paused or self._ending is not None or not self._line.open:
                self._wake.clear()
                continue
            now = loop.time()
            if (ahead := self._heard_by - now) > LEAD_SECONDS - FRAME_MS / 1000:
                await asyncio.sleep(ahead - LEAD_SECONDS + FRAME_MS / 1000 * STEP_FRAMES)
                continue
            frame = self._next_frame()
            if frame is not None:
                self._heard_by = max(self._heard_by, now)
                await self._write(frame, self._spoken)
            elif self._flushed and self._sent >= self._spoken.samples:
                await self._wait_for_the_end(loop, self._spoken)
            else:
                self._wake.clear()

    def _next_frame(self) -> bytes | None:
        at = (self._sent - self._first) * 2
        if len(self._audio) - at >= FRAME_BYTES:
            return bytes(self._audio[at : at + FRAME_BYTES])
        if self._flushed and len(self._audio) > at:
            return bytes(self._audio[at:]).ljust(FRAME_BYTES, b"\0")
        return None

    async def _write(self, frame: bytes, spoken: Spoken) -> None:
        if self._written <= self._line.played:  # nothing is on its way
            self._written = self._line.played
            self._base = self._written - self._sent
        self._sent += FRAME_SAMPLES
        self._written += FRAME_SAMPLES
        self._heard_by += FRAME_MS / 1000
        first, self._begun = not self._begun, True
        await self._line.write(frame)
        if first and self._spoken is spoken:
            self._started(spoken)
        self._forget_heard()
        if self._ahead() < MOST_AHEAD_SECONDS:
            self._room.set()

    def _forget_heard(self) -> None:
        """Sound that was heard is not said again."""
        if self._spoken is not None and (heard := self.heard) - self._first > RATE:
            self._spoken.heard_samples = heard
            del self._audio[: (heard - self._first) * 2]
            self._first = heard

    async def _wait_for_the_end(self, loop: asyncio.AbstractEventLoop, spoken: Spoken) -> None:
        if (heard := self.heard) > self._reported:
            self._reported, self._reported_at = heard, loop.time()
        if heard < spoken.samples and loop.time() < max(self._heard_by, self._reported_at) + REPORT_SECONDS:
            await asyncio.sleep(FRAME_MS / 1000)
            return
        self._finish()

    def _silence(self) -> None:
        """Nothing more is heard of what is on its way."""
        self.silent_at = time.monotonic()
        self._heard_by = 0.0
        self._line.clear()

    def _take_back(self, spoken: Spoken) -> None:
        """What was written and not heard will be written again."""
        spoken.heard_samples = self._sent = self.heard
        self._written = self._line.played
        self._base = self._written - self._sent

    def _finish(self) -> None:
        spoken, self._ending = self._spoken, None
        if spoken is None:
            return
        if not spoken.interrupted and spoken.samples - self.heard > UNHEARD_SAMPLES:
            spoken.interrupted = True  # the far side stopped playing: a page in the background, a call on hold
            self._line.clear()  # nor will it be heard later
        if spoken.interrupted:
            spoken.heard_samples = min(self.heard, spoken.samples)
            self._written = self._line.played
        else:
            spoken.heard_samples = spoken.samples
        self._spoken = None
        self._audio.clear()
        self._paused = False
        self._wake.clear()
        self._room.set()
        self._over.set()
        self._finished(spoken)
