"""Spoken sessions: rooms, what was said in them, how long each answer took. What `store/voice.py` keeps."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from antiphon.domain.conversation import Author
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.tools import ExecutionStatus

LONGEST_ROOM = 100
LONGEST_LABEL = 100
_PLAIN_ROOM = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def check_room(room: str) -> str:
    """Return `room` when it can name a room, else raise `InvalidInput`."""
    if not room.strip() or len(room) > LONGEST_ROOM or not room.isprintable():
        raise InvalidInput(
            f"A room is named by 1 to {LONGEST_ROOM} printable characters.", fields={"room": "not the name of a room"}
        )
    return room


def room_channel(room: str) -> str:
    """The channel that a room's conversation is part of: spoken turns are stored there like written ones."""
    if _PLAIN_ROOM.fullmatch(room):
        return f"web:voice:{room}"
    return f"web:voice-x:{hashlib.sha256(room.encode()).hexdigest()}"


def spoken_message(session: str) -> str:
    """How the platform's ids begin of what is said in a session: by them its tasks, and their tools, are found."""
    return f"voice-{session}-"


def recording_files(data_dir: Path, session: str) -> tuple[Path, Path]:
    """Where the recording of a session lies, and where it is written until it is whole. `NotFound` for no key."""
    if not session.isalnum():
        raise NotFound("There is no such recording.")
    folder = data_dir / "recordings"
    return folder / f"{session}.wav", folder / f"{session}.part"


class EndReason(StrEnum):
    """Why a spoken session is over."""

    STOPPED = "stopped"
    """Somebody ended it."""
    LEFT = "left"
    """The connection went and did not come back."""
    IDLE = "idle"
    """Nobody spoke for long."""
    REPLACED = "replaced"
    """Its owner began another one in the same room."""
    REVOKED = "revoked"
    """The credential it was started with ended."""
    FAILED = "failed"
    """Something broke that it cannot go on without."""
    SHUTDOWN = "shutdown"
    """The program was stopped."""
    CRASHED = "crashed"
    """The process that carried it ended without a word; found by another one, or at the next start."""


@dataclass(frozen=True, slots=True)
class NewVoiceSession:
    """A session to be begun. `identity` is what the person is called there: a label, never authority.

    `owner` is the process that carries it, "" where there is only one; `lease_seconds` is how long that process is
    taken to live from now on.
    """

    key: str
    room: str
    person: int
    identity: str
    channel: str
    transport: str
    language: str = ""
    voice: str = ""
    system_prompt: str = ""
    owner: str = ""
    lease_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class VoiceSession:
    """A spoken session as it is kept. `key` is its public id; `ended_at` is None while it goes on.

    `owner` is the process that carries it, or did at last.
    """

    key: str
    room: str
    person: int
    identity: str
    channel: str
    transport: str
    language: str
    voice: str
    system_prompt: str
    started_at: datetime
    ended_at: datetime | None = None
    reason: EndReason | None = None
    recording: bool = False
    """Whether there is a recording to listen to."""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that was begun, and the keys of those that went on in its room until then: they are to end."""

    session: VoiceSession
    earlier: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of speech, once it is final. `number` counts from 1 in its session.

    `text` is what was heard: of an interrupted answer only the words that were played, and `unheard` the others.
    """

    number: int
    author: Author
    speaker: str
    text: str
    at: datetime
    interrupted: bool = False
    unheard: str = ""
    heard_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """How long one spoken turn took from the person's last word to the agent's first sound, in parts of seconds.

    The parts follow each other; their sum is what the person waited. What was not measured is None.
    """

    turn: int
    speech_end: float | None = None
    """From the last sound of the person until the silence was long enough."""
    endpoint: float | None = None
    """Until it was decided that they are done."""
    transcript: float | None = None
    """Until the words were there."""
    first_token: float | None = None
    """Until the model began to answer."""
    first_audio: float | None = None
    """Until the first sound of the answer went out."""
    stop: float | None = None
    """If it was interrupted: from the first sound of the interruption until the agent was silent."""

    @property
    def parts(self) -> dict[str, float | None]:
        """The parts by name, as they are stored and shown."""
        return {name: getattr(self, name) for name in PARTS}


PARTS = ("speech_end", "endpoint", "transcript", "first_token", "first_audio", "stop")


@dataclass(frozen=True, slots=True)
class SpokenTool:
    """A tool that ran for something that was said in a session. `seconds` is how long it took, 0 while it runs."""

    execution: int
    tool: str
    status: ExecutionStatus
    at: datetime
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class VoiceRecord:
    """A session with everything that was said in it, and the tools that ran for it, each in order."""

    session: VoiceSession
    segments: tuple[Segment, ...]
    turns: tuple[TurnTimes, ...]
    tools: tuple[SpokenTool, ...] = ()


class VoiceStore(Protocol):
    """Spoken sessions with their transcripts. A room belongs to whoever used its name first.

    Where several processes carry sessions, each has a name and a lease; a session whose owner's lease ran out is over.
    """

    async def claim_room(self, room: str, person: int) -> None:
        """Make a room a person's own, if it is nobody's. `NotFound` when it is somebody else's."""
        ...

    async def begin(self, session: NewVoiceSession) -> Begun:
        """Store the beginning of a session, claiming its room. `NotFound` when that is somebody else's.

        Of two that begin in one room at once, one is told of the other.
        """
        ...

    async def get(self, key: str, person: int) -> VoiceSession:
        """A person's session. `NotFound`."""
        ...

    async def record(self, key: str, person: int) -> VoiceRecord:
        """The same with everything that was said. `NotFound`."""
        ...

    async def segments(self, key: str, after: int) -> Sequence[Segment]:
        """The segments of a session with a higher number than `after`, in order."""
        ...

    async def add_segment(self, key: str, segment: Segment) -> None:
        """Store a segment that is final; the same number again replaces it. Nothing happens once it was deleted."""
        ...

    async def add_turn(self, key: str, times: TurnTimes) -> None:
        """Store how long a turn took; the same turn again replaces it. Nothing happens once it was deleted."""
        ...

    async def end(self, key: str, reason: EndReason, *, recording: bool) -> None:
        """Store that a session is over. The first reason stands; that there is a recording may be known later."""
        ...

    async def keep(self, owner: str, seconds: float) -> Sequence[str]:
        """Renew the lease of a process; returns the keys of the sessions that are its own and go on."""
        ...

    async def leave(self, owner: str) -> None:
        """Give the lease of a process back: it carries nothing any more."""
        ...

    async def hand(self, key: str, giver: str, taker: str, *, recording: bool) -> bool:
        """Give a session that goes on to another process; whether it was the giver's to give."""
        ...

    async def end_forgotten(self, *, owners_are_gone: bool = False) -> Sequence[str]:
        """End the sessions of processes that died; returns their keys. With `owners_are_gone` no process lives that
        carried anything until now."""
        ...

    async def known(self, keys: Collection[str]) -> Collection[str]:
        """Those of the keys that name a session, over or not."""
        ...

    async def delete(self, key: str, person: int) -> None:
        """Delete a session with its transcript. `NotFound`. What was agreed in it stays in its channel."""
        ...
