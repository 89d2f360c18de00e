"""How long a person waited, and for what: the moments of one spoken turn, and the parts between them."""

from __future__ import annotations

from dataclasses import replace

from antiphon.domain.voice import TurnTimes
from antiphon.telemetry import metrics

_ORDER = ("speech_end", "transcript", "endpoint", "first_token", "first_audio")
"""Moments in the order in which they usually come. One that came early (an answer prepared ahead) cost nothing."""


class Moments:
    """The moments of one turn, in seconds of one clock. `last_sound` is when the person really fell silent."""

    def __init__(self, last_sound: float) -> None:
        self.last_sound = last_sound
        self.at: dict[str, float] = {}
        self.stop: float | None = None

    def note(self, name: str, now: float) -> None:
        """A moment came. The first one of its kind counts, except for the person's last word and its transcript."""
        if name in ("speech_end", "transcript", "endpoint"):
            self.at[name] = now
        else:
            self.at.setdefault(name, now)

    def resumed(self, last_sound: float) -> None:
        """The person went on after all."""
        self.last_sound = last_sound

    def times(self, turn: int) -> TurnTimes:
        """The parts. Each begins where the one before it ended."""
        before = self.last_sound
        parts: dict[str, float] = {}
        for name in _ORDER:
            if (at := self.at.get(name)) is not None:
                parts[name] = round(max(0.0, at - before), 4)
                before = max(before, at)
        return replace(TurnTimes(turn, **parts), stop=None if self.stop is None else round(self.stop, 4))


def observe(times: TurnTimes) -> None:
    """Count the parts of a turn."""
    for name, seconds in times.parts.items():
        if seconds is not None:
            metrics.VOICE_LATENCY.labels(part=name).observe(seconds)
