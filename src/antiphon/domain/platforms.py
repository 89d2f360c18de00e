"""Places where people are: how replies are delivered there, and what those with servers, accounts and gateways need.

`platforms/` implements `Platform`; `store/platforms.py` and `store/leases.py` implement the stores, which
`platforms/discord` uses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from antiphon.domain.attachments import StoredFile
from antiphon.domain.conversation import ServerRef
from antiphon.domain.identity import Sender
from antiphon.domain.replies import Delivery

_ID = re.compile(r"[0-9]{1,20}")
_PREFIX_CHARS = 8
_MOST_LISTED = 200


def check_ids(values: Sequence[str]) -> tuple[str, ...]:
    """Accept ids of channels or accounts as platforms write them. `ValueError` names the first that is none."""
    for value in values:
        if _ID.fullmatch(value) is None:
            raise ValueError(f"{value[:30]!r} is not an id: 1 to 20 digits (in Discord: Copy ID, in developer mode)")
    if len(values) > _MOST_LISTED:
        raise ValueError(f"holds more than {_MOST_LISTED} ids")
    return tuple(dict.fromkeys(values))


def check_prefix(value: str) -> str:
    """Accept a prefix: short, printable, without spaces; "" turns it off."""
    if len(value) > _PREFIX_CHARS or not value.isprintable() or " " in value:
        raise ValueError(f"is not a prefix: up to {_PREFIX_CHARS} printable characters without spaces")
    return value


def check_names(values: Sequence[str]) -> tuple[str, ...]:
    """Accept names the agent is called by: words of letters and digits."""
    for value in values:
        if not 2 <= len(value) <= 32 or not value.replace(" ", "").replace("-", "").isalnum():
            raise ValueError(f"{value[:40]!r} is not a name: 2 to 32 letters, digits, spaces or hyphens")
    if len(values) > _MOST_LISTED:
        raise ValueError(f"holds more than {_MOST_LISTED} names")
    return tuple(dict.fromkeys(values))


@dataclass(frozen=True, slots=True)
class PlatformLimits:
    """What a platform can do. `text` in characters per reply part; `nonce_window` is how long it knows a nonce."""

    text: int = 100_000
    parts: int = 0
    """Most parts of one reply; a longer one is handed over whole and sent as a file. 0: any number."""
    drafts: bool = False
    draft_delay: float = 0.0
    """Seconds of work before a draft is shown: an answer that comes at once needs none."""
    draft_interval: float = 1.5
    """Least seconds between two edits of a draft."""
    typing_interval: float = 0.0
    """Seconds for which the platform shows that the agent is at work (`Platform.working`). 0: it does not."""
    reconciles: bool = False
    """`find` really reads the channel, so its None means "not there"."""
    nonce_window: timedelta = timedelta(0)


class Platform(Protocol):
    """A place where people are: the delivering half. Text in goes through `threads.inbox`."""

    @property
    def name(self) -> str:
        """The platform's word: `web`, `discord`, `telegram`."""
        ...

    @property
    def limits(self) -> PlatformLimits:
        """What the platform can do."""
        ...

    async def send(self, delivery: Delivery) -> str:
        """Post a reply and return the platform's id of it. Raises `DeliveryError` or `DeliveryRetry`."""
        ...

    async def edit(self, delivery: Delivery) -> None:
        """Replace the text of `delivery.native_id`. Doing it twice is harmless."""
        ...

    async def find(self, delivery: Delivery) -> str | None:
        """The platform's id of this reply if it is there already. None when it is not (see `reconciles`).

        `DeliveryUnsettled` when that cannot be found out.
        """
        ...

    async def working(self, channel: str) -> None:
        """Show there that the agent is at work, for `limits.typing_interval` seconds. A courtesy: never raises."""
        ...


@dataclass(frozen=True, slots=True)
class ServerDiscord:
    """What is set for one Discord server. None, and an empty list or text, leave what holds everywhere.

    `channels` and `allowed_bots` come on top of those of the installation; `names` and `prefix` replace them.
    """

    prefix: str | None = None
    names: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    allowed_bots: tuple[str, ...] = ()
    log_channel: str = ""
    threads: bool | None = None


@dataclass(frozen=True, slots=True)
class PlatformEvent:
    """Something a platform told us that is not a message to the agent. `account` is its native id, "" for none.

    `dedupe` is a key under which it is kept once, "" for events without one. Words of people never stand in `payload`.
    """

    platform: str
    name: str
    at: datetime
    server: str = ""
    channel: str = ""
    account: str = ""
    payload: Mapping[str, object] = field(default_factory=dict[str, object])
    dedupe: str = ""


@dataclass(frozen=True, slots=True)
class SaidLately:
    """What is known of a person's message: its channel's key, the platform's ids, and the number of its last edit."""

    channel: str
    server: str
    native_id: str
    edit: int


class PlatformStore(Protocol):
    """Accounts, servers, positions and events of platforms."""

    async def person_of(self, platform: str, sender: Sender) -> int:
        """The person of an account; both are made when the account was never seen."""
        ...

    async def server_of(self, server: ServerRef) -> int:
        """The row of a server, made when it was never seen."""
        ...

    async def discord_of(self, native_id: str) -> ServerDiscord:
        """What is set for a Discord server, by Discord's id."""
        ...

    async def discord_settings(self, server: int) -> ServerDiscord:
        """The same by our own id. `NotFound` when there is no such Discord server."""
        ...

    async def set_discord(self, server: int, values: ServerDiscord) -> ServerDiscord:
        """Replace what is set for a Discord server. `InvalidInput`, or `NotFound` without the server."""
        ...

    async def cursors(self, platform: str, receiver: str) -> Mapping[str, str]:
        """The position of every channel of a receiver."""
        ...

    async def advance(self, platform: str, receiver: str, positions: Mapping[str, str]) -> None:
        """Move positions forward without a message: what lies before them was not for the agent."""
        ...

    async def said_since(self, platform: str, since: datetime, withdrawn: str) -> Sequence[SaidLately]:
        """Messages of people that were accepted since then, without those that say `withdrawn`; the latest first.

        Of the channels used last and of not more than some hundred messages: enough for what may be compared.
        """
        ...

    async def live_tasks(self, channel: str, native_id: str) -> Sequence[int]:
        """Tasks of a person's message, by the platform's id of it, that are not done yet."""
        ...

    async def withdraw(self, channel: str, native_id: str, text: str) -> Sequence[int]:
        """A person deleted a message there: put `text` in place of its words. Returns its tasks that are not done."""
        ...

    async def delivered(self, channel: str, native_ids: Sequence[str]) -> Sequence[str]:
        """Those of the platform's message ids under which replies of this channel are known."""
        ...

    async def notices(self, task: int) -> Sequence[str]:
        """The platform's ids of the notices that were delivered for a task: its questions to people."""
        ...

    async def add_events(self, events: Sequence[PlatformEvent]) -> None:
        """Keep what happened. Retention deletes it."""
        ...

    async def audio_of(self, message: int) -> Sequence[StoredFile]:
        """The sound files of a message whose words are not known yet; without a digest the platform keeps them."""
        ...

    async def set_words(self, message: int, attachment: int, words: str) -> str:
        """Keep what was heard in a file, with it and as text of its message, once. Returns the message's text."""
        ...


class LeaseStore(Protocol):
    """Named things that one process at a time holds, such as a shard of a gateway."""

    async def hold(self, names: Sequence[str], owner: str, most: int, seconds: float) -> Sequence[str]:
        """Renew what `owner` holds of `names` and take what nobody holds, up to `most` in all; what it holds then."""
        ...

    async def release(self, owner: str) -> None:
        """Give everything of `owner` back at once."""
        ...

    async def clear(self) -> None:
        """Give everything of everybody back: for a start that knows that nobody else is there."""
        ...
