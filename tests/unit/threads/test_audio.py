"""Voice messages become words once; what cannot be heard is said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from antiphon.domain.attachments import StoredFile
from antiphon.domain.conversation import Attachment
from antiphon.domain.errors import InvalidInput, SpeechBusy, SpeechError, Unavailable
from antiphon.domain.identity import Requester
from antiphon.domain.speech import Transcript
from antiphon.domain.work import Lease, TaskKind, Work
from antiphon.threads.audio import SILENT, AudioReader


class Kept:
    """The part of the store that is used."""

    def __init__(self, *files: StoredFile) -> None:
        self.files = list(files)
        self.text = ""

    async def audio_of(self, message: int) -> Sequence[StoredFile]:
        return list(self.files)

    async def set_words(self, message: int, attachment: int, words: str) -> str:
        self.files = [file for file in self.files if file.attachment.id != attachment]
        self.text = f"{self.text}\n\n{words}".strip()
        return self.text


class Engine:
    """Hears what it is told to."""

    def __init__(self, said: str | Exception) -> None:
        self.said = said
        self.heard = 0

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        self.heard += 1
        if isinstance(self.said, Exception):
            raise self.said
        return Transcript(self.said)


def recording(number: int = 1, size: int = 10, digest: str = "") -> StoredFile:
    return StoredFile(Attachment("v.ogg", "audio/ogg", size, "https://files/v", id=number), digest, "discord:1", None)


def work(text: str = "", channel: str = "discord:1", **more: object) -> Work:
    who = Requester(person=1, platform=channel.partition(":")[0], channel=channel)
    return Work(Lease(1, "me", 1), channel, 1, 7, text, who, **more)  # type: ignore[arg-type]


def reader(kept: Kept, engine: Engine, fetched: bytes | Exception = b"OggS") -> AudioReader:
    async def fetch(url: str, most: int) -> bytes:
        if isinstance(fetched, Exception):
            raise fetched
        return fetched

    async def decode(content: bytes, seconds: float) -> bytes:
        if content != b"OggS":
            raise InvalidInput("This is no audio file.")
        return bytes(32)

    return AudioReader(kept, None, engine, decode, {"discord": fetch}, most_bytes=100)  # type: ignore[arg-type]


async def test_words_are_heard_once() -> None:
    kept, engine = Kept(recording(1), recording(2)), Engine(" hello there ")
    listener = reader(kept, engine)
    assert await listener.text_of(work()) == "hello there\n\nhello there"
    assert await listener.text_of(work(kept.text)) == kept.text, "a replay reads what is kept"
    assert engine.heard == 2


@pytest.mark.parametrize(
    ("engine", "file", "fetched", "said"),
    [
        (Engine(""), recording(), b"OggS", SILENT),
        (Engine(SpeechError("No model.")), recording(), b"OggS", "No model."),
        (Engine("x"), recording(), b"<html>", "no audio file"),
        (Engine("x"), recording(size=101), b"OggS", "A recording may have"),
    ],
)
async def test_what_cannot_be_heard_is_said(engine: Engine, file: StoredFile, fetched: bytes, said: str) -> None:
    assert said in await reader(Kept(file), engine, fetched).text_of(work())


async def test_a_platform_that_is_away_is_asked_again_later() -> None:
    kept = Kept(recording())
    with pytest.raises(Unavailable):
        await reader(kept, Engine("x"), Unavailable("Discord does not answer.")).text_of(work())
    assert kept.files, "nothing was decided"


async def test_an_engine_that_has_too_much_to_do_is_asked_again_later() -> None:
    kept = Kept(recording())
    with pytest.raises(SpeechBusy):
        await reader(kept, Engine(SpeechBusy("Too much to do.")), b"OggS").text_of(work())
    assert kept.files, "nothing was decided"


async def test_what_is_no_message_is_left_alone() -> None:
    kept, engine = Kept(recording()), Engine("x")
    listener = reader(kept, engine)
    assert await listener.text_of(work("later", kind=TaskKind.SCHEDULED)) == "later"
    assert await listener.text_of(work("again", resume=True)) == "again"
    assert await listener.text_of(work("look at this", "web:a")) == "look at this"
    assert engine.heard == 0
