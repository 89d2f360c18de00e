"""Audio files and messages as PCM and back: what people record (ogg-opus, webm, mp3, m4a, flac, wav) comes in many
containers, cut off or broken, and now and then made to hurt.

Only the formats above are opened, each by the reader its first bytes ask for, never by guessing among all that the
library knows: some of those follow addresses or open files. Bytes that come out, seconds that pass and what is held at
once are bounded. Work is done in threads, a few at a time.
"""

from __future__ import annotations

import asyncio
import io
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from antiphon.domain.errors import InvalidInput, TooLarge, Unavailable
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES

_MOST_BYTES = 100 * 1024 * 1024
_MOST_CHANNELS, _MOST_RATE = 8, 192_000
_AT_ONCE = 2
_BROKEN_PACKETS = 200
"""Unreadable packets in one file before the rest of it is left alone."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """PCM of a file, 16 bit mono. `cut` says that the file was longer than wanted or broken off."""

    pcm: bytes
    rate: int = LISTENING_RATE
    cut: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / SAMPLE_BYTES / self.rate


async def decode(
    data: bytes, *, rate: int = LISTENING_RATE, max_seconds: float = 600.0, patience_seconds: float = 30.0
) -> Decoded:
    """The audio in a file. Beyond `max_seconds` it is cut; what is readable of a broken file is given.

    Raises `InvalidInput` when it is no audio, `TooLarge`, and `Unavailable` when the library is missing or it takes
    longer than `patience_seconds`.
    """
    if len(data) > _MOST_BYTES:
        raise TooLarge(f"An audio file may have {_MOST_BYTES // 1024 // 1024} MB.")
    async with _turn():
        return await asyncio.to_thread(decode_now, data, rate, max_seconds, patience_seconds)


async def encode(pcm: bytes, *, rate: int, form: str = "ogg") -> bytes:
    """PCM as a file: `ogg` (opus, what messengers play) or `wav`."""
    if form == "wav":
        return wav(pcm, rate)
    async with _turn():
        return await asyncio.to_thread(encode_now, pcm, rate)


def decode_now(
    data: bytes, rate: int = LISTENING_RATE, max_seconds: float = 600.0, patience_seconds: float = 30.0
) -> Decoded:
    """`decode` in this thread."""
    av = _library()
    form = container(data)
    if not form:
        raise InvalidInput("This is no audio file; ogg, webm, mp3, m4a, flac, wav and aac are read.")
    most = int(max_seconds * rate) * SAMPLE_BYTES
    deadline = time.monotonic() + patience_seconds
    pcm, cut = bytearray(), False
    try:
        with av.open(io.BytesIO(data), "r", format=form, metadata_errors="ignore", options=_CAREFUL) as source:
            if not source.streams.audio:
                raise InvalidInput("There is no sound in this file.")
            for piece in _pieces(av, source, rate):
                if piece is None:
                    cut = True
                    continue
                pcm += piece
                if len(pcm) >= most:
                    cut = True
                    break
                if time.monotonic() > deadline:
                    raise Unavailable("Reading the audio file takes too long.")
    except av.FFmpegError as error:
        if not pcm:
            raise InvalidInput("The audio file is damaged; nothing in it can be read.") from error
        cut = True
    if not pcm:
        raise InvalidInput("The audio file holds no sound.")
    return Decoded(bytes(pcm[:most]), rate, cut)


def _pieces(av: Any, source: Any, rate: int) -> Iterator[bytes | None]:
    """Resampled pieces; None for a packet that cannot be read."""
    stream = source.streams.audio[0]
    stream.thread_type = "NONE"
    resampler: Any = None
    shape: tuple[object, ...] = ()
    broken = 0
    for packet in source.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            broken += 1
            yield None
            if broken > _BROKEN_PACKETS:
                return
            continue
        for frame in frames:
            if frame.sample_rate > _MOST_RATE or len(frame.layout.channels) > _MOST_CHANNELS:
                raise InvalidInput("The audio file has more channels or a higher sample rate than sound has.")
            now = (frame.sample_rate, frame.layout.name, frame.format.name)
            if now != shape:  # a file may change in the middle, and a resampler may not
                if resampler is not None:
                    yield from _flushed(resampler)
                resampler, shape = av.AudioResampler(format="s16", layout="mono", rate=rate), now
            frame.pts = None
            for piece in resampler.resample(frame):
                yield piece.to_ndarray().tobytes()
    if resampler is not None:
        yield from _flushed(resampler)


def _flushed(resampler: Any) -> Iterator[bytes]:
    for piece in resampler.resample(None):
        yield piece.to_ndarray().tobytes()


def container(data: bytes) -> str:
    """Which reader the first bytes ask for, or ""."""
    head = data[:16]
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if head.startswith(b"fLaC"):
        return "flac"
    if head[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        return "mov"
    if head.startswith(b"ID3"):
        return "mp3"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "aac" if head[1] & 0x06 == 0 else "mp3"
    return ""


def encode_now(pcm: bytes, rate: int, bits_per_second: int = 32_000) -> bytes:
    """Ogg-opus in this thread."""
    av = _library()
    import numpy as np

    samples = np.frombuffer(pcm[: len(pcm) & ~1], "<i2").reshape(1, -1)
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as target:
        stream = target.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = bits_per_second
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        for begin in range(0, samples.shape[1], rate):
            frame = av.AudioFrame.from_ndarray(samples[:, begin : begin + rate], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, begin
            for piece in resampler.resample(frame):
                target.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return out.getvalue()


def wav(pcm: bytes, rate: int) -> bytes:
    """PCM as a WAV file."""
    return wav_head(rate, len(pcm)) + pcm


def wav_head(rate: int, size: int | None = None) -> bytes:
    """The head of a WAV file with `size` bytes of sound. None: nobody knows yet, as when it is streamed; players then
    read on to the end, as with the largest size."""
    held = 0xFFFF_FFFF - 36 if size is None else size
    facts = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES)
    return b"RIFF" + struct.pack("<I", 36 + held) + b"WAVEfmt " + facts + b"data" + struct.pack("<I", held)


_CAREFUL = {"enable_drefs": "0", "use_absolute_path": "0", "protocol_whitelist": "none"}
"""Nothing in a file may lead elsewhere."""
_turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def _turn() -> asyncio.Semaphore:
    """A few at a time, per loop; loops that ended are forgotten."""
    loop = asyncio.get_running_loop()
    for ended in [one for one in _turns if one.is_closed()]:
        del _turns[ended]
    return _turns.setdefault(loop, asyncio.Semaphore(_AT_ONCE))


def _library() -> Any:
    try:
        import av
    except ImportError as error:
        raise Unavailable("Audio files need the package av; .venv/bin/pip install 'antiphon[speech]'.") from error
    return av
