"""Trying the engines that listen and speak: a sentence is spoken, and what was spoken is recognised, with the times.

Used by the set-up page (`trials`) and by `antiphon speech test`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from antiphon.config import Settings
from antiphon.domain.errors import AntiphonError, InvalidInput
from antiphon.domain.health import PartState, Trial
from antiphon.domain.speech import LISTENING_RATE, SAMPLE_BYTES

SENTENCES = {
    "en": "Set a timer for five minutes.",
    "de": "Stelle einen Timer auf fünf Minuten.",
    "es": "Pon un temporizador de cinco minutos.",
}
"""What is spoken when nobody says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTrial:
    """What came of it. Times are seconds; `pcm` is what was spoken, at `rate`."""

    said: str
    heard: str
    speaking: str
    listening: str
    rate: int
    seconds_of_speech: float
    seconds_to_load_the_voice: float
    seconds_to_the_first_sound: float
    real_time_factor_of_speaking: float
    seconds_to_load_the_listener: float
    seconds_to_recognise: float
    real_time_factor_of_listening: float
    pcm: bytes


async def try_engines(settings: Settings, *, language: str = "", voice: str = "", text: str = "") -> SpeechTrial:
    """Speak and recognise with the chains of the settings. Raises `SpeechError` with what is missing."""
    from antiphon.brain.offline.phrases import spoken_phrases
    from antiphon.speech.engine import primary
    from antiphon.speech.engines import open_speech
    from antiphon.speech.resampling import Resampler

    language = language or settings.speech.language
    text = text or SENTENCES.get(primary(language), SENTENCES["en"])
    speech = open_speech(settings, phrases=spoken_phrases)
    try:
        begun = time.perf_counter()
        await speech.tts.load()
        voice_loaded, first, pcm = time.perf_counter() - begun, 0.0, bytearray()
        begun = time.perf_counter()
        async for chunk in speech.tts.synthesize(text, voice=voice, language=language):
            first = first or time.perf_counter() - begun
            pcm += chunk.pcm
        spoken = time.perf_counter() - begun
        rate = speech.tts.sample_rate
        seconds = len(pcm) / SAMPLE_BYTES / rate
        if not seconds:
            raise InvalidInput("There is nothing in this text that can be spoken.")
        resampler = Resampler(rate, LISTENING_RATE)
        silence = bytes(int(0.3 * LISTENING_RATE) * SAMPLE_BYTES)
        sound = silence + resampler.process(bytes(pcm)) + resampler.flush() + silence
        begun = time.perf_counter()
        await speech.stt.load()
        listener_loaded = time.perf_counter() - begun
        begun = time.perf_counter()
        heard = await speech.stt.recognize(sound, language=language)
        recognised = time.perf_counter() - begun
    finally:
        await speech.aclose()
    return SpeechTrial(
        said=text,
        heard=heard.text,
        speaking=speech.tts.name,
        listening=speech.stt.name,
        rate=rate,
        seconds_of_speech=seconds,
        seconds_to_load_the_voice=voice_loaded,
        seconds_to_the_first_sound=first,
        real_time_factor_of_speaking=spoken / seconds,
        seconds_to_load_the_listener=listener_loaded,
        seconds_to_recognise=recognised,
        real_time_factor_of_listening=recognised / seconds,
        pcm=bytes(pcm),
    )


async def try_speech(settings: Settings) -> Trial:
    """The same for people."""
    try:
        found = await try_engines(settings)
    except AntiphonError as error:
        return Trial(
            PartState.DEGRADED, error.message, "antiphon speech list says what each engine needs", _chains(settings)
        )
    facts = (
        *_chains(settings),
        ("Said", found.said),
        ("Heard", found.heard or "nothing"),
        ("First sound after", f"{found.seconds_to_the_first_sound * 1000:.0f} ms"),
        ("Recognised in", f"{found.seconds_to_recognise:.1f} s"),
    )
    if not found.heard:
        return Trial(
            PartState.DEGRADED, "It speaks, and does not hear itself.", "try another engine in speech.stt", facts
        )
    english_only = settings.speech.stt == ("pocketsphinx",)
    remedy = "for other languages and free speech put a better engine first in speech.stt" if english_only else ""
    detail = "It speaks and hears itself." + (" It understands English commands only." if english_only else "")
    return Trial(PartState.OK, detail, remedy, facts)


def _chains(settings: Settings) -> tuple[tuple[str, str], ...]:
    return (("Listens with", ", ".join(settings.speech.stt)), ("Speaks with", ", ".join(settings.speech.tts)))
