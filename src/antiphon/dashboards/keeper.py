"""Keeps the board over restarts: loads it once, stores what changed every few seconds and at the end.

One process of an installation keeps; the others hear the same events and draw the same panels. Losing a store costs a
warning: the panels go on, and are stored again when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import structlog

from antiphon.dashboards.board import Board
from antiphon.dashboards.panel import PANELS, document
from antiphon.domain.errors import AntiphonError
from antiphon.domain.panels import PanelStore

log = structlog.stdlib.get_logger(__name__)


class Keeper:
    """Loads and stores the panels of one board. `every` is in seconds."""

    def __init__(self, board: Board, store: PanelStore, *, every: float) -> None:
        self._board = board
        self._store = store
        self._every = every
        self._loaded = False
        self._stored: dict[str, Mapping[str, object]] = {}
        self._versions: dict[str, int] = {}
        self._away = False

    async def load(self) -> None:
        """Only take back what was kept: for a process beside the one that keeps. Never raises."""
        try:
            await self._load()
        except AntiphonError as error:
            log.warning("panels.not_read", reason=error.code)

    async def _load(self) -> None:
        for name, state in (await self._store.load()).items():
            if name in PANELS:
                self._board.load(name, state)
        self._loaded = True

    async def run(self, stop: asyncio.Event) -> None:
        """Load, then store what changes until `stop` is set, and once more then."""
        while not stop.is_set():
            await self.keep()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await stop.wait()
        await self.keep()

    async def keep(self) -> None:
        """Load if that was not done yet, and store every panel that is not as it was stored last. Never raises."""
        try:
            if not self._loaded:
                await self._load()
            for name in PANELS:
                await self._keep(name)
        except AntiphonError as error:
            if not self._away:
                self._away = True
                log.warning("panels.not_stored", reason=error.code)
        else:
            if self._away:
                self._away = False
                log.info("panels.stored_again")

    async def _keep(self, name: str) -> None:
        version = self._board.version(name)
        if self._versions.get(name) == version:
            return
        state = self._board.dump(name)
        if self._stored.get(name) != state:
            await self._store.save(name, state, document(self._board.panel(name)))
            self._stored[name] = state
        self._versions[name] = version
