"""Showing an answer while it grows, on platforms where a message can be edited.

The draft is a reply row: created before anything is sent, sent once, then edited. A replay of the task finds the row
and goes on editing the same message. The final text is delivered by the outbox like any reply.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import structlog

from antiphon.domain.errors import AntiphonError
from antiphon.domain.platforms import Platform
from antiphon.domain.replies import Delivery, OutboxStore
from antiphon.domain.work import Lease

EARLIER_SECONDS = 0.25
"""How long to wait before looking again whether earlier replies have left."""

log = structlog.stdlib.get_logger(__name__)


class DraftWriter:
    """Keeps one draft message up to date, at most one edit per `limits.draft_interval` seconds.

    Drafts are a courtesy: whatever fails here is logged and left to the final delivery.
    """

    def __init__(self, store: OutboxStore, platform: Platform, lease: Lease) -> None:
        self._store = store
        self._platform = platform
        self._lease = lease
        self._text = ""
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._write(), name=f"draft-{lease.task}")

    def update(self, text: str) -> None:
        """The whole text so far."""
        self._text = text
        self._changed.set()

    async def close(self) -> None:
        """Stop after the request under way, so that no edit can overtake the final one."""
        self._closing.set()
        self._changed.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._task)

    async def _write(self) -> None:
        try:
            await self._wait(self._platform.limits.draft_delay)
            await self._changed.wait()
            if self._closing.is_set():
                return
            draft = await self._open()
            if draft is None:
                return
            shown = draft.text
            while not self._closing.is_set():
                self._changed.clear()
                if self._text != shown:
                    shown = self._text
                    await self._platform.edit(replace(draft, text=shown[: self._platform.limits.text]))
                await self._wait(self._platform.limits.draft_interval)
                await self._changed.wait()
        except AntiphonError as error:
            log.info("draft.given_up", code=error.code)
        except Exception:
            log.exception("draft.failed")

    async def _wait(self, seconds: float) -> None:
        """So long, or until the turn is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _open(self) -> Delivery | None:
        """The draft message on the platform: the one sent earlier, or a new one. None: there shall be none."""
        draft = await self._store.open_draft(self._lease)
        while draft is None:
            await self._wait(EARLIER_SECONDS)
            if self._closing.is_set():
                return None
            draft = await self._store.open_draft(self._lease)
        if draft.native_id:
            return draft
        if draft.doubtful:
            found = await self._platform.find(draft)
            if found is None and not self._platform.limits.reconciles:
                return None  # it may be there: sending again could double it, so leave it to the final delivery
            if found is not None:
                await self._store.draft_sent(draft.reply, found)
                return replace(draft, native_id=found)
        text = self._text[: self._platform.limits.text]
        native_id = await self._platform.send(replace(draft, text=text))
        await self._store.draft_sent(draft.reply, native_id)
        return replace(draft, native_id=native_id, text=text)
