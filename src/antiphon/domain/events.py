"""What travels on the bus: topics and the envelope. Payloads are plain JSON values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

RESET = "reset"


def turn_topic(channel: str) -> str:
    """The topic on which the turn events of one channel are published."""
    return f"turn.{channel}"


TASK_CANCEL = "task.cancel"
"""Payload `{"task": str}`: a person asked to stop a running task."""
KEY_REVOKED = "key.revoked"
"""Payload `{"key": str}`: caches must forget this key now."""
SESSION_ENDED = "session.ended"
"""Payload `{"session": str}` (a digest, never the session key): streams opened with that sign-in must end now."""


@dataclass(frozen=True, slots=True)
class BusEvent:
    """One event. `id` is an integer that only grows within its topic, across restarts too.

    `name` is the event's type (`text.delta`, `reply`, ...). The name `reset` is made by the bus itself: the listener
    asked to resume at an id that is no longer kept and must read the durable state again.
    """

    topic: str
    id: int
    name: str
    payload: dict[str, object]
    at: datetime
