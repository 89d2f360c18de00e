"""How long the context of a turn takes to build in a channel of 10,000 stored messages, with 2,000 memories.

Over a real SQLite database in a temporary folder: history, memories and opinions by full-text search, the rolling
summary, personas. The first build makes the summary's first step; the figures are of the builds after it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, percentile

if TYPE_CHECKING:
    from antiphon.store.db import Tx

MESSAGES = 10_000
MEMORIES = 2_000
BUILDS = 100
BOUND_MS = 50.0


def measure() -> list[Figure]:
    """Milliseconds per context, wall and CPU."""
    from antiphon.config import Settings
    from antiphon.store.migrate import migrate

    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder:
        settings = Settings(data_dir=Path(folder))
        migrate(settings)
        return asyncio.run(_measure(settings.data_dir))


async def _measure(folder: Path) -> list[Figure]:
    from antiphon.brain.context import ContextReader, ContextSources
    from antiphon.bus.signals import LocalSignals
    from antiphon.config import Settings
    from antiphon.domain.identity import Requester
    from antiphon.domain.turns import TurnRequest
    from antiphon.run.clock import SystemClock
    from antiphon.store.stores import open_stores

    clock = SystemClock()
    stores = open_stores(Settings(data_dir=folder), clock, LocalSignals())
    try:
        person = (await stores.users.ensure_owner()).person
        thread, last = await stores.database.run(_fill, person)
        reader = ContextReader(
            ContextSources(
                threads=stores.threads,
                people=stores.people,
                memories=stores.memories,
                feedback=stores.feedback,
                attachments=stores.attachments,
                places=stores.places,
                summaries=stores.summaries,
                clock=clock,
            ),
            messages=40,
            tokens=6_000,
        )
        asks = Requester(person, "web", "web:bench")
        request = TurnRequest(1, "1.1", 1, "web:bench", thread, last, "where does harbour 77 stand?", asks)
        for _ in range(MESSAGES // 200 + 5):  # the summary catches up in steps
            await reader.read(request)
        walls: list[float] = []
        used = time.process_time()
        for _ in range(BUILDS):
            begin = time.perf_counter()
            context = await reader.read(request)
            walls.append((time.perf_counter() - begin) * 1000)
        cpu = (time.process_time() - used) / BUILDS * 1000
    finally:
        await stores.close()
    given = f"{len(context.history)} messages, {len(context.memories)} memories, summary {bool(context.summary)}"
    p95 = percentile(walls, 0.95)
    return [
        Figure(
            "context build for 10,000 stored messages: p95",
            p95,
            "ms",
            f"<= {BOUND_MS:g} ms",
            given,
            passed=p95 <= BOUND_MS,
        ),
        Figure("context build for 10,000 stored messages: CPU", cpu, "ms"),
    ]


def _fill(tx: Tx, person: int) -> tuple[int, int]:
    """One channel, one thread, many messages; many memories of the person. Returns the thread and the last message."""
    from antiphon.store import models
    from antiphon.store.search_terms import index_terms

    now = time.time()
    channel = models.Channel.objects.create(
        key="web:bench", platform="web", owner_id=person, created_at=now, last_at=now
    )
    thread = models.Thread.objects.create(channel=channel, state="active", opened_at=now, last_at=now)
    models.Message.objects.bulk_create(
        [
            models.Message(
                channel=channel,
                thread=thread,
                author="person" if number % 2 else "agent",
                person_id=person if number % 2 else None,
                text=f"Message {number} says that ship {number % 97} reached harbour {number % 89} with some cargo.",
                at=now,
                created_at=now,
            )
            for number in range(MESSAGES)
        ],
        batch_size=500,
    )
    texts = [f"Harbour {number} stands at pier {number % 31}" for number in range(MEMORIES)]
    models.Memory.objects.bulk_create(
        [
            models.Memory(
                scope="person",
                subject=person,
                text=text,
                search=index_terms(text),
                author_id=person,
                channel="web:bench",
                origin=str(number),
                created_at=now,
            )
            for number, text in enumerate(texts)
        ],
        batch_size=500,
    )
    return thread.pk, tx.value("SELECT max(id) FROM antiphon_message")
