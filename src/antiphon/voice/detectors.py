"""What decides that a person is done: silence alone, LiveKit's audio model, or smart-turn. Chosen by the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def make_detector(name: str, models: Path) -> Any:
    """A detector as `turn_taking` takes it, for one session. Raises `Unavailable` with what is missing."""
    if name == "livekit":
        from livekit.agents import inference

        return inference.TurnDetector(version="v1-mini")
    if name == "smart-turn":
        from antiphon.voice.smart_turn import SmartTurn

        return SmartTurn.shared(models)
    return "vad"
