"""From an answer's text to its sound, piece by piece: the first clause is spoken while the model still writes.

A piece is cut as soon as it can be spoken well. Marks that nobody reads aloud become spaces, so that every word keeps
its place in the text.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from typing import cast

import structlog

from antiphon.domain.errors import AntiphonError, InvalidInput
from antiphon.domain.speech import SAMPLE_BYTES, SpeechChunk, TextToSpeech
from antiphon.speech.resampling import Resampler
from antiphon.voice.spoken import Piece, Spoken
from antiphon.voice.transports.transport import RATE

log = structlog.stdlib.get_logger(__name__)

FIRST_PIECE_CHARS = 30
"""From this length on the first piece may end at a comma: the person waits for it."""
LONGEST_PIECE = 240
AHEAD_SECONDS = 6.0
"""Sound that is made in advance; more would be wasted by an interruption."""
CHUNK_SECONDS = 120.0
"""How long the engine may take for the next piece of sound. The chain of engines loses its patience long before."""
NO_VOICE = "My voice failed. The answer stands in the transcript."

_SENTENCE = re.compile(r"[.!?…。！？:]+[\"')\]»”*_]*\s+|\n+")  # noqa: RUF001 - full-width marks end sentences too
_CLAUSE = re.compile(r"[,;–—]\s+")  # noqa: RUF001 - dashes of prose
_UNREAD = re.compile(
    r"(?P<image>!\[[^\]]*\]\([^)\s]*\))|\[(?P<label>[^\]]*)\]\([^)\s]*\)|(?P<address>https?://\S+)"
    r"|(?P<marks>[*_`~#>|]+|[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F]+|^\s*[-+]\s)",
    re.MULTILINE,
)

_SUM = re.compile(r"(?<=[\d)] )(?:[*/](?= [\d(])|-(?= [\d(][^\n=]*=))")
_READ_AS = {"*": "×", "/": "÷", "-": "−"}  # noqa: RUF001 - engines say "minus" for this sign, and nothing for a hyphen
"""The signs of a sum as engines read them; elsewhere the same ones are marks."""


def speakable(text: str) -> str:
    """The text with everything that is not read aloud replaced by as many spaces."""

    def blank(match: re.Match[str]) -> str:
        if match["label"] is not None:
            return f" {match['label']}".ljust(len(match[0]))
        return " " * len(match[0])

    return _UNREAD.sub(blank, _SUM.sub(lambda sign: _READ_AS[sign[0]], text))


def next_piece(text: str, *, first: bool, complete: bool) -> int:
    """How many characters of `text` can be spoken now; 0 when more must come first."""
    for match in _SENTENCE.finditer(text):
        if match.end() >= 2:
            return match.end()
    if first:
        for match in _CLAUSE.finditer(text):
            if match.end() >= FIRST_PIECE_CHARS:
                return match.end()
    if len(text) > LONGEST_PIECE:
        return max(text.rfind(" ", 0, LONGEST_PIECE) + 1, 1) if " " in text[:LONGEST_PIECE] else LONGEST_PIECE
    return len(text) if complete else 0


class Speaking:
    """The voice of one session."""

    def __init__(
        self,
        tts: TextToSpeech,
        *,
        language: str,
        voice: str,
        played: Callable[[Spoken], float],
        failed: Callable[[str, str], None],
    ) -> None:
        """`played` says how many seconds of an answer went out; `failed` is told a code and words for the person."""
        self._tts = tts
        self._language = language
        self._voice = voice
        self._played = played
        self._failed = failed

    async def speak(self, text: AsyncIterable[str], spoken: Spoken) -> AsyncGenerator[bytes, None]:
        """The sound of an answer at the wire's rate, in pieces of any size. Text that cannot be spoken is noted all
        the same."""
        waiting, at = "", 0
        async for delta in text:
            spoken.text += delta
            waiting += delta
            while not spoken.broken and (cut := next_piece(waiting, first=at == 0, complete=False)):
                async for pcm in self._piece(waiting[:cut], at, spoken):
                    yield pcm
                waiting, at = waiting[cut:], at + cut
        while not spoken.broken and (cut := next_piece(waiting, first=at == 0, complete=True)):
            async for pcm in self._piece(waiting[:cut], at, spoken):
                yield pcm
            waiting, at = waiting[cut:], at + cut
        spoken.complete = not spoken.broken

    async def _piece(self, text: str, at: int, spoken: Spoken) -> AsyncGenerator[bytes, None]:
        words = speakable(text)
        if not any(char.isalnum() for char in words):
            return
        if (ahead := spoken.samples / RATE - self._played(spoken)) > AHEAD_SECONDS:
            await asyncio.sleep(ahead - AHEAD_SECONDS)
        piece = spoken.begin(at, text)
        try:
            async with aclosing(self._synthesize(words)) as chunks:
                async for chunk in chunks:
                    if chunk.words:
                        piece.words.extend(chunk.words)
                    if chunk.pcm:
                        spoken.sounded(len(chunk.pcm) // SAMPLE_BYTES)
                        yield chunk.pcm
            piece.end = spoken.samples
        except TimeoutError:
            log.warning("voice.synthesis_hangs", engine=self._tts.name)
            self._broke(piece, spoken, "speech_timeout")
        except InvalidInput as error:
            self._broke(piece, spoken, error.code, error.message)
        except AntiphonError as error:
            log.warning("voice.synthesis_failed", code=error.code)
            self._broke(piece, spoken, error.code)
        except Exception:
            log.exception("voice.synthesis_failed")
            self._broke(piece, spoken, "speech_failed")

    def _broke(self, piece: Piece, spoken: Spoken, code: str, words: str = NO_VOICE) -> None:
        spoken.breaks(piece)
        self._failed(code, words)

    async def _synthesize(self, words: str) -> AsyncGenerator[SpeechChunk, None]:
        """Chunks at the wire's rate. A voice that there is not is told once, and the engine's own speaks."""
        try:
            async with aclosing(self._chunks(words)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except InvalidInput as error:
            if not self._voice:
                raise
            self._voice = ""
            self._failed("unknown_voice", f"{error.message} I speak with my own voice.")
        async with aclosing(self._chunks(words)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _chunks(self, words: str) -> AsyncGenerator[SpeechChunk, None]:
        resampler: Resampler | None = None
        chunks = cast(
            "AsyncGenerator[SpeechChunk, None]",
            self._tts.synthesize(words, voice=self._voice, language=self._language),
        )
        async with aclosing(chunks):
            while True:
                try:
                    async with asyncio.timeout(CHUNK_SECONDS):
                        chunk = await anext(chunks)
                except StopAsyncIteration:
                    break
                if resampler is None and self._tts.sample_rate != RATE:
                    resampler = Resampler(self._tts.sample_rate, RATE)
                if resampler is None:
                    yield chunk
                else:
                    yield SpeechChunk(resampler.process(chunk.pcm), chunk.words)
        if resampler is not None and (rest := resampler.flush()):
            yield SpeechChunk(rest)
