"""Engines that speak in a process of their own: text goes there piece by piece, audio and word times come back.

Used by `tts/espeak`, `tts/piper` and `tts/kokoro`. The next piece is asked for when the one before was taken, which
bounds what waits here; a process that dies is replaced once, and goes on at the word that was being spoken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from antiphon.domain.speech import SAMPLE_BYTES, SpeechChunk, SpokenWord
from antiphon.speech.child import Child, ChildGone
from antiphon.speech.sentences import pieces

_PIECE = 400


async def speak(
    child: Child, text: str, how: Mapping[str, Any], *, longest: int = _PIECE
) -> AsyncGenerator[SpeechChunk, None]:
    """Speak `text`; `how` goes with each piece. The child says its sample rate (`rate`) when it is ready."""
    spoken, died = 0, False
    waiting = deque(pieces(text, longest))
    while waiting:
        start, piece = waiting.popleft()
        await child.start()
        rate = int(child.facts["rate"])
        offset, reached = spoken / SAMPLE_BYTES / rate, 0
        line = child.line()
        line.ask({**how, "text": _plain(piece)})
        try:
            while True:
                header, pcm = await line.receive()
                if header.get("done"):
                    break
                words = tuple(SpokenWord(at + offset, a + start, b + start) for at, a, b in header.get("words", ()))
                spoken += len(pcm)
                reached = words[-1].start - start if words else reached
                yield SpeechChunk(pcm, words)
        except ChildGone:
            if died:
                raise
            died = True
            waiting.appendleft((start + reached, piece[reached:]))
        finally:
            line.send({"stop": True})
            line.close()


def _plain(text: str) -> str:
    """Without what no library takes; no character moves."""
    return "".join(" " if character == "\0" or "\ud800" <= character <= "\udfff" else character for character in text)
