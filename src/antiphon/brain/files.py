"""Attachments as the brain uses them: images for models that see, the words of texts and PDFs. Called by `context`.

What was read in a file is stored beside it, so that a file is read once. A file that cannot be read is named with the
reason; it never makes a turn fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from antiphon.config.settings import AttachmentSettings
from antiphon.domain.attachments import PDF, SAFE_IMAGES, AttachmentStore, StoredFile, is_text
from antiphon.domain.conversation import Attachment
from antiphon.domain.errors import NotFound

log = structlog.stdlib.get_logger(__name__)

MOST_IMAGES = 4
"""Of one message, and up to this many bytes each."""
IMAGE_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadFile:
    """One attachment as the brain has it: its words, its image, or the reason why there is neither."""

    id: int
    name: str
    media_type: str
    text: str = ""
    image: bytes = b""
    note: str = ""


class FileReader:
    """Reads what came with messages, within limits of pages, characters and seconds."""

    def __init__(self, store: AttachmentStore, settings: AttachmentSettings) -> None:
        self._store = store
        self._settings = settings

    async def read(self, attachments: Sequence[Attachment], *, images: bool = True) -> Sequence[ReadFile]:
        """Each of them, in order. `images` of the message itself are shown; of earlier ones only the names are."""
        found: list[ReadFile] = []
        shown = 0
        for attachment in attachments:
            image = attachment.media_type in SAFE_IMAGES
            see = image and images and self._settings.images and shown < MOST_IMAGES
            file = await self._one(attachment, see)
            shown += bool(file.image)
            found.append(file)
        return found

    async def _one(self, attachment: Attachment, see: bool) -> ReadFile:
        def as_is(note: str) -> ReadFile:
            return ReadFile(attachment.id, attachment.name, attachment.media_type, note=note)

        try:
            stored = await self._store.file(attachment.id)
            if attachment.media_type in SAFE_IMAGES:
                if not see or attachment.size > IMAGE_BYTES:
                    return as_is("an image that is not shown to you" if not see else "an image that is too large")
                content = await self._store.content(stored.digest)
                return ReadFile(attachment.id, attachment.name, attachment.media_type, image=content)
            if not is_text(attachment.media_type) and attachment.media_type != PDF:
                return as_is("a kind of file that cannot be read here")
            text = stored.text if stored.text is not None else await self._read_text(stored)
        except NotFound:
            return as_is("its content is not kept here")
        if not text.strip():
            return as_is("no text could be read in it")
        return ReadFile(attachment.id, attachment.name, attachment.media_type, text=text)

    async def _read_text(self, stored: StoredFile) -> str:
        content = await self._store.content(stored.digest)
        most = self._settings.text_chars
        if stored.attachment.media_type == PDF:
            text = await pdf_text(content, pages=self._settings.pdf_pages, characters=most, seconds=self._seconds)
        else:
            text = content[: most * 4].decode("utf-8", "ignore")[:most]
        await self._store.set_text(stored.attachment.id, text)
        return text

    @property
    def _seconds(self) -> float:
        return self._settings.pdf_seconds


async def pdf_text(content: bytes, *, pages: int, characters: int, seconds: float) -> str:
    """The text of a PDF, as far as it can be read within the limits; "" when it cannot."""
    command = [sys.executable, "-m", "antiphon.brain.pdf_text", str(pages), str(characters), str(int(seconds) + 1)]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - as asked for above
    feeding = asyncio.create_task(_feed(process.stdin, content))
    found = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while chunk := await process.stdout.read(65_536):
                found += chunk
    except TimeoutError:
        log.warning("attachments.pdf_too_slow", seconds=seconds)
    finally:
        feeding.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return found.decode("utf-8", "replace").strip()[:characters]


async def _feed(stdin: asyncio.StreamWriter, content: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        stdin.write(content)
        await stdin.drain()
        stdin.close()
