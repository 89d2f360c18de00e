"""What the brain reads before a turn: who asks, what was said lately, what came with it, what is remembered and learnt.

Everything that is given to a model is listed as a piece, with what it is, where it came from and about how many tokens
it has: the turn's trace shows the list, so that nobody has to guess why an answer came out as it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from antiphon.brain.files import FileReader, ReadFile
from antiphon.brain.prompt import (
    file_as_data,
    lesson_as_data,
    memory_as_data,
    message_as_data,
    summary_as_data,
    system_prompt,
)
from antiphon.brain.summary import RollingSummary
from antiphon.brain.tokens import CountTokens, estimated_tokens
from antiphon.config.settings import AttachmentSettings
from antiphon.domain.attachments import AttachmentStore
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Author, Message, PlaceSettings, PlaceStore, ThreadStore
from antiphon.domain.errors import NotFound
from antiphon.domain.identity import PeopleStore, Person
from antiphon.domain.memories import FeedbackStore, Lesson, Memory, MemoryScope, MemoryStore, Summary, SummaryStore
from antiphon.domain.turns import TurnRequest

log = structlog.stdlib.get_logger(__name__)

MEMORIES_PER_SUBJECT = 8
LESSONS = 4
IMAGE_TOKENS = 1_100
"""What an image counts: models differ, this is a common size."""
_FILES_SHARE = 0.5
"""Of the token budget, what the files of the message may take; the rest is for the conversation."""

tokens_of = estimated_tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing a model is given. `id` is that of the row it came from; 0 where there is none."""

    kind: str
    id: int
    tokens: int
    note: str = ""

    def as_trace(self) -> dict[str, object]:
        """As it stands in the trace of the turn."""
        piece: dict[str, object] = {"kind": self.kind, "id": self.id, "tokens": self.tokens}
        return {**piece, "note": self.note} if self.note else piece


@dataclass(frozen=True, slots=True)
class TurnContext:
    """All a turn may know. `history` is oldest first and ends before the message of this turn."""

    now: datetime
    person: Person
    history: Sequence[Message]
    memories: Sequence[Memory]
    lessons: Sequence[Lesson] = ()
    files: Sequence[ReadFile] = ()
    summary: str = ""
    places: PlaceSettings = field(default_factory=PlaceSettings)
    pieces: Sequence[Piece] = ()

    def instructions(self, persona: str, *, spoken: bool = False) -> str:
        """The system prompt: the installation's persona, then the server's, then the channel's. `spoken` answers are
        read aloud.
        """
        return system_prompt(
            self.persona(persona),
            self.person,
            self.memories,
            self.now,
            lessons=self.lessons,
            summary=self.summary,
            spoken=spoken,
        )

    def persona(self, persona: str) -> str:
        """The role the agent has here, from the widest place to the narrowest."""
        parts = (persona, self.places.server_persona, self.places.channel_persona)
        return "\n\n".join(part.strip() for part in parts if part.strip())

    def prompt(self, text: str) -> str:
        """What the requester said, with the words of the files that came with it."""
        words = [file_as_data(f.name, f.media_type, f.text, f.note) for f in self.files if not f.image]
        return "\n\n".join([text, *words]) if words else text


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSources:
    """The ports a context is read from."""

    threads: ThreadStore
    people: PeopleStore
    memories: MemoryStore
    feedback: FeedbackStore
    attachments: AttachmentStore
    places: PlaceStore
    summaries: SummaryStore
    clock: Clock


class ContextReader:
    """Reads the context of a turn within a budget of messages and tokens."""

    def __init__(
        self,
        sources: ContextSources,
        *,
        messages: int,
        tokens: int,
        attachments: AttachmentSettings | None = None,
        count: CountTokens = estimated_tokens,
    ) -> None:
        """`count` tells how many tokens a text has (`tokens.counter_for`)."""
        self._sources = sources
        self._messages = messages
        self._tokens = tokens
        self._count = count
        self._files = FileReader(sources.attachments, attachments or AttachmentSettings())
        self.summaries = RollingSummary(sources.summaries)

    async def read(self, request: TurnRequest) -> TurnContext:
        """One read of each store, at the same time; then what follows from them."""
        asks, sources = request.requester, self._sources
        until = None if request.message is None else request.message + 1
        person, recent, own, shared, lessons, places = await asyncio.gather(
            self._person(asks.person),
            sources.threads.recent(request.channel, before=until, limit=self._messages + 1),
            sources.memories.recall(MemoryScope.PERSON, asks.person, request.text, MEMORIES_PER_SUBJECT),
            self._of_server(asks.server, request.text),
            sources.feedback.lessons(asks.person, request.text, LESSONS),
            sources.places.settings_of(request.channel),
        )
        asked = next((m for m in recent if m.id == request.message), None)
        earlier = _before(request, recent, sources.clock.now())[-self._messages :] if self._messages else []
        files = await self._read_files(asked)
        history, pieces = self._fitting(earlier, person)
        cut = len(history) < len(earlier) or len(earlier) >= self._messages
        summary = await self._summary(request, history, person) if cut else None
        context = TurnContext(
            now=sources.clock.now(),
            person=person,
            history=history,
            memories=(*own, *shared),
            lessons=lessons,
            files=files,
            summary=summary.text if summary else "",
            places=places,
        )
        return replace(context, pieces=(*self._pieces(context, summary), *pieces))

    async def _person(self, person: int) -> Person:
        try:
            return await self._sources.people.person(person)
        except NotFound:
            return Person(id=person, name="")

    async def _of_server(self, server: int | None, text: str) -> Sequence[Memory]:
        if server is None:
            return ()
        return await self._sources.memories.recall(MemoryScope.SERVER, server, text, MEMORIES_PER_SUBJECT)

    async def _read_files(self, asked: Message | None) -> Sequence[ReadFile]:
        """What came with the message, each cut to what is left of the files' share of the budget."""
        if asked is None or not asked.attachments:
            return ()
        left = int(self._tokens * _FILES_SHARE)
        found: list[ReadFile] = []
        for file in await self._files.read(asked.attachments):
            tokens = self._count(file.text) if file.text else 0
            if tokens > left:
                kept = file.text[: int(len(file.text) * left / tokens)]
                note = "only its beginning; the rest does not fit"
                file = replace(file, text=f"{kept}\n[{note}]" if kept.strip() else "", note=note)
                tokens = left
            left -= tokens
            found.append(file)
        return found

    async def _summary(self, request: TurnRequest, history: Sequence[Message], person: Person) -> Summary | None:
        """The summary of what the thread said before `history`, when that does not hold all of it."""
        if history and history[0].thread != request.thread and any(m.thread == request.thread for m in history):
            return None  # the thread began within the history
        held = [m.id for m in history if m.thread == request.thread]
        first = min(held) if held else request.message
        if first is None:
            return None
        return await self.summaries.before(request.thread, first, person.language)

    def _fitting(self, history: Sequence[Message], person: Person) -> tuple[Sequence[Message], Sequence[Piece]]:
        """The latest messages that fit the budget; one that is too long on its own ends the history there."""
        kept: list[Message] = []
        pieces: list[Piece] = []
        left = self._tokens
        for message in reversed(history):
            tokens = self._count(message.text if message.author is Author.AGENT else message_as_data(message, person))
            left -= tokens
            if left < 0:
                break
            kept.append(message)
            pieces.append(Piece("message", message.id, tokens))
        return tuple(reversed(kept)), tuple(reversed(pieces))

    def _pieces(self, context: TurnContext, summary: Summary | None) -> list[Piece]:
        """Everything but the history, as it is given."""
        count, places = self._count, context.places
        pieces = [Piece("person", context.person.id, count(f"{context.person.name} {context.person.timezone}"))]
        if places.server_persona and places.server is not None:
            pieces.append(Piece("server_persona", places.server, count(places.server_persona)))
        if places.channel_persona:
            pieces.append(Piece("channel_persona", 0, count(places.channel_persona)))
        for memory in context.memories:
            note = "" if memory.author == context.person.id else f"said by person {memory.author}"
            pieces.append(Piece("memory", memory.id, count(memory_as_data(memory)), note))
        for lesson in context.lessons:
            kind = "correction" if lesson.correction else "opinion"
            pieces.append(Piece(kind, lesson.id, count(lesson_as_data(lesson))))
        for file in context.files:
            tokens = IMAGE_TOKENS if file.image else count(file_as_data(file.name, file.media_type, file.text, ""))
            pieces.append(Piece("image" if file.image else "file", file.id, tokens, file.note))
        if summary is not None:
            note = f"up to message {summary.upto}, by {summary.author}"
            pieces.append(Piece("summary", summary.thread, count(summary_as_data(summary.text)), note))
        return pieces


def _before(request: TurnRequest, recent: Sequence[Message], now: datetime) -> list[Message]:
    """What was said before the message of this turn.

    A spoken turn may be prepared while rows are being written: that of its own message is left out, and what was heard
    of the answer into which it was said is put in behind the question, if that is there.
    """
    own = request.native_id if request.message is None else ""
    earlier = [m for m in recent if m.id != request.message and not (own and m.native_id == own)]
    if (cut := request.unfinished) is None:
        return earlier
    of_task = [index for index, m in enumerate(earlier) if m.task == cut.task]
    if not of_task or any(earlier[index].author is Author.AGENT for index in of_task):
        return earlier
    asked = earlier[of_task[-1]]
    said = Message(
        id=asked.id,
        channel=asked.channel,
        thread=asked.thread,
        author=Author.AGENT,
        text=cut.text,
        at=now,
        task=cut.task,
        interrupted=True,
    )
    return [*earlier[: of_task[-1] + 1], said, *earlier[of_task[-1] + 1 :]]
