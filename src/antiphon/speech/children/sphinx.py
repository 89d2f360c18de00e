"""pocketsphinx in a process of its own: it holds the interpreter's lock while it decodes.

Started by `stt/pocketsphinx`. The first frame brings the settings and the sentences of the language model. Then, each
with the id of a stream: {"op": "hear"} with PCM, {"op": "end"}: the person stopped, {"op": "whole"} with PCM of a
recording that nobody watches, {"op": "close"}. Frames out: {"id", "partial"}, {"id", "final", "confidence", "words"},
{"id", "error"}, {"id", "busy"}: there are too many before you, {"id", "waits"}: it takes time, but it goes on,
{"id", "left"} after a piece of something long, {"id", "done"} where it was closed.

One thing is done at a time, and nothing takes long: what people wait for first (finals, a piece of up to 15 seconds at
a time, the streams in turn: `sphinx_queue`; the slow part of a piece is given up when its person leaves), then partials
of streams whose audio is fresh. A machine that cannot keep up gives fewer partials, then finals of our model alone, and
then refuses those it would let wait for too long.
"""

from __future__ import annotations

import queue
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.speech.children.frames import Channel
from antiphon.speech.children.sphinx_model import Decoders, Heard
from antiphon.speech.children.sphinx_queue import RATE, Audio, Job, Queue

_LONGEST = 15 * RATE
"""Samples of a piece that is decoded at once. Longer speech is cut where it is quietest."""
_SEARCH = 5 * RATE
_FAINT = 25.0
"""Loudness of 20 ms below which nobody can be heard."""
_PAUSE, _AROUND = 35, 15
"""Frames of 20 ms: a pause that parts what is said, and how much of it stays on either side."""
_STALE = 4 * RATE
"""Samples waiting for a partial beyond which the stream gets none for this utterance."""
_KEPT = 120 * RATE
"""Samples of one utterance that are kept; what goes on longer is recognised and begun anew."""
_PARTIAL_EVERY = RATE // 10
_MOST_LIVE = 16
_LULL_SECONDS, _TAKING_SECONDS = 0.003, 0.05
_DAMMED_SECONDS, _DAMMED_BYTES = 2.0, 32 * 1024
"""How long it is taken in at most while the pipe is full, and what is full."""


@dataclass(slots=True)
class Stream:
    """One person, or one recording."""

    id: int
    audio: list[Audio] = field(default_factory=list[Any])
    fresh: list[Audio] = field(default_factory=list[Any])
    """What has not gone into the live decoder."""
    samples: int = 0
    seen: int = 0
    live: Any = None
    stale: bool = False
    said: str = ""
    hints: str = ""


class Unwanted(Exception):
    """Whoever waited for what is being decoded has gone."""


class Recogniser(Channel):
    """The decoders and the pipe."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: dict[int, Stream] = {}
        self._current: Job | None = None
        """What is decoded now, while somebody waits for it."""

    def open(self, settings: dict[str, Any], phrases: bytes) -> None:
        """Build the language model and load the decoders. Raises whatever the library raises."""
        self._queue = Queue(float(settings["waiting"]))
        with tempfile.TemporaryDirectory(prefix="antiphon-sphinx-") as folder:
            self._decoders = Decoders(settings, phrases.decode().splitlines(), Path(folder))

    def run(self) -> None:
        """Work until the pipe closes."""
        while True:
            self._take(wait=not self._queue and not any(self._has_news(s) for s in self._streams.values()))
            for job in self._queue.late():
                self._refuse(job)
            for job in self._queue.waiting():
                self.send({"id": job.id, "waits": True})
            if (job := self._queue.next()) is not None:
                self._decode(job)
            else:
                self._partials()

    def _take(self, *, wait: bool) -> None:
        """What came in, until nothing comes for a moment: decoding holds the interpreter's lock, so what came meanwhile
        still lies in the pipe, and whose turn it is depends on all of it. Many who speak at once leave no such moment:
        then it is enough that nothing is dammed up.
        """
        try:
            self._handle(*self.inbox.get(timeout=None if wait else _LULL_SECONDS))
            begun = time.monotonic()
            while (passed := time.monotonic() - begun) < _TAKING_SECONDS or (
                passed < _DAMMED_SECONDS and self.unread() > _DAMMED_BYTES
            ):
                self._handle(*self.inbox.get(timeout=_LULL_SECONDS))
        except queue.Empty:
            return

    def _handle(self, header: dict[str, Any], payload: bytes) -> None:
        number: int = header["id"]
        operation: str = header["op"]
        if operation == "close":
            if (gone := self._streams.pop(number, None)) is not None:
                self._decoders.give_back(gone.live)
            self._queue.drop(number)
            if self._current is not None and self._current.id == number:
                self._current = None
            self.send({"id": number, "done": True})
            return
        stream = self._streams.setdefault(number, Stream(number))
        if payload:
            piece = np.frombuffer(payload[: len(payload) & ~1], np.int16)
            stream.audio.append(piece)
            if not stream.stale:
                stream.fresh.append(piece)
            stream.samples += len(payload) // 2
        if operation == "whole":
            stream.stale = True
        elif operation == "end" or stream.samples > _KEPT:
            self._finish(stream)

    def _finish(self, stream: Stream) -> None:
        whole = np.concatenate(stream.audio) if stream.audio else np.zeros(0, np.int16)
        self._decoders.give_back(stream.live)
        self._streams[stream.id] = Stream(stream.id)
        job = Job(stream.id, deque(cut(whole)))
        if not self._queue.add(job):
            self._refuse(job)

    def _refuse(self, job: Job) -> None:
        self.send({"id": job.id, "busy": True, "done": True})

    def _decode(self, job: Job) -> None:
        """One piece of a job, which then goes behind the others."""
        self._current = job
        if job.pieces:
            begin, piece = job.pieces.popleft()
            try:
                job.found.append((begin / RATE, self._heard(job, piece)))
            except Unwanted:
                return
            except Exception as error:
                self.send({"id": job.id, "error": f"it could not decode ({type(error).__name__})", "done": True})
                return
        if job.pieces:
            self.send({"id": job.id, "left": len(job.pieces)})
            self._queue.again(job)
            return
        heard = [(offset, one) for offset, one in job.found if one.text]
        words = [[w.text, w.start + offset, w.end + offset, w.confidence] for offset, one in heard for w in one.words]
        confidence = min((one.confidence for _, one in heard), default=0.0)
        text = " ".join(one.text for _, one in heard)
        self.send({"id": job.id, "final": text, "confidence": confidence, "words": words, "done": True})

    def _heard(self, job: Job, piece: Audio) -> Heard:
        """What our model makes of it; where that is not sure, the better of both, if there is time."""
        begun = time.monotonic()
        sound = self._decoders.sound(piece)
        if sound is None:
            return Heard()
        ours = self._decoders.ours(sound)
        self._queue.took(piece, time.monotonic() - begun)
        if self._decoders.sure(sound, ours) or not self._queue.patient(piece):
            return ours

        def goes_on() -> None:  # on a machine with no time for us it takes long, and is no hang
            self.send({"id": job.id, "waits": True})
            self._take(wait=False)
            if self._current is not job:
                raise Unwanted

        begun = time.monotonic()
        better = self._decoders.better(sound, ours, goes_on)
        self._queue.took(piece, time.monotonic() - begun, second=True)
        return better

    def _has_news(self, stream: Stream) -> bool:
        return not stream.stale and stream.samples - stream.seen >= _PARTIAL_EVERY

    def _partials(self) -> None:
        """What the streams say so far, the one that waits longest first, until a frame comes in."""
        waiting = [stream for stream in self._streams.values() if self._has_news(stream)]
        for stream in sorted(waiting, key=lambda one: one.seen - one.samples):
            if stream.samples - stream.seen > _STALE:
                stream.stale = True
                self._decoders.give_back(stream.live)
                stream.live = None
                continue
            if stream.live is None:
                stream.live = self._decoders.take_live() if self._decoders.lent < _MOST_LIVE else None
            if stream.live is None:
                stream.stale = True
                continue
            text = self._decoders.partial(stream.live, np.concatenate(stream.fresh))
            stream.seen, stream.fresh = stream.samples, []
            if text and text != stream.said:
                stream.said = text
                self.send({"id": stream.id, "partial": text})
            if not self.inbox.empty():
                return


def cut(audio: Audio) -> list[tuple[int, Audio]]:
    """Where each piece begins, and the piece: what is said between long pauses, with a little of the silence around
    it; the mean of a piece would else be that of its silence. What goes on for too long is cut at its quietest moment.
    """
    frame = RATE // 50
    count = len(audio) // frame
    if count == 0:
        return []
    loud = np.sqrt((audio[: count * frame].astype(np.float32).reshape(-1, frame) ** 2).mean(axis=1))
    floor, top = float(np.percentile(loud, 20)), float(np.percentile(loud, 98))
    spoken = np.flatnonzero(loud > max(_FAINT, min(3 * floor, top / 4), top / 30))
    if not len(spoken):
        return [] if top < _FAINT else [(0, audio)]
    pieces: list[tuple[int, Audio]] = []
    breaks = np.flatnonzero(np.diff(spoken) > _PAUSE)
    for first, last in zip([0, *(breaks + 1)], [*breaks, len(spoken) - 1], strict=True):
        begin = max(int(spoken[first]) - _AROUND, 0) * frame
        end = min((int(spoken[last]) + 1 + _AROUND) * frame, len(audio))
        pieces += _short(begin, audio[begin:end])
    return pieces


def _short(begin: int, audio: Audio) -> list[tuple[int, Audio]]:
    """Pieces of at most 15 seconds, cut at the quietest moment of the last five of each."""
    pieces: list[tuple[int, Audio]] = []
    frame = RATE // 50
    while len(audio) > _LONGEST:
        tail = audio[_LONGEST - _SEARCH : _LONGEST].astype(np.float32)
        loudness = (tail[: len(tail) // frame * frame].reshape(-1, frame) ** 2).sum(axis=1)
        smooth = np.convolve(loudness, np.ones(10), "same")
        at = _LONGEST - _SEARCH + (int(smooth.argmin()) + 1) * frame
        pieces.append((begin, audio[:at]))
        begin, audio = begin + at, audio[at:]
    return [*pieces, (begin, audio)]


def main() -> None:
    """Get ready, say so, and recognise until the pipe closes."""
    recogniser = Recogniser()
    recogniser.listen()
    settings, phrases = recogniser.inbox.get()
    try:
        recogniser.open(settings, phrases)
    except Exception as error:
        recogniser.send({"error": f"{type(error).__name__}: {error}"})
        return
    recogniser.send({"ready": True})
    recogniser.run()


if __name__ == "__main__":
    main()
