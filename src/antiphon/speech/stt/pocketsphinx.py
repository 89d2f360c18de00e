"""pocketsphinx: recognises English commands offline, with nothing to fetch. The default.

A recogniser of commands, not of dictation: its language model is made of the sentences people say to this program
(`Surroundings.phrases`), and what is said otherwise is heard badly. It knows English only, and says so.

It runs in processes of its own (`children/sphinx`), as it holds the interpreter's lock while it works. A stream gives
interim transcripts from a live decoder, and its final from a second pass over the whole utterance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES, EngineState, EngineStatus, Transcript, Word
from antiphon.speech.child import Child, Frame, Line
from antiphon.speech.engine import SttEngine, Surroundings, check_ready, package_missing
from antiphon.speech.pronunciations import PRONUNCIATIONS

_LANGUAGE = "en"
_STILL_SECONDS = 60.0
"""The longest piece takes the general model six seconds, and a busy machine may give it a tenth of its time."""
_SENT_BYTES = 256 * 1024
_EARLY_BYTES = 120 * LISTENING_RATE * SAMPLE_BYTES


class Config(BaseModel, extra="forbid"):
    """`[speech.engines.pocketsphinx]`."""

    general: bool = Field(
        default=True,
        description="Whether the general English model is asked where ours is not sure: half the errors in free "
        "speech, 100 MB more memory while people speak, and then six times the work.",
    )
    processes: int = Field(default=1, ge=1, le=16, description="Processes that recognise; sessions share them.")
    live: int = Field(default=4, ge=0, le=32, description="People who get interim transcripts at once, per process.")
    waiting_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Longest time somebody waits for their turn; whoever would wait longer is told at once that it is "
        "busy.",
    )
    weight: float = Field(default=9.0, gt=0, le=30, description="Weight of the language model against the sound.")
    noise: float = Field(default=20.0, ge=0, le=500, description="Noise added to the sound, as a standard deviation.")
    idle_seconds: float = Field(
        default=300.0, gt=0, le=86_400, description="Seconds without a listener after which a process ends."
    )
    pronunciations: Mapping[str, str] = Field(
        default={}, description="Sounds of words the dictionary lacks, in its alphabet: { unmute = 'AH N M Y UW T' }."
    )


class PocketSphinx:
    """Implements `domain.speech.SpeechToText`."""

    name = "pocketsphinx"
    interim = True

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        self._config = config
        self._phrases = surroundings.phrases
        self._children = [
            Child(
                self.name,
                "antiphon.speech.children.sphinx",
                set_up=self._set_up,
                still_seconds=_STILL_SECONDS,
                idle_seconds=config.idle_seconds,
            )
            for _ in range(config.processes)
        ]

    async def _set_up(self) -> Frame:
        """The settings, and every sentence on a line of its own."""
        config = self._config
        header: dict[str, Any] = {
            "noise": config.noise,
            "weight": config.weight,
            "general": config.general,
            "live": config.live,
            "waiting": config.waiting_seconds,
            "pronunciations": {**PRONUNCIATIONS, **config.pronunciations},
        }
        phrases = await asyncio.to_thread(self._phrases)
        return header, "\n".join(phrases or ("hello", "yes", "no", "stop")).encode()

    async def status(self) -> EngineStatus:
        """Whether its package is installed. Its model comes with it."""
        for module in ("pocketsphinx", "numpy"):
            if (missing := package_missing(self.name, module, "speech")) is not None:
                return missing
        return EngineStatus(
            self.name,
            EngineState.READY,
            "Understands English commands only, offline. For other languages and free speech put a better engine "
            "before it in speech.stt.",
        )

    async def load(self) -> None:
        """Start one process and wait until it listens."""
        check_ready(await self.status())
        await self._child().start()

    @property
    def processes(self) -> Sequence[int]:
        """The ids of its processes that run."""
        return [pid for child in self._children if (pid := child.pid) is not None]

    def _child(self) -> Child:
        return min(self._children, key=lambda child: child.lines)

    async def recognize(self, pcm: bytes, *, language: str = "", hints: Sequence[str] = ()) -> Transcript:
        """Recognise one utterance, or a recording piece by piece."""
        del language, hints
        await self.load()
        child = self._child()
        await child.start()
        line = child.line()
        try:
            whole = pcm[: len(pcm) & ~1]
            for begin in range(0, len(whole), _SENT_BYTES):
                line.send({"op": "whole"}, whole[begin : begin + _SENT_BYTES])
                await line.drain()
            line.ask({"op": "end"})
            while True:
                header, _ = await line.receive()
                if "final" in header:
                    return _transcript(header)
        finally:
            line.send({"op": "close"})
            line.close()

    def stream(self, *, language: str = "", hints: Sequence[str] = ()) -> _Stream:
        """Listen to one person; the process is started with the first audio."""
        del language, hints
        return _Stream(self._child())

    async def aclose(self) -> None:
        """End the processes."""
        for child in self._children:
            await child.aclose()


class _Stream:
    """Implements `domain.speech.RecognitionStream`."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._line: Line | None = None
        self._early: list[tuple[str, bytes]] = []
        """What came before the process was there."""
        self._early_bytes = 0
        self._closed = False
        self._refused = False

    def push(self, pcm: bytes) -> None:
        """Send audio to the process."""
        if self._closed:
            return
        if self._line is not None:
            self._refused = not self._line.send({"op": "hear"}, pcm) or self._refused
        elif self._early_bytes + len(pcm) > _EARLY_BYTES:
            self._refused = True
        else:
            self._early.append(("hear", pcm))
            self._early_bytes += len(pcm)

    def end_utterance(self) -> None:
        """Ask for the final."""
        if self._line is not None:
            self._line.ask({"op": "end"})
        elif not self._closed:
            self._early.append(("end", b""))

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        """Interim and final transcripts until it is closed."""
        if self._line is None and not self._closed:
            await self._child.start()
            if not self._closed:
                self._begin(self._child.line())
        while (line := self._line) is not None:
            try:
                header, _ = await line.receive()
            except SpeechError:
                if self._closed:
                    return
                raise
            if self._refused:
                raise SpeechError("The engine pocketsphinx does not keep up with what is said.")
            if "waits" in header:
                yield Transcript("", final=False, language=_LANGUAGE)
            elif "partial" in header:
                yield Transcript(str(header["partial"]), final=False, language=_LANGUAGE)
            elif "final" in header:
                yield _transcript(header)

    def _begin(self, line: Line) -> None:
        self._line = line
        for operation, pcm in self._early:
            send = line.ask if operation == "end" else line.send
            send({"op": operation}, pcm)
        self._early.clear()

    async def aclose(self) -> None:
        """Forget what was said."""
        self._closed = True
        self._early.clear()
        if (line := self._line) is not None:
            self._line = None
            line.send({"op": "close"})
            line.close()
            line.end()


def _transcript(header: Mapping[str, Any]) -> Transcript:
    words = tuple(Word(str(text), start, end, confidence) for text, start, end, confidence in header["words"])
    return Transcript(str(header["final"]), language=_LANGUAGE, confidence=float(header["confidence"]), words=words)


ENGINE = SttEngine(
    title="offline, English commands only, nothing to fetch",
    config=Config,
    languages=lambda config: frozenset({_LANGUAGE}),
    make=PocketSphinx,
)
