"""Audio that people send: every container that is promised, cut off, broken, hostile or far too long."""

from __future__ import annotations

import asyncio
import io
import struct
from typing import Any

import av
import numpy as np
import pytest

from antiphon.domain.errors import InvalidInput, TooLarge, Unavailable
from antiphon.domain.speech import LISTENING_RATE
from antiphon.speech import codec

FORMATS = {
    "ogg": ("libopus", 48_000),
    "webm": ("libopus", 48_000),
    "mp3": ("libmp3lame", 44_100),
    "ipod": ("aac", 44_100),
    "flac": ("flac", 48_000),
    "wav": ("pcm_s16le", 44_100),
    "adts": ("aac", 44_100),
}


def tone(seconds: float, rate: int = 48_000, hertz: float = 440.0) -> np.ndarray[Any, np.dtype[np.int16]]:
    return (np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * hertz / rate) * 12_000).astype(np.int16)


def file(form: str, seconds: float = 2.0, layout: str = "mono") -> bytes:
    name, rate = FORMATS[form]
    out = io.BytesIO()
    samples = np.repeat(tone(seconds, rate), 2 if layout == "stereo" else 1)
    with av.open(out, "w", format=form) as target:
        stream: Any = target.add_stream(name, rate=rate, layout=layout)
        fifo = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        for piece in [*fifo.resample(frame), *fifo.resample(None)]:
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return out.getvalue()


def repeated(second: np.ndarray[Any, np.dtype[np.int16]], times: int) -> bytes:
    """Flac of a second at 8 kHz, over and over."""
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as target:
        stream: Any = target.add_stream("flac", rate=8_000, layout="mono")
        for _ in range(times):
            frame = av.AudioFrame.from_ndarray(second.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = 8_000
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return out.getvalue()


def loudest_hertz(pcm: bytes, rate: int = LISTENING_RATE) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("form", FORMATS)
async def test_every_container_becomes_16_khz_mono(form: str, layout: str) -> None:
    decoded = await codec.decode(file(form, layout=layout))
    assert decoded.seconds == pytest.approx(2.0, abs=0.1)
    assert loudest_hertz(decoded.pcm) == pytest.approx(440, abs=3)
    assert not decoded.cut


@pytest.mark.parametrize("form", ["ogg", "webm", "mp3", "flac", "wav", "adts"])
async def test_a_file_that_broke_off_gives_what_it_has(form: str) -> None:
    whole = file(form)
    decoded = await codec.decode(whole[: len(whole) * 2 // 3])
    assert 0.8 < decoded.seconds < 1.7
    assert loudest_hertz(decoded.pcm) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("form", FORMATS)
async def test_broken_bytes_never_do_more_than_fail(form: str) -> None:
    chance = np.random.default_rng(7)
    whole = file(form)
    for _ in range(12):
        broken = bytearray(whole)
        for place in chance.integers(16, len(broken), 60):
            broken[place] = chance.integers(256)
        try:
            decoded = await codec.decode(bytes(broken), max_seconds=10)
        except (InvalidInput, Unavailable):
            continue
        assert decoded.seconds <= 10


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"OggS",
        b"RIFF\0\0\0\0WAVE",
        b"hello, this is text and no audio at all",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/secret.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"ID3" + bytes(50),
        bytes(10_000),
        b"\xff\xfb" + bytes(5_000),
    ],
)
async def test_what_is_no_audio_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        await codec.decode(data)


async def test_a_film_without_sound_is_refused() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as target:
        stream: Any = target.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        target.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        target.mux(stream.encode(None))
    with pytest.raises(InvalidInput, match="no sound"):
        await codec.decode(out.getvalue())


async def test_a_long_file_is_cut_and_says_so() -> None:
    decoded = await codec.decode(file("ogg", 5.0), max_seconds=1.5)
    assert (decoded.seconds, decoded.cut) == (1.5, True)


async def test_silence_that_unpacks_to_hours_is_cut() -> None:
    """Ten megabytes of silence are a hundred kilobytes of flac."""
    decoded = await codec.decode(repeated(np.zeros(8_000, np.int16), 600), max_seconds=60)
    assert (decoded.seconds, decoded.cut) == (60.0, True)


async def test_a_file_that_is_too_large_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_MOST_BYTES", 1000)
    with pytest.raises(TooLarge):
        await codec.decode(bytes(1001))


async def test_too_slow_a_file_is_given_up() -> None:
    with pytest.raises(Unavailable, match="too long"):
        await codec.decode(file("ogg"), patience_seconds=-1)


async def test_ten_minutes_are_decoded_and_the_loop_goes_on() -> None:
    whole = repeated(np.array(tone(1.0, 8_000)), 600)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    decoded = await codec.decode(whole)
    ticking.cancel()
    assert decoded.seconds == pytest.approx(600, abs=0.1)
    assert ticks > 5


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
async def test_ogg_opus_goes_there_and_back(rate: int) -> None:
    encoded = await codec.encode(tone(1.0, rate).tobytes(), rate=rate)
    assert codec.container(encoded) == "ogg"
    decoded = await codec.decode(encoded)
    assert decoded.seconds == pytest.approx(1.0, abs=0.06)
    assert loudest_hertz(decoded.pcm) == pytest.approx(440, abs=3)


async def test_wav_goes_there_and_back_to_the_bit() -> None:
    pcm = tone(0.5, LISTENING_RATE).tobytes()
    assert (await codec.decode(await codec.encode(pcm, rate=LISTENING_RATE, form="wav"))).pcm == pcm


def test_the_head_of_a_streamed_wav_says_that_it_goes_on() -> None:
    head = codec.wav_head(24_000)
    assert struct.unpack("<I", head[40:44])[0] == 0xFFFF_FFFF - 36
    assert struct.unpack("<I", head[4:8])[0] == 0xFFFF_FFFF
    with av.open(io.BytesIO(head + tone(1.0, 24_000).tobytes()), format="wav") as source:
        assert sum(frame.samples for frame in source.decode(audio=0)) == 24_000
