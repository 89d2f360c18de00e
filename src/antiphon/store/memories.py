"""Implements `domain.memories.MemoryStore`: what was remembered. Called by the memory tools and the brain's context."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.domain.clock import Clock
from antiphon.domain.errors import InvalidInput
from antiphon.domain.memories import Memory, MemoryScope
from antiphon.store import models
from antiphon.store.db import Database, Tx
from antiphon.store.full_text import matching
from antiphon.store.search_terms import query_terms

_TEXT_CHARS = 4000


class DjangoMemoryStore:
    """Facts about people and servers, with who said them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def remember(
        self, scope: MemoryScope, subject: int, text: str, *, author: int, channel: str, origin: str
    ) -> Memory:
        """Store a fact; the same `origin` returns the existing one."""
        text = text.replace("\x00", "").strip()
        if not text or len(text) > _TEXT_CHARS:
            raise InvalidInput(f"A memory has 1 to {_TEXT_CHARS} characters.", fields={"text": "empty or too long"})
        now = self._clock.now()

        def remember(_: Tx) -> Memory:
            row, _created = models.Memory.objects.get_or_create(
                scope=scope.value,
                subject=subject,
                origin=origin,
                defaults={"text": text, "author_id": author, "channel": channel, "created_at": now},
            )
            return _memory(row)

        return await self._database.run(remember)

    async def recall(self, scope: MemoryScope, subject: int, query: str, limit: int) -> Sequence[Memory]:
        """The memories about a subject, most relevant to `query` first (newest first when it is empty).

        With a query only memories that share a word with it are returned: full-text search of the database.
        """

        def recall(tx: Tx) -> list[Memory]:
            terms = query_terms(query)
            if not terms:
                return [_memory(row) for row in _about(scope, subject).order_by("-id")[:limit]]
            found = matching(tx, "antiphon_memory", f"{scope.value}{subject}", terms, limit, scope.value, subject)
            rows = models.Memory.objects.in_bulk(found)
            return [_memory(rows[number]) for number in found if number in rows]

        return await self._database.read(recall)

    async def forget(self, scope: MemoryScope, subject: int, memories: Sequence[int] | None) -> Sequence[Memory]:
        """Forget the given memories of that subject, or all with None; returns what was forgotten. For good."""

        def forget(_: Tx) -> list[Memory]:
            rows = _about(scope, subject)
            if memories is not None:
                rows = rows.filter(pk__in=list(memories))
            forgotten = [_memory(row) for row in rows.order_by("id")]
            models.Memory.objects.filter(pk__in=[memory.id for memory in forgotten]).delete()
            return forgotten

        return await self._database.run(forget)

    async def restore(self, memory: Memory) -> Memory:
        """Take back that a memory was forgotten: the same text, scope, time and id. Twice is once.

        Numbers are never given twice, so its own is still free. Remembered again meanwhile, that row stays.
        """

        def restore(_: Tx) -> Memory:
            row, _created = models.Memory.objects.get_or_create(
                scope=memory.scope.value,
                subject=memory.subject,
                origin=memory.origin,
                defaults={
                    "id": memory.id,
                    "text": memory.text,
                    "author_id": memory.author,
                    "channel": memory.channel,
                    "created_at": memory.created_at,
                },
            )
            return _memory(row)

        return await self._database.run(restore)


def _about(scope: MemoryScope, subject: int):
    return models.Memory.objects.filter(scope=scope.value, subject=subject)


def _memory(row: models.Memory) -> Memory:
    return Memory(
        id=row.pk,
        scope=MemoryScope(row.scope),
        subject=row.subject,
        text=row.text,
        author=row.author_id,
        channel=row.channel,
        created_at=row.created_at,
        origin=row.origin,
    )
