"""The terminal's own microphone and loudspeaker, over a library that calls back from threads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from antiphon.domain.errors import Unavailable
from antiphon.voice.transports.terminal import TerminalTransport

FRAME = b"\1\0" * 320


class Sounds:
    """What is used of sounddevice, by hand."""

    def __init__(self, *, broken: bool = False) -> None:
        self.streams: list[Sounds.Stream] = []
        outer = self

        class RawInputStream(Sounds.Stream):
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                outer.streams.append(self)
                if broken:
                    raise OSError("no device")

        self.RawInputStream = self.RawOutputStream = RawInputStream

    class Stream:
        def __init__(self, *, callback: Any, **options: Any) -> None:
            self.callback, self.options = callback, options
            self.running = False

        def start(self) -> None:
            self.running = True

        def close(self) -> None:
            self.running = False

    async def call(self, number: int, sound: bytearray) -> None:
        await asyncio.to_thread(self.streams[number].callback, sound, len(sound) // 2, None, None)


async def test_it_hears_and_plays_through_the_devices() -> None:
    sounds = Sounds()
    terminal = TerminalTransport(sounds)
    await terminal.open()
    await terminal.open()
    assert [stream.options["samplerate"] for stream in sounds.streams] == [16_000, 16_000]
    await sounds.call(0, bytearray(FRAME))
    assert await terminal.receive() == FRAME
    await terminal.write(FRAME + FRAME[:320])
    given = bytearray(640)
    await sounds.call(1, given)
    assert (bytes(given), terminal.played) == (FRAME, 320)
    await sounds.call(1, given)
    assert (bytes(given), terminal.played) == (FRAME[:320] + bytes(320), 480)
    await terminal.write(FRAME)
    terminal.clear()
    await sounds.call(1, given)
    assert (bytes(given), terminal.played) == (bytes(640), 480)
    await terminal.aclose()
    await terminal.aclose()
    assert await terminal.receive() is None
    assert not any(stream.running for stream in sounds.streams)


async def test_without_a_device_it_says_so() -> None:
    with pytest.raises(Unavailable, match="no device"):
        await TerminalTransport(Sounds(broken=True)).open()
