"""The decoders of pocketsphinx and the language model made for them. Used by `children/sphinx` alone.

What makes a small old recogniser usable, in the order of what it gains: a language model of the sentences people say
to this program; the mean of the whole utterance in the final pass (a live pass only guesses it); what a telephone took
from the sound put back (`sphinx_telephone`); a little noise, as digital silence is nothing its model has ever heard;
pronunciations of words its dictionary lacks; and where all that is not sure, a longer and a shorter throat than the
usual one, and then the general model it comes with, the best of all being believed. The general model is of no use on
the telephone, where it is wrong in nine words of ten.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
# pocketsphinx has no types.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pocketsphinx import Decoder, get_model_path
from pocketsphinx.lm import ArpaBoLM

from antiphon.speech.children.sphinx_telephone import Telephone

RATE = 16_000
Audio = np.ndarray[Any, np.dtype[np.int16]]
_SURE, _FAIR = 0.5, 0.35
"""Scores of our model from which nothing else is tried, and from which the general one, which takes six times as
long, is not asked."""
_THROATS = ("0.92", "1.08")
"""How much else than usual the frequencies of a voice may lie, as a factor on them."""
_DISCOUNT = 0.2
"""Probability that is kept for words that have not followed each other in our sentences."""
_TELEPHONE_SHARE = 5e-6
"""Share of the power above 4 kHz below which a line was a telephone's. Speech without any s or f has ten times more."""
_AT_ONCE, _SLICE = 4 * RATE, RATE
"""Samples that the general model is given at once, and of each slice of what is longer: it takes half their time."""
_QUIET = 40.0
"""Loudest 30 ms of an utterance (root mean square) below which nobody spoke."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word with its times in the piece."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What one decoder makes of a piece. `score` compares decoders."""

    text: str = ""
    score: float = float("-inf")
    confidence: float = 0.0
    words: Sequence[HeardWord] = ()


@dataclass(frozen=True, slots=True)
class Sound:
    """A whole piece as the decoders like it: as PCM, or from a telephone as the cepstra it would have without one."""

    pcm: bytes = b""
    cepstra: bytes = b""


class Decoders:
    """The decoders for finals and a store of live ones for partials."""

    def __init__(self, settings: Mapping[str, Any], phrases: Sequence[str], folder: Path) -> None:
        self._noise = float(settings["noise"])
        self._random = np.random.default_rng(0)
        dictionary, model = folder / "words.dict", folder / "phrases.arpa"
        words = _dictionary(phrases, settings["pronunciations"], dictionary)
        _language_model(phrases, words, model)
        self._ours = {"loglevel": "FATAL", "lm": str(model), "dict": str(dictionary), "lw": float(settings["weight"])}
        self._live: list[Any] = [
            Decoder(**self._ours, fwdflat=False, bestpath=False) for _ in range(int(settings["live"]))
        ]
        self._final: Any = Decoder(**self._ours)
        self._throats: list[Any] = [
            Decoder(**self._ours, warp_type="inverse_linear", warp_params=factor) for factor in _THROATS
        ]
        self._telephone = Telephone(Path(get_model_path("en-us/en-us")))
        self._use_general = bool(settings["general"])
        self._general: Any = None
        """Loaded when it is first needed: it takes 100 MB."""
        self.lent = 0

    def take_live(self) -> Any:
        """A decoder at the beginning of an utterance; None when all are lent."""
        if not self._live:
            return None
        decoder = self._live.pop()
        decoder.reinit_feat()
        decoder.start_utt()
        self.lent += 1
        return decoder

    def give_back(self, decoder: Any) -> None:
        """End its utterance."""
        if decoder is not None:
            decoder.end_utt()
            self._live.append(decoder)
            self.lent -= 1

    def partial(self, decoder: Any, audio: Audio) -> str:
        """What is heard so far, with this piece."""
        decoder.process_raw(self._noisy(audio, self._noise), False, False)
        found = decoder.hyp()
        return _plain(found.hypstr) if found is not None and found.hypstr else ""

    def sound(self, audio: Audio) -> Sound | None:
        """A whole piece; None where nobody speaks."""
        if loudness(audio) < _QUIET:
            return None
        noisy = self._noisy(audio, self._noise)
        if is_telephone(audio):
            return Sound(cepstra=self._telephone.cepstra(np.frombuffer(noisy, "<i2")))
        return Sound(noisy)

    def ours(self, sound: Sound) -> Heard:
        """What is heard in a piece with our model."""
        return _decode(self._final, sound)

    def sure(self, sound: Sound, heard: Heard) -> bool:
        """Whether nothing else need be tried."""
        return bool(sound.cepstra) or (bool(heard.text) and heard.score >= _SURE)

    def better(self, sound: Sound, ours: Heard, goes_on: Callable[[], None] = lambda: None) -> Heard:
        """What is heard with another throat, or by the general model, if that fits the sound better.

        `goes_on` is called before each of them, and after each second for which the general one listens to what is
        long. It may raise: then nobody wants it any more.
        """
        best = ours
        for decoder in self._throats:
            goes_on()
            best = max(best, _decode(decoder, sound), key=_fits)
        if not self._use_general or (best.text and best.score >= _FAIR):
            return best
        goes_on()
        if self._general is None:
            self._general = Decoder(loglevel="FATAL")
        if len(sound.pcm) <= 2 * _AT_ONCE:
            return max(best, _decode(self._general, sound), key=_fits)
        self._general.set_cmn(self._final.get_cmn(False))  # a slice does not show the mean of the whole; ours found it
        return max(best, _decode(self._general, sound, goes_on), key=_fits)

    def _noisy(self, audio: Audio, noise: float) -> bytes:
        louder = audio + self._random.standard_normal(len(audio)) * noise
        return np.clip(louder, -32768, 32767).astype("<i2").tobytes()


def loudness(audio: Audio) -> float:
    """The root mean square of the loudest 30 ms."""
    frame = RATE * 30 // 1000
    if len(audio) < frame:
        return 0.0
    whole = audio[: len(audio) // frame * frame].astype(np.float32).reshape(-1, frame)
    return float(np.sqrt((whole**2).mean(axis=1).max()))


def is_telephone(audio: Audio) -> bool:
    """Whether the sound has a telephone's band."""
    power = np.abs(np.fft.rfft(audio.astype(np.float32))) ** 2
    return float(power[len(power) // 2 :].sum()) < _TELEPHONE_SHARE * float(power.sum())


def _fits(heard: Heard) -> tuple[bool, float]:
    return bool(heard.text), heard.score


def _decode(decoder: Any, sound: Sound, after_slices: Callable[[], None] | None = None) -> Heard:
    """What a decoder hears in a whole piece. In slices, if it is to be told after each."""
    decoder.start_utt()
    try:
        if sound.cepstra:
            decoder.process_cep(sound.cepstra, False, True)
        elif after_slices is None:
            decoder.process_raw(sound.pcm, False, True)
        else:
            for begin in range(0, len(sound.pcm), 2 * _SLICE):
                decoder.process_raw(sound.pcm[begin : begin + 2 * _SLICE], False, False)
                after_slices()
    finally:
        decoder.end_utt()
    found = decoder.hyp()
    if found is None or not found.hypstr:
        return Heard()
    likely = decoder.get_logmath()
    frame = 1 / float(decoder.config["frate"])
    words = [
        HeardWord(word, segment.start_frame * frame, (segment.end_frame + 1) * frame, _share(likely.exp(segment.prob)))
        for segment in decoder.seg()
        if (word := _plain(segment.word)) and not re.fullmatch(r"[<\[].*", segment.word)
    ]
    return Heard(_plain(found.hypstr), float(found.best_score), _share(likely.exp(found.prob)), words)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def _plain(text: str) -> str:
    """Without the numbers of pronunciations, "the(2)"."""
    return re.sub(r"\(\d+\)", "", text).strip()


def _dictionary(phrases: Iterable[str], extra: Mapping[str, str], path: Path) -> frozenset[str]:
    """Write the pronunciations of all words that have one; returns these words."""
    wanted = {word for phrase in phrases for word in phrase.split()}
    lines: list[str] = []
    known: set[str] = set()
    with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as source:
        for line in source:
            word = re.sub(r"\(\d+\)$", "", line.partition(" ")[0])
            if word in wanted:
                lines.append(line)
                known.add(word)
    for word, sounds in extra.items():
        if word in wanted and word not in known:
            lines.append(f"{word} {sounds}\n")
            known.add(word)
    path.write_text("".join(lines), encoding="utf-8")
    return frozenset(known)


def _language_model(phrases: Iterable[str], words: frozenset[str], path: Path) -> None:
    """Which words follow which, from the sentences whose every word can be pronounced."""
    usable = (phrase for phrase in phrases if all(word in words for word in phrase.split()))
    model = ArpaBoLM(text="\n".join(f"<s> {phrase} </s>" for phrase in usable), discount_mass=_DISCOUNT)
    model.compute()
    model.write_file(str(path))
