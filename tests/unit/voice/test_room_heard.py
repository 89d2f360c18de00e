"""What a page in a room has heard: its count and ours meet at the first loud sample, whatever was silent before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from antiphon.voice.transports.room_early import GAP_SECONDS, MOST_SECONDS, EarlySound
from antiphon.voice.transports.room_heard import PAUSE_SECONDS, RoomHeard
from antiphon.voice.transports.transport import FRAME_SAMPLES, RATE

LATE = 0.2
"""How long sound is on its way to the page of these tests."""
QUIET = b"\0\0" * FRAME_SAMPLES
VOICE = (np.ones(FRAME_SAMPLES, "<i2") * 9000).tobytes()


class Room:
    """Writes sound at the pace of hearing; the page of a listener counts what comes out `LATE` seconds later."""

    def __init__(self, *, page: bool = True) -> None:
        self.now = 100.0
        self.heard = RoomHeard(on_the_way=0.1, clock=lambda: self.now)
        if page:
            self.heard.hello()
        self.first_loud: float | None = None  # when the first loud sample of the run was sent

    def write(self, frame: bytes = VOICE, *, times: int = 1) -> None:
        for _ in range(times):
            if self.heard.write(frame):
                self.first_loud = None
            if self.first_loud is None and frame != QUIET:
                self.first_loud = self.now
            self.now += FRAME_SAMPLES / RATE

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def report(self) -> int:
        """As the page would; returns what counts as heard then."""
        if self.first_loud is not None and self.now >= self.first_loud + LATE:
            self.heard.report(self.heard.run, round((self.now - self.first_loud - LATE) * RATE))
        return self.heard.played


def test_silence_at_the_beginning_is_no_sound_that_was_missed() -> None:
    room = Room()
    room.write(QUIET, times=10)
    room.write(times=40)
    assert abs(room.report() - (1.0 - LATE) * RATE) <= FRAME_SAMPLES
    room.wait(1)
    assert room.report() == RATE


def test_a_gap_in_which_nothing_was_sent_is_not_counted_as_speech() -> None:
    room = Room()
    room.write(times=25)
    room.wait(0.25)
    room.write(times=25)
    assert abs(room.report() - (1.0 - LATE) * RATE) <= FRAME_SAMPLES
    room.wait(1)
    assert room.report() == RATE


def test_after_a_long_pause_both_sides_begin_to_count_anew() -> None:
    room = Room()
    room.write(times=25)
    room.wait(PAUSE_SECONDS + 0.1)
    run = room.heard.run
    room.write(times=25)
    assert room.heard.run == run + 1
    assert abs(room.report() - (1.0 - LATE) * RATE) <= FRAME_SAMPLES
    room.heard.report(run, 10**9)
    assert room.heard.played < RATE, "an earlier run is over"


def test_what_an_interruption_cut_off_is_not_heard_but_for_what_the_page_still_says() -> None:
    room = Room()
    room.write(times=50)
    before = room.report()
    room.heard.clear()
    room.wait(0.05)
    assert room.heard.played == before
    assert room.report() == before + round(0.05 * RATE)
    room.wait(0.3)
    run, heard = room.heard.run, room.heard.played
    room.write(times=50)
    assert room.heard.run == run + 1
    room.wait(1)
    assert room.report() == heard + RATE


def test_who_never_said_hello_hears_everything_a_little_later() -> None:
    room = Room(page=False)
    room.write(times=50)
    room.heard.report(1, 5)
    assert room.heard.played == round(0.9 * RATE)
    room.heard.clear()
    room.wait(1)
    assert room.heard.played == round(0.9 * RATE)


def test_garbage_of_a_page_changes_nothing() -> None:
    room = Room()
    room.write(times=50)
    for run, samples in ((1, -1), (1, True), (1, "9"), (1, 2.5), (2, 9), (None, 9), ([], {})):
        room.heard.report(run, samples)
    assert room.heard.played == 0
    room.heard.report(room.heard.run, 10**12)
    assert room.heard.played == RATE, "no more than there was"


steps = st.lists(
    st.tuples(st.sampled_from(["voice", "quiet", "wait", "clear", "report"]), st.integers(1, 40)), max_size=60
)


@given(steps=steps, page=st.booleans())
def test_the_count_never_goes_back_and_never_beyond_what_was_written(steps: list[tuple[str, int]], page: bool) -> None:
    room, written, last = Room(page=page), 0, 0
    for step, count in steps:
        match step:
            case "voice" | "quiet":
                room.write(VOICE if step == "voice" else QUIET, times=count)
                written += count * FRAME_SAMPLES
            case "wait":
                room.wait(count * 0.02)
            case "clear":
                room.heard.clear()
            case _:
                room.report()
        assert last <= room.heard.played <= written
        last = room.heard.played


def early() -> tuple[EarlySound, list[float]]:
    now = [50.0]
    return EarlySound(clock=lambda: now[0]), now


def test_the_track_takes_over_in_a_pause_of_speech() -> None:
    sound, now = early()
    assert not sound.carried(VOICE)
    sound.came(VOICE * 50)  # what was kept, at once
    sound.came(QUIET * 20)
    assert not sound.carried(QUIET), "the words after that pause are still on their way"
    sound.came(VOICE * 5)
    sound.caught_up()
    taken = []
    for number in range(30):
        now[0] += 0.02
        sound.came(VOICE if number < 10 else QUIET)
        taken += sound.carried(VOICE if number < 16 else QUIET)  # the track is 120 ms behind
        if sound.over:
            break
    assert taken == [QUIET]
    assert now[0] > 50.3


def test_without_anything_early_not_a_piece_of_the_track_is_lost() -> None:
    sound, now = early()
    taken: list[bytes] = []
    while not sound.over:
        now[0] += 0.02
        taken += sound.carried(VOICE)
    assert len(taken) * 0.02 >= GAP_SECONDS


def test_a_page_that_stops_or_a_noise_that_never_ends_does_not_keep_the_track_waiting() -> None:
    sound, now = early()
    sound.came(VOICE)
    assert not sound.carried(VOICE)
    now[0] += GAP_SECONDS + 0.1
    assert sound.carried(VOICE) == (VOICE,)
    sound, now = early()
    began = now[0]
    while not sound.over:
        now[0] += 0.02
        sound.came(VOICE)
        sound.carried(VOICE)
    assert now[0] - began < MOST_SECONDS + 1
