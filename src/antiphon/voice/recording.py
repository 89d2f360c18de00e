"""The sound of a session as a file, when the owner turned that on: the person left, the agent right.

Both sides are put where they were heard in time. The file is written beside its final name and renamed once whole. A
session that moves to another process is recorded on there, behind what that finds of it in its folder.
"""

from __future__ import annotations

import array
import asyncio
import time
import wave
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import structlog

from antiphon.domain.voice import recording_files
from antiphon.voice.transports.transport import RATE

log = structlog.stdlib.get_logger(__name__)

FLUSH_SECONDS = 2.0
"""Sound is written this long after it was heard: until then the other side may still join in."""

YOUNG_SECONDS = 3600.0
"""What was written so lately may belong to a session that just begins, and is no stray."""
_QUIET = 300
_PIECE = 10 * RATE


class Recordings:
    """The recordings that lie on this machine."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def path(self, key: str) -> Path:
        """Where the recording of a session lies, if there is one. `NotFound` for what names none."""
        return recording_files(self._data_dir, key)[0]

    def drop(self, key: str) -> None:
        """Delete the recording of a session, and what a crash left of it."""
        for file in recording_files(self._data_dir, key):
            file.unlink(missing_ok=True)

    async def sweep(self, known: Callable[[Collection[str]], Awaitable[Collection[str]]]) -> int:
        """Delete the recordings of sessions that are no more, whoever deleted them; returns how many."""
        found = await asyncio.to_thread(self._old)
        gone = found.difference(await known(found)) if found else found
        for key in gone:
            await asyncio.to_thread(self.drop, key)
        return len(gone)

    def _old(self) -> set[str]:
        folder = self.path("0").parent
        if not folder.is_dir():
            return set()
        before = time.time() - YOUNG_SECONDS
        files = [file for file in folder.iterdir() if file.suffix in (".wav", ".part") and file.stem.isalnum()]
        return {file.stem for file in files if file.stat().st_mtime < before}


class Recording:
    """A WAV file that grows while people speak."""

    def __init__(self, path: Path, began: float) -> None:
        self._path = path
        self._part = path.with_suffix(".part")
        self._began = began
        self._sides = (array.array("h"), array.array("h"))
        self._written = 0  # samples of each side
        self._file: wave.Wave_write | None = None
        self._writing: asyncio.Task[None] | None = None
        self._failed = False

    def person(self, pcm: bytes, now: float) -> None:
        """What the person said until now."""
        self._put(0, pcm, now)

    def agent(self, pcm: bytes, now: float) -> None:
        """What the agent says from now on."""
        self._put(1, pcm, now)

    def _put(self, side: int, pcm: bytes, now: float) -> None:
        if self._failed:
            return
        samples = self._sides[side]
        at = round((now - self._began) * RATE) - self._written
        if (gap := at - len(samples)) > RATE // 10:  # shorter gaps are the network's
            samples.frombytes(bytes(2 * gap))
        elif side == 0 and gap < -RATE // 10 and max(array.array("h", pcm), default=0) < _QUIET:
            return  # much came at once: pauses are shortened until both sides are together again
        samples.frombytes(pcm)
        if at > 2 * FLUSH_SECONDS * RATE and self._writing is None:
            self._writing = asyncio.create_task(self._flush(at - round(FLUSH_SECONDS * RATE)), name="voice-recording")

    async def _flush(self, count: int) -> None:
        frames = self._take(count)
        try:
            await asyncio.to_thread(self._write, frames)
        except OSError as error:
            self._failed = True
            log.error("voice.recording_failed", error=error.strerror)
        finally:
            self._writing = None

    def _take(self, count: int) -> bytes:
        both = array.array("h", bytes(4 * count))
        for side, samples in enumerate(self._sides):
            part = samples[:count]
            del samples[:count]
            both[side : 2 * len(part) : 2] = part
        self._written += count
        return both.tobytes()

    def _write(self, frames: bytes) -> None:
        if self._file is None:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch(mode=0o600)
            self._file = wave.open(str(self._part), "wb")  # noqa: SIM115 - closed in aclose
            self._file.setnchannels(2)
            self._file.setsampwidth(2)
            self._file.setframerate(RATE)
            self._go_on(self._file)
        self._file.writeframes(frames)

    def _go_on(self, file: wave.Wave_write) -> None:
        if not self._path.is_file():
            return
        with wave.open(str(self._path)) as before:
            while frames := before.readframes(_PIECE):
                file.writeframes(frames)

    async def aclose(self) -> bool:
        """Write the rest; whether there is a file now."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        rest = max(len(side) for side in self._sides)
        if rest and not self._failed:
            await self._flush(rest)
        if self._file is None:
            return False
        await asyncio.to_thread(self._file.close)
        if self._failed:
            return False
        await asyncio.to_thread(self._part.rename, self._path)
        return True

    async def drop(self) -> None:
        """Delete the file."""
        await asyncio.to_thread(self._path.unlink, missing_ok=True)
