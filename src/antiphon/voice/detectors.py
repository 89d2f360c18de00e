"""What decides that a person is done: silence alone, or LiveKit's audio model. Chosen by the settings."""

from __future__ import annotations

from typing import Any


def make_detector(name: str) -> Any:
    """A detector as `turn_taking` takes it, for one session."""
    if name == "livekit":
        from livekit.agents import inference

        return inference.TurnDetector(version="v1-mini")
    return "vad"
