"""`antiphon talk`: a spoken session with this machine's own microphone and loudspeaker, its words on the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from antiphon.domain.events import voice_topic
from antiphon.voice.service import Wish
from antiphon.voice.transports.terminal import TerminalTransport
from antiphon.voice.transports.transport import Transport

if TYPE_CHECKING:
    from antiphon.run.wiring import Antiphon


async def talk(
    antiphon: Antiphon,
    person: int,
    *,
    room: str,
    language: str,
    show: Callable[[str], None],
    transport: Callable[[], Transport] = TerminalTransport,
) -> None:
    """Talk until the session ends, or the task is cancelled (Ctrl+C). Raises `Unavailable` without a device."""
    devices = transport()
    await devices.open()  # first: without them nothing else is worth the wait
    try:
        await antiphon.brain.warm_up()
        session = await antiphon.voice.start(person, Wish(room, "terminal", language=language), carrier="terminal")
    except BaseException:
        await devices.aclose()
        raise
    try:
        async with antiphon.bus.subscribe(voice_topic(session.row.key)) as events:
            await session.connect(devices)
            show("Go on, I am listening. Ctrl+C ends it; headphones keep me from hearing myself.")
            async for event in events:
                match event.name:
                    case "transcript" if event.payload["final"] and event.payload["text"]:
                        show(f"{event.payload['speaker']}: {event.payload['text']}")
                    case "error":
                        show(f"! {event.payload['message']}")
                    case "ended":
                        return
                    case _:
                        continue
    finally:
        await asyncio.shield(antiphon.voice.stop(session.row.key, person))
