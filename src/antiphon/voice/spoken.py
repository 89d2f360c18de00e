"""An answer on its way from text to sound: which sample of it belongs to which word.

Whoever synthesises (`speaking`) notes the pieces; `playout` asks how much of the text was heard at a sample. An answer
that was interrupted is stored up to the last word of which at least half was played.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from antiphon.domain.speech import SpokenWord
from antiphon.voice.transports.transport import RATE

CHARS_A_SECOND = 15.0
"""How fast a piece is taken to be spoken while its end is not known yet."""
_WORD = re.compile(r"\S+")


@dataclass(slots=True)
class Piece:
    """A sentence or so: where it stands in the text and in the sound. `end` is None while it is synthesised."""

    at: int
    text: str
    start: int
    end: int | None = None
    words: list[SpokenWord] = field(default_factory=list[SpokenWord])

    def heard(self, samples: int) -> int:
        """Characters of the piece that were heard when `samples` of the whole answer were played."""
        if self.end is not None and samples >= self.end:
            return len(self.text)
        done = 0
        for begin, finish, chars in self._words():
            if samples < self.start + (begin + finish) / 2 * RATE:
                break
            done = chars
        return done

    def _words(self) -> Iterator[tuple[float, float, int]]:
        """When each word begins and ends, in seconds of the piece, and where it ends in the text."""
        length = (self.end - self.start) / RATE if self.end is not None else len(self.text) / CHARS_A_SECOND
        if self.words:
            for word, after in zip(self.words, [*self.words[1:], None], strict=True):
                yield word.at, after.at if after else max(length, word.at), word.end
            return
        total = max(1, len(self.text))
        for match in _WORD.finditer(self.text):
            yield match.start() / total * length, match.end() / total * length, match.end()


class Spoken:
    """One answer. `text` grows as the model writes, `pieces` as the engine speaks; samples are at the wire's rate."""

    def __init__(self) -> None:
        self.text = ""
        self.pieces: list[Piece] = []
        self.samples = 0
        self.heard_samples = 0
        self.interrupted = False
        self.complete = False
        """Whether everything was synthesised that was to be said."""
        self.broken = False
        """Whether the engine failed: no more sound will come."""

    def begin(self, at: int, text: str) -> Piece:
        """A piece of the text is going to be synthesised now."""
        piece = Piece(at, text, self.samples)
        self.pieces.append(piece)
        return piece

    def breaks(self, piece: Piece) -> None:
        """The engine failed within a piece: what it did not come to is not part of the sound."""
        self.broken = True
        seconds = (self.samples - piece.start) / RATE
        chars = piece.words[-1].end if piece.words else min(len(piece.text), int(seconds * CHARS_A_SECOND))
        piece.text, piece.end = piece.text[:chars], self.samples

    def sounded(self, samples: int) -> None:
        """So much more sound of the piece is there."""
        self.samples += samples

    def heard(self, samples: int | None = None) -> str:
        """The text that was heard after so many samples (by default, what was played in the end)."""
        samples = self.heard_samples if samples is None else samples
        if self.complete and samples >= self.samples:
            return self.text
        chars = 0
        for piece in self.pieces:
            if samples <= piece.start:
                break
            done = piece.heard(samples)
            chars = piece.at + done
            if done < len(piece.text):
                break
        return self.text[:chars].rstrip()

    @property
    def unheard(self) -> str:
        """What of the text nobody heard."""
        return self.text[len(self.heard()) :].strip()
