"""Memories in memory."""

from __future__ import annotations

import re
from collections.abc import Sequence

from antiphon.domain.memories import Memory, MemoryScope
from tests.fakes.clock import FakeClock


def words_of(text: str) -> set[str]:
    """The words of a text that are longer than two letters."""
    return {word for word in re.findall(r"\w+", text.casefold()) if len(word) > 2}


class FakeMemories:
    """Implements `domain.memories.MemoryStore`; relevance is the number of shared words."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows: dict[int, Memory] = {}
        self.origins: dict[str, int] = {}
        self._next = 1

    async def remember(
        self, scope: MemoryScope, subject: int, text: str, *, author: int, channel: str, origin: str
    ) -> Memory:
        """Store, once per origin."""
        known = self.origins.get(origin)
        if known is not None and known in self.rows:
            return self.rows[known]
        row = Memory(self._next, scope, subject, text, author, channel, self._clock.now())
        self._next += 1
        self.rows[row.id] = row
        self.origins[origin] = row.id
        return row

    async def recall(self, scope: MemoryScope, subject: int, query: str, limit: int) -> Sequence[Memory]:
        """Most relevant first; newest first without a query."""
        own = [m for m in self.rows.values() if m.scope is scope and m.subject == subject]
        wanted = words_of(query)
        own.sort(key=lambda m: (-len(wanted & words_of(m.text)), -m.id))
        return own[:limit]

    async def forget(self, scope: MemoryScope, subject: int, memories: Sequence[int] | None) -> Sequence[Memory]:
        """Forget given ones, or all of that subject."""
        gone = [
            m
            for m in self.rows.values()
            if m.scope is scope and m.subject == subject and (memories is None or m.id in memories)
        ]
        for memory in gone:
            del self.rows[memory.id]
        return gone

    async def restore(self, memory: Memory) -> Memory:
        """Put a forgotten one back."""
        return self.rows.setdefault(memory.id, memory)
