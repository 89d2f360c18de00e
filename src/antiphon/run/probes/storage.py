"""The disk: free space, whether it can be written, and the backups that were made from the console."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from antiphon.config import Settings
from antiphon.domain.errors import Conflict
from antiphon.domain.health import BackupFile, PartState, Trial

FOLDER = "backups"
_ENDING = ".antiphon-backup"
_LITTLE = 1 << 30


def try_storage(data_dir: Path) -> Trial:
    """Measure and write a few bytes. Blocks for as long as the disk does."""
    probe = data_dir / f".probe-{secrets.token_hex(4)}"
    try:
        free = shutil.disk_usage(data_dir).free
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"antiphon")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink(missing_ok=True)
    except OSError as error:
        return Trial(
            PartState.DEGRADED,
            f"The data folder cannot be written: {error.strerror}.",
            "free some space, or check whose folder it is",
        )
    made = list_backups(data_dir)
    last = f"{made[0].made_at:%Y-%m-%d %H:%M} UTC" if made else "none yet"
    facts = (("Folder", str(data_dir.absolute())), ("Free", _size(free)), ("Last backup", last))
    if free < _LITTLE:
        return Trial(PartState.DEGRADED, "Little space is left.", "free some, or move the data folder", facts)
    return Trial(PartState.OK, "The data folder can be written.", "" if made else "make a first backup", facts)


def list_backups(data_dir: Path) -> list[BackupFile]:
    """The backups in the folder, the newest first."""
    found: list[BackupFile] = []
    for path in (data_dir / FOLDER).glob(f"*{_ENDING}"):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append(BackupFile(path.name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)))
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def make_backup(settings: Settings) -> BackupFile:
    """Write and verify a backup beside the running program. Blocks; raises `StoreUnavailable`."""
    from django.db import connections

    from antiphon.store.backup import backup

    folder = settings.data_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}{_ENDING}"
    if file.exists():
        raise Conflict("A backup was made in this very second.")
    try:
        backup(settings, file)
    finally:
        connections.close_all()  # this thread's
    return next(one for one in list_backups(settings.data_dir) if one.name == file.name)


def _size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"
