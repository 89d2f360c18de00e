"""What travels on the bus: every topic, every event with the fields of its payload, and the envelope.

Declared here once. docs/bus.md says the same in words, and a test compares the two; another test holds what is really
published against `problems_of`. Payloads are plain JSON values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

RESET = "reset"


def turn_topic(channel: str) -> str:
    """The topic on which the turn events of one channel are published."""
    return f"turn.{channel}"


TASK_CANCEL = "task.cancel"
"""A person asked to stop a running task."""
KEY_REVOKED = "key.revoked"
"""Caches must forget this key now."""
SESSION_ENDED = "session.ended"
"""Streams opened with that sign-in must end now."""
SETTINGS_CHANGED = "settings.changed"
"""Every process must read its settings again."""


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


TEXT, WHOLE, NUMBER, YES_NO, TEXT_OR_NULL = "text", "whole number", "number", "true or false", "text or null"


@dataclass(frozen=True, slots=True)
class EventShape:
    """One event of a topic: its name, what it means, and its payload's fields with the kind of each value."""

    name: str
    meaning: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicShape:
    """A topic. `name` ends in `<...>` where each object has its own. `common` fields are in every payload."""

    name: str
    meaning: str
    events: tuple[EventShape, ...]
    common: Mapping[str, str]

    def holds(self, topic: str) -> bool:
        """Whether `topic` is this one or one of its kind."""
        head, bracket, _ = self.name.partition("<")
        return topic.startswith(head) and len(topic) > len(head) if bracket else topic == self.name


_EXECUTION = {"execution": TEXT, "tool": TEXT, "status": TEXT, "summary": TEXT}

TOPICS: tuple[TopicShape, ...] = (
    TopicShape(
        "turn.<channel>",
        "What happens in one conversation while a task is worked on. The same events are streamed by the API.",
        (
            EventShape("turn.started", "A turn began; with a higher attempt, forget the deltas of earlier ones.", {}),
            EventShape("text.delta", "More of the answer.", {"text": TEXT}),
            EventShape("tool.started", "A tool call was recorded and begins.", _EXECUTION),
            EventShape("tool.finished", "It ended.", {**_EXECUTION, "seconds": NUMBER}),
            EventShape(
                "approval.needed",
                "A human is asked.",
                {"approval": TEXT, "tool": TEXT, "summary": TEXT, "expires": TEXT},
            ),
            EventShape("approval.decided", "It was answered.", {"approval": TEXT, "state": TEXT}),
            EventShape(
                "memory.proposed",
                "The agent asks whether it may remember this.",
                {"proposal": TEXT, "text": TEXT},
            ),
            EventShape(
                "reply",
                "Something was delivered; it may come twice, told by `reply` and `message`.",
                {"reply": TEXT, "message": TEXT_OR_NULL, "kind": TEXT, "text": TEXT},
            ),
            EventShape(
                "turn.failed",
                "The turn failed; the code is `cancelled` when a person stopped it.",
                {"code": TEXT, "message": TEXT, "retrying": YES_NO},
            ),
        ),
        {"task": TEXT, "turn": TEXT, "attempt": WHOLE},
    ),
    TopicShape(
        TASK_CANCEL,
        "Between processes: stop what runs.",
        (EventShape("cancel", "A person asked to stop this running task.", {"task": TEXT}),),
        {},
    ),
    TopicShape(
        KEY_REVOKED,
        "Between processes: a credential is no longer good.",
        (EventShape(KEY_REVOKED, "Caches forget this key, its streams end.", {"key": TEXT}),),
        {},
    ),
    TopicShape(
        SESSION_ENDED,
        "Between processes: a sign-in has ended.",
        (EventShape(SESSION_ENDED, "Streams of this session end. A digest, never its key.", {"session": TEXT}),),
        {},
    ),
    TopicShape(
        SETTINGS_CHANGED,
        "Between processes: settings were written.",
        (EventShape(SETTINGS_CHANGED, "Every process reads its settings again.", {}),),
        {},
    ),
)
"""Every topic there is. `reset` comes on any of them, with an empty payload."""


def problems_of(topic: str, name: str, payload: Mapping[str, object]) -> list[str]:
    """What of an event is not as declared; empty when all of it is."""
    if name == RESET:
        return [] if not payload else ["reset has an empty payload"]
    shape = next((shape for shape in TOPICS if shape.holds(topic)), None)
    if shape is None:
        return [f"the topic {topic} is not declared"]
    event = next((event for event in shape.events if event.name == name), None)
    if event is None:
        return [f"{name} is not declared for {shape.name}"]
    fields = {**shape.common, **event.fields}
    problems = [f"{name}: {field} is not declared" for field in payload if field not in fields]
    for field, kind in fields.items():
        if field not in payload:
            problems.append(f"{name}: {field} is missing")
        elif not _is(kind, payload[field]):
            problems.append(f"{name}: {field} is not {kind}")
    return problems


def _is(kind: str, value: object) -> bool:
    match kind:
        case "whole number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "true or false":
            return isinstance(value, bool)
        case "text or null":
            return value is None or isinstance(value, str)
        case _:
            return isinstance(value, str)
