"""Engines that listen and speak without a library: what they hear and say is told to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from antiphon.domain.errors import InvalidInput, SpeechBusy, SpeechError
from antiphon.domain.speech import (
    LISTENING_RATE,
    SAMPLE_BYTES,
    EngineState,
    EngineStatus,
    SpeechChunk,
    SpokenWord,
    Transcript,
    VoiceInfo,
)


class FakeListener:
    """Implements `domain.speech.SpeechToText`: each utterance is "heard N bytes", or what `says` gives in turn.

    `fails_after` bytes of an utterance a stream raises; `hangs` makes finals never come. With `busy` it has too much to
    do for any utterance, and for so many seconds of `behind` it says that others come first.
    """

    interim = True

    def __init__(
        self, name: str = "fake", *, says: Sequence[str] = (), fails_after: int | None = None, hangs: bool = False
    ) -> None:
        self.name = name
        self.says = list(says)
        self.fails_after = fails_after
        self.hangs = hangs
        self.busy = False
        self.behind = 0
        self.loaded = 0
        self.heard = 0
        """Bytes that streams were given."""
        self.closed = False
        self.streams: list[FakeRecognition] = []
        self.languages: list[str] = []

    async def status(self) -> EngineStatus:
        return EngineStatus(self.name, EngineState.READY)

    async def load(self) -> None:
        self.loaded += 1

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        self.languages.append(language)
        if self.busy:
            raise SpeechBusy(f"{self.name} is busy.")
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails_after is not None and len(pcm) > self.fails_after:
            raise SpeechError(f"{self.name} broke.")
        return Transcript(self.text(len(pcm)), language=language)

    def text(self, size: int) -> str:
        return self.says.pop(0) if self.says else f"heard {size} bytes"

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> FakeRecognition:
        self.languages.append(language)
        stream = FakeRecognition(self)
        self.streams.append(stream)
        return stream

    async def aclose(self) -> None:
        self.closed = True


class FakeRecognition:
    """Implements `domain.speech.RecognitionStream`."""

    def __init__(self, engine: FakeListener) -> None:
        self._engine = engine
        self._out: asyncio.Queue[Transcript | Exception | None] = asyncio.Queue()
        self.size = 0
        self.closed = False

    def push(self, pcm: bytes) -> None:
        self.size += len(pcm)
        self._engine.heard += len(pcm)
        if self._engine.fails_after is not None and self.size > self._engine.fails_after:
            self._out.put_nowait(SpeechError(f"{self._engine.name} broke."))
        else:
            self._out.put_nowait(Transcript(f"{self.size}", final=False))

    def end_utterance(self) -> None:
        behind = self._engine.behind
        for second in range(behind):
            self._later(second + 1, Transcript("", final=False))
        if self._engine.busy:
            self._out.put_nowait(SpeechBusy(f"{self._engine.name} is busy."))
        elif not self._engine.hangs:
            self._later(behind, Transcript(self._engine.text(self.size)))
        self.size = 0

    def understands(self, text: str) -> None:
        """A final that comes now, for an engine that hangs."""
        self._out.put_nowait(Transcript(text))

    def _later(self, delay: float, transcript: Transcript) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, self._out.put_nowait, transcript)
        else:
            self._out.put_nowait(transcript)

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while (heard := await self._out.get()) is not None:
            if isinstance(heard, Exception):
                raise heard
            yield heard

    async def aclose(self) -> None:
        self.closed = True
        self._out.put_nowait(None)


class FakeSpeaker:
    """Implements `domain.speech.TextToSpeech`: `word_seconds` of a constant per word, one word to a chunk.

    After `fails_after` words it raises; `hangs` makes it stop there instead. `knows_words` gives word times. Voices in
    `refuses` it does not know.
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        rate: int = LISTENING_RATE,
        fails_after: int | None = None,
        hangs: bool = False,
        knows_words: bool = True,
        word_seconds: float = 0.1,
        refuses: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.sample_rate = rate
        self.fails_after = fails_after
        self.hangs = hangs
        self.knows_words = knows_words
        self.word_seconds = word_seconds
        self.refuses = refuses
        self.spoken: list[str] = []
        self.voices_used: list[str] = []
        self.running = 0
        self.closed = False

    async def status(self) -> EngineStatus:
        return EngineStatus(self.name, EngineState.READY)

    async def load(self) -> None:
        return

    async def voices(self) -> Sequence[VoiceInfo]:
        return [VoiceInfo(f"{self.name}-voice", "en-US")]

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        self.voices_used.append(voice)
        if voice in self.refuses:
            raise InvalidInput(f"There is no voice {voice}.")
        self.running += 1
        try:
            at = 0
            for number, word in enumerate(text.split()):
                if number == self.fails_after:
                    if self.hangs:
                        await asyncio.Event().wait()
                    raise SpeechError(f"{self.name} broke.")
                at = text.index(word, at)
                self.spoken.append(word)
                known = (SpokenWord(number * self.word_seconds, at, at + len(word)),) if self.knows_words else ()
                await asyncio.sleep(0)
                yield SpeechChunk(b"\1\0" * round(self.sample_rate * self.word_seconds), known)
                at += len(word)
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        self.closed = True


def seconds(chunks: Sequence[SpeechChunk], rate: int) -> float:
    """How long the audio of chunks lasts."""
    return sum(len(chunk.pcm) for chunk in chunks) / SAMPLE_BYTES / rate
