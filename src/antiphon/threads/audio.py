"""Voice messages as a step of the runner: before a turn begins, what was recorded becomes words.

The words are stored with the file and as the message's text in one write, so a replay reads them and listens to
nothing twice. What cannot be understood is said to the brain in words too: a person waits for an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from antiphon.domain.attachments import AttachmentStore, StoredFile
from antiphon.domain.conversation import platform_of
from antiphon.domain.errors import InvalidInput, NotFound, SpeechBusy, SpeechError, TooLarge
from antiphon.domain.platforms import PlatformStore
from antiphon.domain.speech import SpeechToText
from antiphon.domain.work import TaskKind, Work

log = structlog.stdlib.get_logger(__name__)

MOST_SECONDS = 600.0
"""Of one file; what is longer is heard up to here."""
UNHEARD = "(A voice message came that I could not listen to: {reason})"
SILENT = "(A voice message came in which I heard no words.)"

Fetch = Callable[[str, int], Awaitable[bytes]]
"""Gets a file from its platform, by address and the most bytes that are taken."""
Decode = Callable[[bytes, float], Awaitable[bytes]]
"""Makes PCM (16 kHz, 16 bit, mono) of an audio file, up to so many seconds."""


class Listener(Protocol):
    """What the runner asks for."""

    async def text_of(self, work: Work) -> str:
        """What the message of a task says, spoken words included."""
        ...


class AudioReader:
    """Listens to what was recorded. `fetch` has a way to the files of each platform that keeps its own."""

    def __init__(
        self,
        store: PlatformStore,
        attachments: AttachmentStore,
        stt: SpeechToText,
        decode: Decode,
        fetch: Mapping[str, Fetch],
        *,
        most_bytes: int,
    ) -> None:
        self._store = store
        self._attachments = attachments
        self._stt = stt
        self._decode = decode
        self._fetch = fetch
        self._most_bytes = most_bytes

    async def text_of(self, work: Work) -> str:
        """What the message of a task says. Raises a retryable error when a platform does not give the file now."""
        if work.kind is not TaskKind.MESSAGE or work.resume:
            return work.text
        if work.text.strip() and platform_of(work.channel) not in self._fetch:
            return work.text  # uploads with words are for reading, not for listening
        text = work.text
        for file in await self._store.audio_of(work.message):
            text = await self._store.set_words(work.message, file.attachment.id, await self._words(work, file))
        return text

    async def _words(self, work: Work, file: StoredFile) -> str:
        try:
            content = await self._content(work, file)
            pcm = await self._decode(content, MOST_SECONDS)
            heard = await self._stt.recognize(pcm)
        except SpeechBusy:
            raise  # later
        except (InvalidInput, TooLarge, NotFound, SpeechError) as error:
            log.info("audio.not_heard", code=error.code, reason=error.message)
            return UNHEARD.format(reason=error.message)
        log.info("audio.heard", seconds=round(len(pcm) / 32_000, 1), characters=len(heard.text))
        return heard.text.strip() or SILENT

    async def _content(self, work: Work, file: StoredFile) -> bytes:
        if file.digest:
            return await self._attachments.content(file.digest)
        fetch = self._fetch.get(platform_of(work.channel))
        if fetch is None or not file.attachment.url:
            raise NotFound("The recording is not there any more.")
        if file.attachment.size > self._most_bytes:
            raise TooLarge(f"A recording may have {self._most_bytes // 1024 // 1024} MB.")
        return await fetch(file.attachment.url, self._most_bytes)
