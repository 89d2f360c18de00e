"""Conversations in memory, for the brain's context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from antiphon.domain.conversation import Attachment, Author, Channel, Message, Thread, ThreadState, platform_of
from antiphon.domain.errors import NotFound


class FakeThreads:
    """Implements `domain.conversation.ThreadStore`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.rows: dict[int, Thread] = {}

    def say(
        self,
        text: str,
        *,
        author: Author = Author.PERSON,
        person: int | None = 1,
        name: str = "Ada",
        channel: str = "web:a",
        at: datetime | None = None,
        reply_to: int | None = None,
        attachments: tuple[Attachment, ...] = (),
        thread: int = 1,
        task: int | None = None,
        native_id: str = "",
    ) -> Message:
        """Add a message to a channel."""
        message = Message(
            id=len(self.messages) + 1,
            channel=channel,
            thread=thread,
            author=author,
            text=text,
            at=at or datetime(2026, 3, 4, 14, 0, tzinfo=UTC),
            person=person if author is Author.PERSON else None,
            author_name=name if author is Author.PERSON else "",
            reply_to=reply_to,
            attachments=attachments,
            task=task,
            native_id=native_id,
        )
        self.messages.append(message)
        self.rows.setdefault(1, Thread(1, channel, ThreadState.ACTIVE, message.at, message.at))
        return message

    async def recent(self, channel: str, *, before: int | None, limit: int) -> Sequence[Message]:
        """The latest, oldest first."""
        found = [m for m in self.messages if m.channel == channel and (before is None or m.id < before)]
        return found[-limit:]

    async def thread(self, thread: int) -> Thread:
        """One thread."""
        if thread not in self.rows:
            raise NotFound("No such thread.")
        return self.rows[thread]

    async def channel(self, key: str) -> Channel:
        """One channel."""
        if not any(m.channel == key for m in self.messages):
            raise NotFound("No such channel.")
        return Channel(id=1, key=key, platform=platform_of(key))

    async def rename(self, channel: str, title: str) -> Channel:
        """Give it a title."""
        return replace(await self.channel(channel), title=title)

    async def close(self, thread: int) -> None:
        """Close it."""
        row = await self.thread(thread)
        self.rows[thread] = replace(row, state=ThreadState.CLOSED, closed_at=row.last_at)
