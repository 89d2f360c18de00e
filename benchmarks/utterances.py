"""The recipe of the utterances that recognisers are measured with: sentences, voices, and what the sound went through.

Beside commands and free speech there are requests from the list that the understanding of the offline model is measured
with: commands in other words than those of its templates, and what is no command at all.

Nothing is recorded or fetched. espeak-ng, which the default installation brings, speaks every sentence with several
voices; where the program `flite` is installed (Debian: apt-get install flite; `make bench` does it as root), its
voices, which sound more like people, speak too. The same utterances come out every time.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16_000
Audio = np.ndarray[Any, np.dtype[np.float32]]

COMMANDS = (
    "what time is it",
    "what time is it in new york",
    "what day is it tomorrow",
    "remind me in ten minutes to call mother",
    "remind me tomorrow at nine to pay the rent",
    "set a timer for five minutes",
    "wake me up at seven thirty",
    "cancel the timer",
    "show me my reminders",
    "stop",
    "yes please",
    "no thank you",
    "kick the user bob",
    "ban the user alice",
    "mute everyone in the room",
    "unmute bob",
    "who is in the channel",
    "join the voice channel",
    "leave the channel",
    "play some music",
    "pause the music",
    "next song",
    "turn the volume up",
    "turn off the kitchen lights",
    "what can you do",
    "help me",
    "tell me a joke",
    "repeat that please",
    "speak more slowly",
    "read my last message",
    "what is twelve times four",
    "how many kilometers are in ten miles",
    "translate good morning into french",
    "summarize the last meeting",
    "create a poll about lunch",
)
FREE = (
    "the quick brown fox jumps over the lazy dog",
    "i think we should meet on friday afternoon",
    "can you tell me where the nearest train station is",
    "please write an email to my boss about the project",
    "my order has not arrived and i would like a refund",
)
ESPEAK = (("en-us+f2", 140), ("en-us", 160), ("en-gb", 150), ("en-us+f3", 160), ("en-us+m3", 150))
FLITE = ("slt", "rms", "awb", "kal16")
CONDITIONS = ("clean", "20 dB", "telephone")
KINDS = ("commands", "free speech", "other requests")
_REQUESTS = Path(__file__).parents[1] / "tests" / "data" / "paraphrases_en.jsonl"
_TYPED = frozenset(
    ("whats", "hows", "wheres", "im", "dont", "pls", "plz", "u", "r", "ur", "lol", "gimme", "gotta", "waht", "filp")
)
"""What is only written like this: nobody can hear how it is spelled."""
_OTHERS, _OTHER_VOICES = 40, 3
"""How many of the other requests, and how many voices speak each."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence as one voice said it and one line carried it. `pcm` is 16 bit, 16 kHz, mono."""

    text: str
    kind: str
    voice: str
    condition: str
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / 2 / RATE


def utterances(
    *, sentences: Sequence[str] = (*COMMANDS, *FREE), voices: Sequence[str] = (), conditions: Sequence[str] = CONDITIONS
) -> Iterator[Utterance]:
    """All of them, or those of some sentences, voices (by name) and conditions."""
    chance = np.random.default_rng(1)
    for voice, spoken in _spoken(sentences, voices):
        for text, audio in zip(sentences, spoken, strict=True):
            for condition in conditions:
                yield Utterance(text, _kind(text), voice, condition, _pcm(_through(audio, condition, chance)))


def other_utterances() -> Iterator[Utterance]:
    """Other requests, each by some of the voices, in all conditions."""
    names, sentences = voices_here(), other_requests()
    for number, voice in enumerate(names):
        mine = [text for at, text in enumerate(sentences) if (number - at) % len(names) < _OTHER_VOICES]
        yield from utterances(sentences=mine, voices=(voice,))


def other_requests() -> Sequence[str]:
    """Sentences that people wrote in their own words, spread over the list, as they would be said."""
    found: list[str] = []
    for line in _REQUESTS.read_text("utf-8").splitlines():
        text = " ".join(re.sub(r"[?!.,]", " ", json.loads(line)["text"].lower().replace("\u2019", "'")).split())
        if re.fullmatch(r"[a-z']+( [a-z']+){1,11}", text) and not _TYPED & set(text.split()) and text not in found:
            found.append(text)
    others = [text for text in found if text not in COMMANDS]
    return others[:: len(others) // _OTHERS][:_OTHERS]


def _kind(text: str) -> str:
    return KINDS[0] if text in COMMANDS else KINDS[1] if text in FREE else KINDS[2]


def voices_here() -> Sequence[str]:
    """The voices that can speak on this machine."""
    names = [f"espeak {name}" for name, _ in ESPEAK]
    return names + ([f"flite {name}" for name in FLITE] if shutil.which("flite") else [])


def errors(said: str, heard: str) -> int:
    """Words that were put in, left out or changed."""
    truth, found = said.split(), heard.split()
    row = list(range(len(found) + 1))
    for i, word in enumerate(truth, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def _spoken(sentences: Sequence[str], voices: Sequence[str]) -> Iterator[tuple[str, Sequence[Audio]]]:
    wanted = voices or voices_here()
    for name, rate in ESPEAK:
        if f"espeak {name}" in wanted:
            yield f"espeak {name}", asyncio.run(_espeak(sentences, name, rate))
    for name in FLITE:
        if f"flite {name}" in wanted:
            yield f"flite {name}", [_flite(text, name) for text in sentences]


async def _espeak(sentences: Sequence[str], voice: str, rate: int) -> Sequence[Audio]:
    from antiphon.speech.engine import Surroundings
    from antiphon.speech.tts.espeak import Config, Espeak

    engine = Espeak(Config(rate=rate), Surroundings(models=Path()))
    try:
        return [
            _resampled(b"".join([chunk.pcm async for chunk in engine.synthesize(text, voice=voice)]), 22_050)
            for text in sentences
        ]
    finally:
        await engine.aclose()


def _flite(text: str, voice: str) -> Audio:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, file.name], check=True, capture_output=True, timeout=60)
        with wave.open(io.BytesIO(Path(file.name).read_bytes())) as sound:
            return _resampled(sound.readframes(sound.getnframes()), sound.getframerate())


def _resampled(pcm: bytes, rate: int) -> Audio:
    """At our rate, at half the loudest level, with silence around it."""
    import soxr

    audio = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    audio = soxr.resample(audio, rate, RATE) if rate != RATE else audio
    audio = (audio / np.float32(max(float(np.abs(audio).max()), 1e-6) * 2)).astype(np.float32)
    silence = np.zeros(int(0.3 * RATE), np.float32)
    return np.concatenate([silence, audio, silence, silence[: RATE // 5]])


def _through(audio: Audio, condition: str, chance: np.random.Generator) -> Audio:
    if condition == "20 dB":
        loud = audio[np.abs(audio) > 0.01]
        noise = _room_noise(len(audio), chance)
        return audio + noise * np.float32(np.sqrt(float(np.mean(loud**2)) / 10**2))
    if condition == "telephone":
        return _telephone(audio)
    return audio


def _room_noise(samples: int, chance: np.random.Generator) -> Audio:
    """Half white, half falling with frequency, of power 1."""
    white = chance.standard_normal(samples).astype(np.float32)
    spectrum = np.fft.rfft(chance.standard_normal(samples))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), samples).astype(np.float32)
    both = white / white.std() + pink / pink.std()
    return both / both.std()


def _telephone(audio: Audio) -> Audio:
    """The band from 300 to 3400 Hz, 8000 samples a second of 8 bits by the mu-law, and back."""
    import soxr

    spectrum = np.fft.rfft(audio)
    hertz = np.fft.rfftfreq(len(audio), 1 / RATE)
    band = np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3400)), len(audio)).astype(np.float32)
    narrow = np.clip(soxr.resample(band, RATE, 8000), -1, 1)
    coded = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log1p(255)
    coded = np.round((coded + 1) / 2 * 255) / 255 * 2 - 1
    decoded = np.sign(coded) * (np.float32(256) ** np.abs(coded) - 1) / 255
    return soxr.resample(decoded.astype(np.float32), 8000, RATE)


def _pcm(audio: Audio) -> bytes:
    return (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()
