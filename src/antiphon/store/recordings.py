"""The recordings of spoken sessions that were deleted: their files go with the rows. Used by erasure and retention.

`voice.recording` writes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import structlog

from antiphon.domain.voice import recording_files

log = structlog.stdlib.get_logger(__name__)


class RecordingFolder:
    """The recordings below `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    async def drop(self, sessions: Iterable[str]) -> None:
        """Delete the recordings of sessions, by their keys, where there are any. One that cannot be is logged."""
        await asyncio.to_thread(self._drop, list(sessions))

    def _drop(self, sessions: list[str]) -> None:
        for session in sessions:
            for file in recording_files(self._data_dir, session):
                try:
                    file.unlink(missing_ok=True)
                except OSError as error:
                    log.error("recordings.not_deleted", session=session, error=error.strerror)
