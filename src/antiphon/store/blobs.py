"""The bytes of attachments: one file per content below `data_dir`, named by its SHA-256. Used by `store.attachments`.

The same content is stored once. A file is whole and on the disk before its name exists. With several processes the
folder is shared between those that serve the API and those that run turns.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from antiphon.domain.errors import TooLarge, Unavailable

log = structlog.stdlib.get_logger(__name__)

FOLDER = "attachments"
"""Below `data_dir`."""
_CHUNK = 256 * 1024
_HEAD = 8 * 1024
_DRAFT = ".draft-"


@dataclass(frozen=True, slots=True)
class Blob:
    """Stored content: its SHA-256 in hex, its size in bytes, and its first 8 KiB for telling what it is."""

    digest: str
    size: int
    head: bytes


class BlobFolder:
    """Content by hash. Everything here works on files and blocks: call it from a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, source: IO[bytes], most: int) -> Blob:
        """Store what `source` gives, up to `most` bytes. Raises `TooLarge` (nothing is kept) or `Unavailable`."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(prefix=_DRAFT, dir=self._folder)
            try:
                with os.fdopen(descriptor, "wb") as target:
                    blob = _copy(source, target, most)
                self._place(Path(draft), blob.digest)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
        except OSError as error:
            log.warning("attachments.not_written", error=error.strerror)
            raise Unavailable("The file could not be stored: the server's disk does not take it.") from error
        return blob

    def _place(self, draft: Path, digest: str) -> None:
        target = self.path(digest)
        target.parent.mkdir(exist_ok=True)
        os.replace(draft, target)  # the same content again: the same file
        for folder in (target.parent, self._folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def path(self, digest: str) -> Path:
        """Where a content lies."""
        return self._folder / digest[:2] / digest

    def read(self, digest: str) -> bytes | None:
        """The content, or None when it is gone."""
        try:
            return self.path(digest).read_bytes()
        except OSError:
            return None

    def remove(self, digest: str) -> None:
        """Delete a content; it may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            self.path(digest).unlink()

    def older_than(self, moment: float) -> Iterator[str]:
        """The digests of files written before `moment` (epoch seconds). Drafts of that age are deleted on the way."""
        for file in self._folder.glob("**/*"):
            with contextlib.suppress(OSError):
                if not file.is_file() or file.stat().st_mtime >= moment:
                    continue
                if file.name.startswith(_DRAFT):
                    file.unlink()
                else:
                    yield file.name


def _copy(source: IO[bytes], target: IO[bytes], most: int) -> Blob:
    digest, size, head = hashlib.sha256(), 0, b""
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The file is too large: at most {most} bytes are taken. Nothing of it was kept.")
        if len(head) < _HEAD:
            head += chunk[: _HEAD - len(head)]
        digest.update(chunk)
        target.write(chunk)
    target.flush()
    os.fsync(target.fileno())
    return Blob(digest.hexdigest(), size, head)
