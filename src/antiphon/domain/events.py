"""What travels on the bus: every topic, every event with the fields of its payload, the envelope, and the bus.

Declared here once. docs/bus.md says the same in words, and a test compares the two; another test holds what is really
published against `problems_of`. Payloads are plain JSON values.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from antiphon.domain.health import PartHealth

RESET = "reset"


def turn_topic(channel: str) -> str:
    """The topic on which the turn events of one channel are published."""
    return f"turn.{channel}"


def voice_topic(session: str) -> str:
    """The topic on which the events of one spoken session are published."""
    return f"voice.{session}"


TASK_CANCEL = "task.cancel"
"""A person asked to stop a running task."""
KEY_REVOKED = "key.revoked"
"""Caches must forget this key now."""
SESSION_ENDED = "session.ended"
"""Streams opened with that sign-in must end now."""
SETTINGS_CHANGED = "settings.changed"
"""Every process must read its settings again."""
DISCORD_GATEWAY = "discord.gateway"
"""What the gateway of Discord told us."""
DISCORD_STATE = "discord.state"
"""The connection of one shard."""
DISCORD_SERVER = "discord.server"
"""The facts of one server."""
DISCORD_MESSAGE = "discord.message"
"""Messages there, counted."""
DISCORD_VOICE = "discord.voice"
"""Who is in a voice channel with the agent."""
DISCORD_API = "discord.api"
"""Requests to Discord's REST API."""
COMMAND_USED = "command.used"
"""A command was used on some platform."""
SPOKEN = "spoken"
"""What one process wants of a spoken session that another one carries."""
PANEL = "panel"
"""A panel of the dashboard was stored anew."""


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


class Bus(Protocol):
    """Publish/subscribe of events. Keeps the last 1000 events or 10 minutes of each topic for resuming."""

    async def publish(self, topic: str, name: str, payload: Mapping[str, object]) -> int:
        """Publish and return the event's id. Never blocks on a slow listener; never raises when the far side is gone:
        events are hints, the rows are the truth."""
        ...

    def subscribe(self, *topics: str, after: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[BusEvent]]:
        """Listen. With `after` first replay what came later, or yield one `reset` event when that is not kept.

        A listener that falls behind its bounded queue gets one `reset` and goes on with the newest events.
        """
        ...

    async def health(self) -> PartHealth:
        """Whether other processes can be reached."""
        ...


TEXT, WHOLE, NUMBER, YES_NO, TEXT_OR_NULL = "text", "whole number", "number", "true or false", "text or null"
WHOLE_OR_NULL, NUMBER_OR_NULL = "whole number or null", "number or null"
TEXTS, OBJECTS = "list of texts", "list of objects"


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
        "voice.<session>",
        "What happens in one spoken session. The API streams the same events at `/ws/transcript/<session>`.",
        (
            EventShape(
                "transcript",
                "A stretch of speech as far as it is known; `role` is user or agent. Once `final`, of an answer that "
                "was interrupted `text` is what was heard and `unheard` the rest.",
                {
                    "segment": WHOLE,
                    "role": TEXT,
                    "speaker": TEXT,
                    "text": TEXT,
                    "final": YES_NO,
                    "at": TEXT,
                    "interrupted": YES_NO,
                    "unheard": TEXT,
                    "heard_seconds": NUMBER_OR_NULL,
                },
            ),
            EventShape(
                "speech",
                "`who` (user or agent) began or stopped to make a sound; `state` is started or stopped.",
                {"who": TEXT, "state": TEXT},
            ),
            EventShape(
                "state", "The agent is listening, thinking, speaking or waiting (for an approval).", {"state": TEXT}
            ),
            EventShape(
                "interrupted",
                "An answer was interrupted; its segment with what was heard.",
                {"segment": WHOLE, "text": TEXT, "unheard": TEXT, "heard_seconds": NUMBER_OR_NULL},
            ),
            EventShape(
                "tool",
                "A tool call; `status` is running, done, failed, refused or unknown.",
                {"execution": TEXT, "tool": TEXT, "status": TEXT, "summary": TEXT, "seconds": NUMBER_OR_NULL},
            ),
            EventShape("approval", "A human is asked.", {"approval": TEXT, "summary": TEXT, "expires": TEXT}),
            EventShape(
                "latency",
                "How long a turn took, in parts of seconds that follow each other.",
                {
                    "turn": WHOLE,
                    "speech_end": NUMBER_OR_NULL,
                    "transcript": NUMBER_OR_NULL,
                    "endpoint": NUMBER_OR_NULL,
                    "first_token": NUMBER_OR_NULL,
                    "first_audio": NUMBER_OR_NULL,
                    "stop": NUMBER_OR_NULL,
                },
            ),
            EventShape("error", "Something failed; the session goes on.", {"code": TEXT, "message": TEXT}),
            EventShape("ended", "The session is over; no event follows.", {"reason": TEXT}),
        ),
        {"id": WHOLE},
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
    TopicShape(
        DISCORD_GATEWAY,
        "What Discord's gateway told us: labels and ids, never what was said. A field is empty where it says nothing.",
        (
            EventShape(
                "gateway",
                "A dispatch, named in `event` as Discord names it (`GUILD_MEMBER_ADD`).",
                {
                    "event": TEXT,
                    "server": TEXT,
                    "channel": TEXT,
                    "place": TEXT,
                    "person": TEXT,
                    "name": TEXT,
                    "detail": TEXT,
                },
            ),
        ),
        {},
    ),
    TopicShape(
        DISCORD_STATE,
        "The connection to Discord's gateway; `state` is connecting, ready, resumed or closed.",
        (
            EventShape(
                "state",
                "A shard's state or latency changed.",
                {"shard": WHOLE, "state": TEXT, "latency_ms": NUMBER_OR_NULL, "guilds": WHOLE},
            ),
        ),
        {},
    ),
    TopicShape(
        DISCORD_SERVER,
        "The facts of one Discord server, whole, when they changed.",
        (
            EventShape(
                "server",
                "A server's facts.",
                {
                    "server": TEXT,
                    "name": TEXT,
                    "icon": TEXT,
                    "owner": TEXT,
                    "boost_level": WHOLE,
                    "boosts": WHOLE,
                    "features": TEXTS,
                    "members": WHOLE,
                    "online": WHOLE_OR_NULL,
                    "channels": WHOLE,
                    "roles": WHOLE,
                },
            ),
        ),
        {},
    ),
    TopicShape(
        DISCORD_MESSAGE,
        "One for each message on Discord, for counting; never what was said.",
        (
            EventShape(
                "message",
                "`direction` is in or out, `kind` is message, edit, delete or command.",
                {"server": TEXT, "channel": TEXT, "direction": TEXT, "kind": TEXT, "command": TEXT},
            ),
        ),
        {},
    ),
    TopicShape(
        DISCORD_VOICE,
        "Who is in a voice channel with the agent, whole, when it changed.",
        (
            EventShape(
                "voice",
                "`state` is idle, connecting, connected or reconnecting. Each of `speakers` has `ssrc`, `user`, "
                "`name`, `speaking`, `speaking_ms`, and may have `muted`, `lost`, `level`, `since`, `agent`; null is "
                "not measured.",
                {
                    "server": TEXT,
                    "channel": TEXT,
                    "place": TEXT,
                    "state": TEXT,
                    "since": TEXT_OR_NULL,
                    "speakers": OBJECTS,
                },
            ),
        ),
        {},
    ),
    TopicShape(
        DISCORD_API,
        "Requests to Discord's REST API and what they left of its limits.",
        (
            EventShape(
                "call",
                "A request was answered; `route` is its pattern, without ids.",
                {
                    "route": TEXT,
                    "status": WHOLE,
                    "remaining": WHOLE_OR_NULL,
                    "limit": WHOLE_OR_NULL,
                    "reset_after": NUMBER_OR_NULL,
                    "global": YES_NO,
                },
            ),
        ),
        {},
    ),
    TopicShape(
        COMMAND_USED,
        "Commands of people, on any platform.",
        (
            EventShape(
                COMMAND_USED,
                "A command was answered, well or not.",
                {"platform": TEXT, "server": TEXT, "name": TEXT, "ok": YES_NO, "ms": NUMBER},
            ),
        ),
        {},
    ),
    TopicShape(
        SPOKEN,
        "Between processes: about a spoken session, for the one that carries it.",
        (
            EventShape("end", "End it.", {"session": TEXT, "reason": TEXT}),
            EventShape(
                "move",
                "Let the process `to` carry it on: its person's sound arrives there.",
                {"session": TEXT, "to": TEXT},
            ),
            EventShape("tell", "Tell its state again, for somebody who has just begun to listen.", {"session": TEXT}),
            EventShape("deleted", "It was deleted: so is what another machine has of it.", {"session": TEXT}),
        ),
        {},
    ),
    TopicShape(
        PANEL,
        "For other services: read the hash `antiphon:1:panel:<name>` again.",
        (
            EventShape(
                "panel.changed", "A panel was stored anew; `changed` is its time.", {"panel": TEXT, "changed": TEXT}
            ),
        ),
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
        case "whole number or null" | "number or null":
            return value is None or _is(kind.removesuffix(" or null"), value)
        case "list of texts":
            return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[object]", value))
        case "list of objects":
            return isinstance(value, list) and all(isinstance(one, dict) for one in cast("list[object]", value))
        case _:
            return isinstance(value, str)
