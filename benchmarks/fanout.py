"""CPU of one event for a thousand listeners, beside plain `group_send` of channels in the same run.

Ours: the bus, the hub and a listener per client whose transport takes a frame at once, as a WebSocket of the server
does while its client reads. Theirs: channels' in-memory layer, a group, and a receiver per member that encodes the
event for its socket, which is the least that a consumer does. Sockets cost both the same and are left out.

The same for a thousand listeners of one spoken session's transcript, with the hub of transcripts and all that their
sockets do of ours: each waits for what its client says and for its end meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure

LISTENERS = 1000
EVENTS = 200
PEER_EVENTS = 10
"""Fewer: each receive of that layer looks through all of its members."""
BOUND = 15.0
"""Microseconds of CPU per delivery."""
_TEXT = {"task": "17", "turn": "17.1", "attempt": 1, "text": "a few words of an answer "}


def measure() -> list[Figure]:
    """Microseconds of CPU per delivery: ours is the best of three."""
    import uvloop

    from antiphon.config import Settings
    from antiphon.store.settings import configure

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        configure(Settings(data_dir=Path(folder)))  # the sockets lie among the views; no database is opened
        ours = min(runner.run(_ours()) for _ in range(3))
        transcripts = min(runner.run(_transcripts()) for _ in range(3))
        theirs = runner.run(_theirs())
    return [
        Figure(
            f"fan-out to {LISTENERS} listeners: CPU per delivery",
            ours,
            "µs",
            f"<= {BOUND:.0f} µs",
            f"{theirs:.3g} µs channels group_send ({theirs / ours:.1f}x)",
            passed=ours <= BOUND,
        ),
        Figure(
            f"transcript fan-out to {LISTENERS} listeners: CPU per delivery",
            transcripts,
            "µs",
            f"<= {BOUND:.0f} µs",
            f"{theirs:.3g} µs channels group_send ({theirs / transcripts:.1f}x)",
            passed=transcripts <= BOUND,
        ),
        Figure("fan-out: channels group_send, CPU per delivery", theirs, "µs"),
    ]


async def _ours() -> float:
    from contextlib import AsyncExitStack

    from antiphon.api.hub import Hub
    from antiphon.api.listeners import Frame
    from antiphon.bus.memory import MemoryBus
    from antiphon.domain.events import turn_topic
    from antiphon.run.clock import SystemClock

    bus = MemoryBus(SystemClock())
    heard = 0

    async def owner_of(channel: str) -> int | None:
        return 1

    async def take(frame: Frame) -> None:
        nonlocal heard
        heard += len(frame.ws["text"]) > 0

    hub = Hub(bus, owner_of, lambda: False)
    async with AsyncExitStack() as stack:
        for _ in range(LISTENERS):
            listener = await stack.enter_async_context(
                hub.listen("web:bench", 1, owner=1, after=None, reset_when_full=False)
            )
            listener.send_with(take)
        cpu = time.process_time()
        for number in range(1, EVENTS + 1):
            await bus.publish(turn_topic("web:bench"), "text.delta", _TEXT)
            while heard < number * LISTENERS:  # noqa: ASYNC110 - every event is taken before the next one
                await asyncio.sleep(0)
        cpu = time.process_time() - cpu
    await hub.aclose()
    return cpu / (EVENTS * LISTENERS) * 1e6


async def _transcripts() -> float:
    from antiphon.api.hub import Hub
    from antiphon.api.listeners import FlatFrame
    from antiphon.api.sockets import converse
    from antiphon.bus.memory import MemoryBus
    from antiphon.domain.events import voice_topic
    from antiphon.run.clock import SystemClock

    bus, never = MemoryBus(SystemClock()), asyncio.Event()
    heard = 0

    async def owner_of(channel: str) -> int | None:
        return 1

    async def say_nothing() -> dict[str, object]:
        await never.wait()
        raise RuntimeError("this client says nothing")

    async def take(message: dict[str, object]) -> None:
        nonlocal heard
        heard += len(str(message["text"])) > 0

    hub = Hub(bus, owner_of, lambda: False, topic_of=voice_topic, frame_of=FlatFrame.of)

    async def listen() -> None:
        async with hub.listen("bench", 1, owner=1, after=None, reset_when_full=False) as listener:
            await converse(listener, say_nothing, take)

    sockets = [asyncio.create_task(listen()) for _ in range(LISTENERS)]
    while hub.listening < LISTENERS:  # noqa: ASYNC110 - the measuring begins when all are there
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    cpu = time.process_time()
    for number in range(1, EVENTS + 1):
        words = {"id": number, "segment": number, "role": "user", "speaker": "Ada", "text": "some words", "final": True}
        await bus.publish(voice_topic("bench"), "transcript", words)
        while heard < number * LISTENERS:  # noqa: ASYNC110 - every event is taken before the next one
            await asyncio.sleep(0)
    cpu = time.process_time() - cpu
    await hub.aclose()
    await asyncio.gather(*sockets)
    return cpu / (EVENTS * LISTENERS) * 1e6


async def _theirs() -> float:
    from channels.layers import InMemoryChannelLayer

    layer = InMemoryChannelLayer()
    heard = 0

    async def member(name: str) -> None:
        nonlocal heard
        while True:
            message = await layer.receive(name)
            heard += len(json.dumps(message["event"])) > 0

    names = [await layer.new_channel() for _ in range(LISTENERS)]
    for name in names:
        await layer.group_add("bench", name)
    members = [asyncio.create_task(member(name)) for name in names]
    await asyncio.sleep(0)
    cpu = time.process_time()
    for number in range(1, PEER_EVENTS + 1):
        await layer.group_send("bench", {"type": "turn.event", "event": _TEXT})
        while heard < number * LISTENERS:  # noqa: ASYNC110 - every event is taken before the next one
            await asyncio.sleep(0)
    cpu = time.process_time() - cpu
    for task in members:
        task.cancel()
    await asyncio.gather(*members, return_exceptions=True)
    return cpu / (PEER_EVENTS * LISTENERS) * 1e6
