"""What is said and where: channel keys, servers, channels, messages, attachments, task threads; and their stores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from antiphon.domain.errors import InvalidInput
from antiphon.domain.identity import Sender

_CHANNEL_KEY = re.compile(r"(web|api|discord|telegram):[A-Za-z0-9_.:-]{1,128}")


def check_channel_key(key: str) -> str:
    """Return `key` when it is a channel key (`kind:name`), else raise `InvalidInput` naming the rule."""
    if _CHANNEL_KEY.fullmatch(key) is None:
        raise InvalidInput(
            "A channel key is web:, api:, discord: or telegram: and 1 to 128 letters, digits or _ . : -",
            fields={"channel": "not a channel key"},
        )
    return key


def platform_of(key: str) -> str:
    """The platform that serves a channel key: `web` also serves the API's own `api:` channels."""
    kind = key.partition(":")[0]
    return "web" if kind == "api" else kind


class Author(StrEnum):
    """Who said a message."""

    PERSON = "person"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message. `size` is in bytes; `url` is where the platform keeps it, if anywhere."""

    name: str
    media_type: str
    size: int
    url: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One stored message. `interrupted` marks an answer that was stopped or talked over: `text` is what got through."""

    id: int
    channel: str
    thread: int
    author: Author
    text: str
    at: datetime
    person: int | None = None
    author_name: str = ""
    task: int | None = None
    native_id: str = ""
    reply_to: int | None = None
    interrupted: bool = False
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerRef:
    """A Discord guild or Telegram group as a platform names it."""

    platform: str
    native_id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """What a platform hands to `threads.inbox`: one thing said, once.

    `receiver` is our own account there (a bot's id; "" on the web), `native_id` the platform's or the client's id of
    the message, `edit` counts its edits. Together with platform and channel they are the dedupe key. `person` is set
    where the credential already names the person (web and API). `cursor` is the platform's position after this
    message; it commits with the rows.
    """

    platform: str
    channel: str
    native_id: str
    sender: Sender
    text: str
    at: datetime
    receiver: str = ""
    edit: int = 0
    person: int | None = None
    server: ServerRef | None = None
    channel_title: str = ""
    reply_to: str = ""
    attachments: tuple[Attachment, ...] = ()
    cursor: str = ""

    @property
    def dedupe(self) -> str:
        """The key under which this message is accepted once. For web and API the person is the receiver."""
        receiver = f"p{self.person}" if self.person is not None else self.receiver
        edit = f":edit-{self.edit}" if self.edit else ""
        return f"{self.platform}:{receiver}:{self.channel}:{self.native_id}{edit}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The durable answer to `receive`: the rows a message became. `created` is False for a repeat of the same id."""

    task: int
    message: int
    thread: int
    created: bool


class ThreadState(StrEnum):
    """A thread is active until it is closed by idleness, by hand, or because a newer one was opened."""

    ACTIVE = "active"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Thread:
    """A task thread: a bounded conversation in a channel. At most one is active per channel."""

    id: int
    channel: str
    state: ThreadState
    opened_at: datetime
    last_at: datetime
    closed_at: datetime | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """One conversation place. `owner` is the person who owns a `web:` or `api:` channel, None elsewhere."""

    id: int
    key: str
    platform: str
    title: str = ""
    owner: int | None = None
    server: int | None = None
    settings: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """A server with what is set for it. `persona` is what the agent is told about its role there."""

    id: int
    platform: str
    name: str
    persona: str = ""


@dataclass(frozen=True, slots=True)
class PlaceSettings:
    """What is set for a channel and for its server. The channel's persona comes after the server's."""

    channel_persona: str = ""
    server_persona: str = ""
    server: int | None = None


class InboxStore(Protocol):
    """Accepting what was said."""

    async def receive(self, message: InboundMessage) -> Receipt:
        """Store a message and its task, or return the earlier receipt for the same dedupe key.

        One transaction: dedupe, person, account, server and channel upserts, find or open the active thread, message,
        task, platform cursor. Raises `Conflict` when the same id comes with another text, and
        `NotFound` when a `web:`/`api:` channel belongs to another person.
        """
        ...

    async def cursor(self, platform: str, receiver: str, channel: str) -> str:
        """The platform position stored with the last accepted message, or ""."""
        ...


class ThreadStore(Protocol):
    """Reading conversations, for the brain's context and for tools."""

    async def recent(self, channel: str, *, before: int | None, limit: int) -> Sequence[Message]:
        """The latest messages of a channel, oldest first, with author, time, reply-to and attachments."""
        ...

    async def thread(self, thread: int) -> Thread:
        """One thread, or `NotFound`."""
        ...

    async def channel(self, key: str) -> Channel:
        """One channel, or `NotFound`."""
        ...

    async def close(self, thread: int) -> None:
        """Close an active thread by hand."""
        ...

    async def rename(self, channel: str, title: str) -> Channel:
        """Give a channel a title. `NotFound` if there is none."""
        ...


class PlaceStore(Protocol):
    """Settings of servers and channels."""

    async def settings_of(self, channel: str) -> PlaceSettings:
        """Those of a channel and of its server; empty ones where nothing is set or there is no such channel yet."""
        ...

    async def set_for_channel(self, channel: str, persona: str) -> PlaceSettings:
        """Set the persona of one channel ("" takes it away). `NotFound` if there is none."""
        ...

    async def set_for_server(self, server: int, persona: str) -> ServerSettings:
        """Set the persona of one server ("" takes it away). `NotFound` if there is none."""
        ...

    async def server(self, server: int) -> ServerSettings:
        """One server with its settings. `NotFound` if there is none."""
        ...
