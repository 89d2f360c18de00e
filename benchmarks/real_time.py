"""Microphones that send in real time, and how many sessions a core carries before they are late.

Only the standard library is imported here: `pipecat_peer` runs with an interpreter of another environment.

What is measured runs in a process of its own that has one core, feeder included: its cost is part of every figure and
the same for each engine (a call per session and frame). Sessions keep real time while their frames are on time and
their voice activity detection gets through all that they send: an engine may be on time and queue it up elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

FRAME_SECONDS = 0.02
FRAME_BYTES = 640
"""A frame of 20 ms at 16,000 samples a second, 16 bits, one channel."""
SILENCE = bytes(FRAME_BYTES)
MOST_LATE = 0.02
"""Seconds by which 95 of 100 frames may be late."""
LEAST_HEARD = 0.98
"""Share of the sound that the detection must have looked at by the end of a step."""
WINDOW = 512
"""Samples that the detection of every engine here (Silero's) looks at together."""
STEP = 10
BOUND = 120
"""Sessions at which it is enough."""
SETTLE_SECONDS = 0.8
STEP_SECONDS = 2.5
FIRST_OF_ALL = -15
_AUTOGROUP = Path("/proc/self/autogroup")
TRIES = 2
"""What else the machine does only makes a step worse, never better."""


class Ear(Protocol):
    """The microphone's end of a session."""

    def hear(self, pcm: bytes) -> None:
        """A frame of sound."""
        ...


class Feeder:
    """Everybody's microphone: a frame for each ear every 20 ms, speech where some was put in, else silence."""

    def __init__(self) -> None:
        self.ears: list[Any] = []
        self.late: list[float] = []
        self.fed = 0
        """Frames, of all ears together."""
        self._sounds: dict[int, bytes] = {}
        self._task = asyncio.create_task(self._run())

    def speak(self, ear: Ear, sound: bytes) -> None:
        """Say something into one ear."""
        self._sounds[id(ear)] = sound

    async def _run(self) -> None:
        began, number = time.perf_counter(), 0
        while True:
            number += 1
            due = began + number * FRAME_SECONDS
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            else:
                await asyncio.sleep(0)  # late: the others have their turn nevertheless
            self.late.append(time.perf_counter() - due)
            self.fed += len(self.ears)
            for ear in self.ears:
                if sound := self._sounds.pop(id(ear), b""):
                    self._sounds[id(ear)] = sound[FRAME_BYTES:]
                ear.hear(sound[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0") if sound else SILENCE)

    async def aclose(self) -> None:
        """Be silent."""
        self._task.cancel()
        await asyncio.wait({self._task})


@dataclass(frozen=True, slots=True)
class Step:
    """So many sessions at once: seconds by which 95 of 100 frames were late at most, the share of the core that was
    used, and the share of the sound that was looked at."""

    sessions: int
    late: float
    share: float
    heard: float

    @property
    def held(self) -> bool:
        """Whether all of them kept real time."""
        return self.late <= MOST_LATE and self.heard >= LEAST_HEARD


def take_one_core() -> None:
    """From here on this process has one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextlib.contextmanager
def before_others() -> Iterator[None]:
    """Meanwhile this process and its children run before other programs, where the system lets them (root): what else
    a machine does would be measured too.

    Linux weighs sessions against each other (autogroup) before the processes in them, so both are told.
    """
    own, group = os.getpriority(os.PRIO_PROCESS, 0), _group_nice()
    _weigh(FIRST_OF_ALL, FIRST_OF_ALL)
    try:
        yield
    finally:
        _weigh(own, group)


def _group_nice() -> int:
    try:
        return int(_AUTOGROUP.read_text(encoding="ascii").split()[-1])
    except (OSError, ValueError, IndexError):
        return 0


def _weigh(own: int, group: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, own)
    with contextlib.suppress(OSError):
        _AUTOGROUP.write_text(str(group), encoding="ascii")


async def cpu_share(seconds: float) -> float:
    """How much of a core this process uses."""
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.perf_counter() - began)


def resident() -> float:
    """Memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


async def climb(
    feeder: Feeder, begin: Callable[[], Awaitable[Ear]], windows: Callable[[], float], *, first: int
) -> list[Step]:
    """Begin more and more sessions, `first` of them at once, until they do not keep real time any more.

    `windows` tells how many windows the detection has looked at, of all sessions together. Gives the steps that were
    measured, the best try of each.
    """
    steps: list[Step] = []
    for sessions in range(first, BOUND + 1, STEP):
        while len(feeder.ears) < sessions:
            feeder.ears.append(await begin())
            await asyncio.sleep(0.01)
        steps.append(await _step(feeder, windows))
        if not steps[-1].held:
            break
    return steps


async def _step(feeder: Feeder, windows: Callable[[], float]) -> Step:
    tries: list[Step] = []
    while len(tries) < TRIES and not (tries and tries[-1].held):
        await asyncio.sleep(SETTLE_SECONDS)
        feeder.late.clear()
        fed, looked = feeder.fed, windows()
        share = await cpu_share(STEP_SECONDS)
        heard = (windows() - looked) * WINDOW / ((feeder.fed - fed) * FRAME_BYTES / 2)
        late = sorted(feeder.late)
        tries.append(Step(len(feeder.ears), late[int(len(late) * 0.95)], share, heard))
    return max(tries, key=lambda step: (step.held, step.heard, -step.late))


def most_held(steps: Sequence[Step]) -> int:
    """The largest number of sessions that kept real time."""
    return max((step.sessions for step in steps if step.held), default=0)
