"""What must be delivered, once: replies, the states they may be in, and their queue, which `threads/outbox` empties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from antiphon.domain.work import Lease


class ReplyState(StrEnum):
    """draft -> ready -> sending -> sent | dead. `sending` is written before the platform is called."""

    DRAFT = "draft"
    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


class ReplyKind(StrEnum):
    """What a reply is to its task; one reply per task, kind and part."""

    ANSWER = "answer"
    NOTICE = "notice"
    """Something about the task itself: waiting for an approval, given up."""
    REMINDER = "reminder"
    SPOKEN = "spoken"
    """Already heard by the person: stored for the record, never sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One reply to hand to a platform.

    `native_id` set: the reply exists there already (a draft), so edit it. `doubtful`: an earlier send may have
    arrived; look for it before sending again. `nonce` is stable over all tries of this reply (at most 25 characters).
    """

    reply: int
    channel: str
    text: str
    kind: ReplyKind
    attempt: int
    task: int
    turn_attempt: int = 1
    message: int | None = None
    """The agent's stored message this reply delivers; clients that also read the messages list need it."""
    part: int = 0
    native_id: str = ""
    doubtful: bool = False
    reply_to: str = ""
    created_at: datetime | None = None

    @property
    def nonce(self) -> str:
        """The idempotency key offered to platforms that honour one."""
        return f"ant-{self.reply}"


class OutboxStore(Protocol):
    """The sender's side of replies."""

    async def claim(self, owner: str, limit: int, lease_seconds: float, platforms: Sequence[str]) -> Sequence[Delivery]:
        """Take the ready heads of channels, marking them `sending`: per channel strictly in order.

        A row left `sending` by a lost owner comes back with `doubtful=True`.
        """
        ...

    async def sent(self, owner: str, reply: int, native_id: str) -> None:
        """Delivered. Fenced by `owner`."""
        ...

    async def later(self, owner: str, reply: int, delay: float, reason: str, *, doubtful: bool) -> None:
        """Not delivered: ready again after `delay` seconds. `doubtful` when it may have arrived all the same."""
        ...

    async def dead(self, owner: str, reply: int, reason: str) -> None:
        """Given up, with the reason. The next reply of the channel becomes the head."""
        ...

    async def reap(self) -> None:
        """Whoever was sending is known to be gone: what they left comes back at once, and is doubtful."""
        ...

    async def open_draft(self, lease: Lease) -> Delivery | None:
        """Find or create the draft reply of a task. A draft whose send may have happened is `doubtful`.

        None while replies to earlier tasks of the channel are under way: a draft must not overtake them.
        """
        ...

    async def draft_sent(self, reply: int, native_id: str) -> None:
        """Store the platform's id of a draft."""
        ...

    async def revive(self, reply: int) -> None:
        """Make a dead reply ready again, by hand."""
        ...
