"""`python -m benchmarks.one_core LOAD SPEECH`: how many sessions one core carries in real time. Run by `voice`.

A process of its own, because it takes one core for good. LOAD is `listening` or `talking` (ours), or `stock`
(LiveKit's session as it comes, listening); SPEECH is a file with what people say. Prints one line of JSON: the steps.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from benchmarks import real_time
from benchmarks.our_sessions import OurSessions
from benchmarks.stock_session import StockSessions

FIRST = {"listening": 60, "talking": 60, "stock": 20}
"""Sessions to begin with."""
LOOKS = {"listening": 1, "talking": 1, "stock": 2}
"""Detections in a session; LiveKit's wrapper around a recogniser that does not stream has one of its own."""


class Looked:
    """Counts the windows that the detection of LiveKit's library looks at, which is ours too."""

    windows = 0

    def __init__(self) -> None:
        from livekit.agents.inference import vad

        counted, plain = self, vad._VADStream.__init__  # private: nothing else tells

        def begin(stream: Any, *args: Any, **kwargs: Any) -> None:
            plain(stream, *args, **kwargs)
            stream._native_vad = _Detection(stream._native_vad, counted)

        vad._VADStream.__init__ = begin  # pyright: ignore[reportAttributeAccessIssue]


class _Detection:
    def __init__(self, real: Any, looked: Looked) -> None:
        self._real = real
        self._looked = looked

    def predict(self, window: Any) -> Any:
        self._looked.windows += 1  # a thread too many here and there may lose a count, of thousands
        return self._real.predict(window)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def climb(load: str, speech: bytes, folder: Path) -> list[real_time.Step]:
    """The steps of one load."""
    looked, feeder = Looked(), real_time.Feeder()
    sessions: OurSessions | StockSessions = StockSessions() if load == "stock" else OurSessions(folder, feeder)
    begin: Callable[[], Awaitable[real_time.Ear]] = sessions.begin
    if isinstance(sessions, OurSessions) and load == "talking":

        async def talk() -> real_time.Ear:
            return await sessions.begin_talking(speech)

        begin = talk
    await begin()  # what is loaded with the first one
    real_time.take_one_core()
    try:
        return await real_time.climb(feeder, begin, lambda: looked.windows / LOOKS[load], first=FIRST[load])
    finally:
        feeder.ears = []
        await sessions.aclose()
        await feeder.aclose()


def main() -> None:
    """Measure and say."""
    import uvloop

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    load, speech = sys.argv[1], Path(sys.argv[2]).read_bytes()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        steps = runner.run(climb(load, speech, Path(folder)))
    print(json.dumps([asdict(step) for step in steps]), flush=True)


if __name__ == "__main__":
    main()
