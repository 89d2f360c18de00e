"""What files are, by their bytes: names that can be kept, and media types nobody has to believe a client for."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from antiphon.domain.conversation import Attachment

SAFE_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Images that a browser may show in place and vision models take."""
PDF = "application/pdf"
_UNKNOWN = "application/octet-stream"
_NAME_CHARS = 120

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", PDF),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
)
_IN_RIFF = frozenset({"image/webp", "audio/wav"})
_TEXTS = {
    "md": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
}
"""Kinds of text that only their name tells. Pages and drawings that may hold scripts stay plain text on purpose."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An attachment whose bytes are kept here under `digest`. `person` sent it to `channel`, not yet or in `message`.

    `text` is what could be read in it: None until somebody tried, "" when there is nothing to read.
    """

    attachment: Attachment
    digest: str
    channel: str
    person: int | None
    message: int | None = None
    text: str | None = None


def media_type_of(head: bytes, name: str) -> str:
    """What a file is, from its first bytes; the name only tells one kind of text from another."""
    for offset, magic, media_type in _MAGIC:
        if head[offset : offset + len(magic)] == magic and (media_type not in _IN_RIFF or head[:4] == b"RIFF"):
            return media_type
    if not _is_text(head):
        return _UNKNOWN
    kind = _TEXTS.get(name.rpartition(".")[2].lower(), "text/plain")
    return "text/plain" if kind == "application/json" and not _begins_like_json(head) else kind


def is_text(media_type: str) -> bool:
    """Whether the bytes are words to be read as they are."""
    return media_type.startswith("text/") or media_type == "application/json"


def safe_name(name: str) -> str:
    """A file's name as people see it: one line without folders, control or direction characters; never empty."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(" " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c)[0] != "C")
    name = re.sub(r" +", " ", re.sub(r'[<>:"|?*]', "_", name)).strip(" .")
    if len(name) > _NAME_CHARS:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[: _NAME_CHARS - len(ending) - 1]}.{ending}" if dot and len(ending) <= 10 else name[:_NAME_CHARS]
    return name or "file"


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) - error.start > 3 or error.reason != "unexpected end of data":
            return False  # more than a character cut in two at the end of what was looked at
        text = head[: error.start].decode("utf-8")
    return all(c.isprintable() or c in "\t\n\r\f\x1b\ufeff" or ord(c) > 0x7F for c in text)


def _begins_like_json(head: bytes) -> bool:
    """Whether it could be a JSON document; a long one is cut, so only a short one is read to its end."""
    text = head.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if len(head) >= 8 * 1024:
        return text[:1] in ("{", "[")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class AttachmentStore(Protocol):
    """Files that came with messages."""

    async def add(self, source: IO[bytes], name: str, *, channel: str, person: int) -> Attachment:
        """Keep an upload for a later message of `person` in `channel`, named and typed by what it is.

        Reads `source` in a thread. Raises `InvalidInput` (empty), `TooLarge` or `Unavailable`; nothing was kept then.
        """
        ...

    async def file(self, attachment: int) -> StoredFile:
        """One attachment that is kept here, with where it belongs. `NotFound` if there is none."""
        ...

    async def content(self, digest: str) -> bytes:
        """The bytes kept under a digest. `NotFound` when they are gone."""
        ...

    def path(self, digest: str) -> Path:
        """The file with a content, for sending it out piece by piece."""
        ...

    async def set_text(self, attachment: int, text: str) -> None:
        """Keep what was read in a file, so that it is read once."""
        ...

    async def discard(self, attachment: int, person: int) -> None:
        """Delete a person's upload that no message uses. `NotFound` for every other."""
        ...

    async def sweep_unsent(self, before: float, limit: int) -> int:
        """Delete uploads from before `before` (epoch seconds) that no message uses; returns how many, up to `limit`."""
        ...

    async def sweep_strays(self, before: float) -> int:
        """Delete contents from before `before` that no attachment has; returns how many."""
        ...
