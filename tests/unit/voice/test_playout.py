"""Sound goes out at the pace of hearing, stops at once, and goes on with the first sample that was not heard."""

from __future__ import annotations

import asyncio

import numpy as np

from antiphon.voice.playout import LEAD_SECONDS, Playout
from antiphon.voice.spoken import Spoken
from antiphon.voice.transports.transport import RATE
from tests.fakes.virtual_time import run_virtually


class Line:
    """A line whose ear plays 40 ms after it was given something, by the loop's clock."""

    LAG = 0.04

    def __init__(self) -> None:
        self.written = bytearray()
        self.dropped = 0
        self.most_ahead = 0.0
        self.open = True
        self._until = 0.0
        self._count = 0
        self._loop = asyncio.get_running_loop()

    @property
    def played(self) -> int:
        ahead = max(0.0, self._until - self._loop.time())
        return self._count - round(ahead * RATE)

    async def write(self, pcm: bytes) -> None:
        self._until = max(self._until, self._loop.time() + self.LAG) + len(pcm) / 2 / RATE
        self._count += len(pcm) // 2
        self.written += pcm
        self.most_ahead = max(self.most_ahead, self._until - self._loop.time() - self.LAG)

    def clear(self) -> None:
        ahead = self._count - self.played
        self.dropped += ahead
        if ahead:
            del self.written[-2 * ahead :]
        self._count -= ahead
        self._until = 0.0


class Stage:
    """A playout with what it reported."""

    def __init__(self) -> None:
        self.line = Line()
        self.started: list[Spoken] = []
        self.finished: list[Spoken] = []
        self.playout = Playout(self.line, started=self.started.append, finished=self.finished.append)

    def another_line(self) -> None:
        """The same object, counting from the beginning."""
        vars(self.line).update(vars(Line()))

    async def ends(self, number: int) -> None:
        """Wait until so many answers are finished."""
        async with asyncio.timeout(60):
            while len(self.finished) < number:  # noqa: ASYNC110 - what is tested has no event for it
                await asyncio.sleep(0.01)

    async def give(self, seconds: float) -> Spoken:
        """An answer of so many seconds, every sample of which is its own number."""
        spoken = Spoken()
        spoken.text = "words"
        piece = spoken.begin(0, "words")
        sound = (np.arange(round(seconds * RATE)) % 30_000).astype("<i2").tobytes()
        spoken.sounded(len(sound) // 2)
        piece.end = spoken.samples
        spoken.complete = True
        for at in range(0, len(sound), 6400):
            await self.playout.push(sound[at : at + 6400], spoken)
        self.playout.flush()
        return spoken


def test_it_plays_in_real_time_and_a_little_ahead() -> None:
    async def play() -> None:
        stage = Stage()
        loop = asyncio.get_running_loop()
        began = loop.time()
        spoken = await stage.give(2.0)
        await stage.ends(1)
        assert 2.0 <= loop.time() - began < 2.2
        assert stage.line.most_ahead <= LEAD_SECONDS + 0.021
        assert (stage.started, stage.finished) == ([spoken], [spoken])
        assert (spoken.heard_samples, spoken.interrupted) == (2 * RATE, False)
        await stage.playout.aclose()

    run_virtually(play())


def test_an_interruption_is_obeyed_at_once_and_says_what_was_heard() -> None:
    async def play() -> None:
        stage = Stage()
        spoken = await stage.give(3.0)
        await asyncio.sleep(1.0)
        stage.playout.clear()
        stage.playout.clear()
        await asyncio.sleep(0.2)
        assert stage.finished == [spoken]
        assert spoken.interrupted
        assert abs(spoken.heard_samples / RATE - 0.96) < 0.06
        assert len(stage.line.written) // 2 == stage.line.played
        await asyncio.sleep(2)
        assert len(stage.line.written) // 2 == stage.line.played  # not a sample more
        await stage.playout.aclose()

    run_virtually(play())


def test_a_pause_loses_no_sample_and_says_none_twice() -> None:
    async def play() -> None:
        stage = Stage()
        spoken = await stage.give(2.0)
        await asyncio.sleep(0.7)
        for _ in range(3):
            stage.playout.pause()
        assert stage.line.dropped > 0
        at = stage.line.played
        await asyncio.sleep(1.5)
        assert stage.line.played == at
        for _ in range(3):
            stage.playout.resume()
        await stage.ends(1)
        heard = np.frombuffer(bytes(stage.line.written), "<i2")[: 2 * RATE]
        assert (heard == np.arange(2 * RATE) % 30_000).all()
        assert spoken.heard_samples == 2 * RATE
        await stage.playout.aclose()

    run_virtually(play())


def test_a_pause_before_the_first_sound_holds_it() -> None:
    async def play() -> None:
        stage = Stage()
        stage.playout.pause()
        await stage.give(0.5)
        await asyncio.sleep(1)
        assert stage.started == []
        stage.playout.resume()
        await stage.ends(1)
        assert not stage.finished[0].interrupted
        await stage.playout.aclose()

    run_virtually(play())


def test_answers_follow_each_other_and_long_ones_wait_outside() -> None:
    async def play() -> None:
        stage = Stage()
        loop = asyncio.get_running_loop()
        first = await stage.give(8.0)  # waits until no more than four seconds are left
        assert loop.time() > 3.5
        second = await stage.give(0.4)
        await stage.ends(2)
        assert stage.finished == [first, second]
        await stage.playout.aclose()

    run_virtually(play())


def test_who_lost_the_line_goes_on_with_the_next_one() -> None:
    async def play() -> None:
        stage = Stage()
        spoken = await stage.give(2.0)
        await asyncio.sleep(0.8)
        stage.line.open = False
        stage.playout.lost()
        await asyncio.sleep(3)
        assert stage.finished == []
        heard = spoken.heard_samples
        assert 0.5 * RATE < heard < RATE
        stage.another_line()
        stage.playout.reconnected()
        await stage.ends(1)
        assert len(stage.line.written) // 2 >= 2 * RATE - heard
        assert spoken.heard_samples == 2 * RATE
        await stage.playout.aclose()

    run_virtually(play())


def test_closing_ends_what_is_being_said() -> None:
    async def play() -> None:
        stage = Stage()
        spoken = await stage.give(2.0)
        await asyncio.sleep(0.5)
        await stage.playout.aclose()
        await stage.playout.aclose()
        assert stage.finished == [spoken]
        assert spoken.interrupted

    run_virtually(play())


def test_a_far_side_that_stopped_playing_heard_no_more_than_it_says() -> None:
    async def play() -> None:
        stage = Stage()

        class Suspended(Line):
            """A page that went into the background after a second."""

            @property
            def played(self) -> int:
                return min(super().played, RATE)

        stage.line.__class__ = Suspended
        spoken = await stage.give(3.0)
        await stage.ends(1)
        assert (spoken.heard_samples, spoken.interrupted) == (RATE, True)
        assert stage.line.dropped, "nor is it heard when the page comes back"
        await stage.playout.aclose()

    run_virtually(play())
