"""What a context is read from beside messages and memories, in memory: opinions, files, places, summaries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from antiphon.domain.attachments import StoredFile, media_type_of, safe_name
from antiphon.domain.conversation import Attachment, Message, PlaceSettings, ServerSettings
from antiphon.domain.errors import NotFound
from antiphon.domain.memories import Lesson, Summary
from tests.fakes.clock import FakeClock
from tests.fakes.memories import words_of
from tests.fakes.threads import FakeThreads


class FakeFeedback:
    """Implements `domain.memories.FeedbackStore`; `say` stores an opinion of a question and its answer."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows: dict[int, tuple[int, Lesson]] = {}

    def say(self, person: int, question: str, answer: str, correction: str = "", value: int = -1) -> int:
        """Store an opinion; its id."""
        number = len(self.rows) + 1
        self.rows[number] = (person, Lesson(number, value, question, answer, correction, self._clock.now()))
        return number

    async def rate(self, message: int, person: int, value: int, text: str) -> None:
        """Store an opinion of a message."""
        self.say(person, "", str(message), text, value)

    async def retract(self, feedback: int, person: int) -> None:
        """Take it back."""
        if self.rows.get(feedback, (0, None))[0] != person:
            raise NotFound("There is no such opinion.")
        del self.rows[feedback]

    async def lessons(self, person: int, question: str, limit: int) -> Sequence[Lesson]:
        """Those that share a word with the question."""
        wanted = words_of(question)
        found = [row for of, row in self.rows.values() if of == person and wanted & words_of(row.question)]
        return found[:limit]


class FakeAttachments:
    """Implements `domain.attachments.AttachmentStore`."""

    def __init__(self) -> None:
        self.rows: dict[int, StoredFile] = {}
        self.blobs: dict[str, bytes] = {}
        self.reads = 0

    def put(self, content: bytes, name: str) -> Attachment:
        """A file that is kept."""
        name = safe_name(name)
        number, digest = len(self.rows) + 1, hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        attachment = Attachment(name, media_type_of(content[:8192], name), len(content), id=number)
        self.rows[number] = StoredFile(attachment, digest, "web:a", 1)
        return attachment

    async def add(self, source: IO[bytes], name: str, *, channel: str, person: int) -> Attachment:
        """Keep it."""
        del channel, person
        return self.put(source.read(), name)

    async def file(self, attachment: int) -> StoredFile:
        """One of them."""
        if attachment not in self.rows:
            raise NotFound("There is no such attachment.")
        return self.rows[attachment]

    async def content(self, digest: str) -> bytes:
        """Its bytes."""
        self.reads += 1
        if digest not in self.blobs:
            raise NotFound("There is no such attachment.")
        return self.blobs[digest]

    def path(self, digest: str) -> Path:
        """There are no files here."""
        return Path("/nonexistent") / digest

    async def set_text(self, attachment: int, text: str) -> None:
        """Keep what was read."""
        self.rows[attachment] = replace(self.rows[attachment], text=text)

    async def discard(self, attachment: int, person: int) -> None:
        """Delete it."""
        del person
        self.rows.pop(attachment, None)

    async def sweep_unsent(self, before: float, limit: int) -> int:
        """Nothing waits here."""
        del before, limit
        return 0

    async def sweep_strays(self, before: float) -> int:
        """Nothing strays here."""
        del before
        return 0


@dataclass
class FakePlaces:
    """Implements `domain.conversation.PlaceStore`."""

    rows: dict[str, PlaceSettings] = field(default_factory=dict[str, PlaceSettings])

    async def settings_of(self, channel: str) -> PlaceSettings:
        """Those of a channel."""
        return self.rows.get(channel, PlaceSettings())

    async def set_for_channel(self, channel: str, persona: str) -> PlaceSettings:
        """Set it."""
        self.rows[channel] = replace(await self.settings_of(channel), channel_persona=persona)
        return self.rows[channel]

    async def set_for_server(self, server: int, persona: str) -> ServerSettings:
        """Set it."""
        return ServerSettings(server, "discord", "", persona)

    async def server(self, server: int) -> ServerSettings:
        """One server."""
        return ServerSettings(server, "discord", "")


class FakeSummaries:
    """Implements `domain.memories.SummaryStore` over the messages of `FakeThreads`."""

    def __init__(self, threads: FakeThreads) -> None:
        self._threads = threads
        self.rows: dict[int, Summary] = {}

    async def summary(self, thread: int) -> Summary | None:
        """What is stored."""
        return self.rows.get(thread)

    async def keep(self, summary: Summary) -> None:
        """Store it."""
        self.rows[summary.thread] = summary

    async def unsummarised(self, thread: int, *, after: int, before: int, limit: int) -> Sequence[Message]:
        """The messages between two ids."""
        return [m for m in self._threads.messages if m.thread == thread and after < m.id < before][:limit]
