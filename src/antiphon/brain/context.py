"""What the brain reads before a turn: who asks, what was said lately in the channel, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from antiphon.brain.prompt import message_as_data
from antiphon.domain.conversation import Author, Message
from antiphon.domain.errors import NotFound
from antiphon.domain.identity import Person
from antiphon.domain.memories import Memory, MemoryScope
from antiphon.domain.ports import Clock, MemoryStore, PeopleStore, ThreadStore
from antiphon.domain.turns import TurnRequest

MEMORIES_PER_SUBJECT = 8


@dataclass(frozen=True, slots=True)
class TurnContext:
    """All a turn may know. `history` is oldest first and ends before the message of this turn."""

    now: datetime
    person: Person
    history: Sequence[Message]
    memories: Sequence[Memory]


def tokens_of(text: str) -> int:
    """About how many tokens a text has: a token is about four bytes of UTF-8 in English, and less elsewhere.

    An estimate on purpose: real tokenizers fetch their tables from the internet, and a budget needs no exact count.
    """
    return len(text.encode()) // 4 + 1


class ContextReader:
    """Reads the context of a turn within a budget of messages and (estimated) tokens."""

    def __init__(
        self,
        threads: ThreadStore,
        people: PeopleStore,
        memories: MemoryStore,
        clock: Clock,
        *,
        messages: int,
        tokens: int,
    ) -> None:
        self._threads = threads
        self._people = people
        self._memories = memories
        self._clock = clock
        self._messages = messages
        self._tokens = tokens

    async def read(self, request: TurnRequest) -> TurnContext:
        """One read of each store, at the same time."""
        asks = request.requester
        person, history, own, shared = await asyncio.gather(
            self._person(asks.person),
            self._threads.recent(request.channel, before=request.message, limit=self._messages),
            self._memories.recall(MemoryScope.PERSON, asks.person, request.text, MEMORIES_PER_SUBJECT),
            self._of_server(asks.server, request.text),
        )
        return TurnContext(self._clock.now(), person, self._fitting(history, person), (*own, *shared))

    async def _person(self, person: int) -> Person:
        try:
            return await self._people.person(person)
        except NotFound:
            return Person(id=person, name="")

    async def _of_server(self, server: int | None, text: str) -> Sequence[Memory]:
        if server is None:
            return ()
        return await self._memories.recall(MemoryScope.SERVER, server, text, MEMORIES_PER_SUBJECT)

    def _fitting(self, history: Sequence[Message], person: Person) -> Sequence[Message]:
        """The latest messages that fit the budget; one that is too long on its own ends the history there."""
        kept: list[Message] = []
        left = self._tokens
        for message in reversed(history):
            said = message.text if message.author is Author.AGENT else message_as_data(message, person)
            left -= tokens_of(said)
            if left < 0:
                break
            kept.append(message)
        return tuple(reversed(kept))
