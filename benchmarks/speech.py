"""The default engines: real-time factors, the first sound, and the word error rate on the committed recipe.

`utterances` is the recipe: five voices of espeak-ng, and four of flite where that program is installed, each clean,
with noise at 20 dB and through a telephone. The engines work in processes of their own, whose CPU is counted.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.figures import Figure, percentile
from benchmarks.utterances import CONDITIONS, KINDS, Utterance, errors, other_utterances, utterances, voices_here

EVERY = int(os.environ.get("SPEECH_EVERY", "1"))
"""Measure only each so-manieth utterance, for a quick look."""
ANSWER = (
    "The meeting has been moved to Friday afternoon. I will remind you ten minutes before it starts, and I will also "
    "send the notes to everyone in the channel."
)
TIMES, ALONE = 40, 50
"""How often it speaks, and how many utterances it hears one by one, which is when the time of one is measured."""
BOUNDS = {
    ("commands", "clean"): 12.0,
    ("commands", "20 dB"): 20.0,
    ("commands", "telephone"): 42.0,
    ("other requests", "clean"): 30.0,
}
"""Word errors in percent."""


def measure() -> list[Figure]:
    """Speaking, then listening."""
    spoken = [*utterances(), *other_utterances()]
    return [*asyncio.run(_speaking()), *asyncio.run(_listening(spoken[::EVERY], len(spoken)))]


async def _speaking() -> list[Figure]:
    from antiphon.speech.engine import Surroundings
    from antiphon.speech.tts.espeak import Config, Espeak

    firsts: list[float] = []
    seconds = 0.0
    engine = Espeak(Config(), Surroundings(models=Path()))
    await engine.load()
    own = time.process_time()
    for _ in range(TIMES):
        begun, first = time.perf_counter(), 0.0
        async for chunk in engine.synthesize(ANSWER):
            first = first or time.perf_counter() - begun
            seconds += len(chunk.pcm) / 2 / engine.sample_rate
        firsts.append(first * 1000)
    own = time.process_time() - own
    before = _children()
    await engine.aclose()
    factor = (own + _children() - before) / seconds
    return [
        Figure("speaking (espeak): CPU per second of speech", factor * 1000, "ms", "<= 20 ms", "", factor <= 0.02),
        Figure("speaking (espeak): first sound, p50", percentile(firsts, 0.5), "ms"),
        Figure("speaking (espeak): first sound, p95", percentile(firsts, 0.95), "ms"),
    ]


async def _listening(spoken: Sequence[Utterance], all_there_are: int) -> list[Figure]:
    from antiphon.brain.offline.phrases import spoken_phrases
    from antiphon.speech.engine import Surroundings
    from antiphon.speech.stt.pocketsphinx import Config, PocketSphinx

    processes = os.cpu_count() or 1
    engine = PocketSphinx(Config(processes=processes), Surroundings(models=Path(), phrases=spoken_phrases))
    begun = time.perf_counter()
    await engine.load()
    loaded = time.perf_counter() - begun
    alone = spoken[:: max(1, len(spoken) // ALONE)]
    begun = time.perf_counter()
    for utterance in alone:
        await engine.recognize(utterance.pcm)
    wall = (time.perf_counter() - begun) / _seconds(alone)
    places = asyncio.Semaphore(processes)

    async def heard_one(utterance: Utterance) -> tuple[Utterance, str]:
        async with places:
            return utterance, (await engine.recognize(utterance.pcm)).text

    heard = await asyncio.gather(*(heard_one(utterance) for utterance in spoken))
    seconds = _seconds(alone) + _seconds(spoken)
    before = _children()
    await engine.aclose()
    cpu = (_children() - before) / seconds
    voices = f"{len(voices_here())} voices, {len(spoken)} of {all_there_are} utterances"
    figures = [
        Figure("listening (pocketsphinx): CPU per second of speech", cpu * 1000, "ms", "<= 500 ms", "", cpu <= 0.5),
        Figure("listening (pocketsphinx): time per second of speech", wall * 1000, "ms"),
        Figure("listening (pocketsphinx): start", loaded * 1000, "ms"),
    ]
    for condition in CONDITIONS:
        for kind in KINDS:
            rate = _errors(heard, lambda u, c=condition, k=kind: u.condition == c and u.kind == k)
            bound = BOUNDS.get((kind, condition))
            figures.append(
                Figure(
                    f"word errors of the default recogniser, {kind}, {condition}",
                    rate,
                    "%",
                    f"<= {bound:.0f} %" if bound else "",
                    voices,
                    None if bound is None else rate <= bound,
                )
            )
    return figures


def _seconds(spoken: Iterable[Utterance]) -> float:
    return sum(utterance.seconds for utterance in spoken)


def _errors(heard: Iterable[tuple[Utterance, str]], counted: Callable[[Utterance], bool]) -> float:
    """Word error rate in percent."""
    wrong = words = 0
    for utterance, text in heard:
        if counted(utterance):
            wrong += errors(utterance.text, text)
            words += len(utterance.text.split())
    return 100 * wrong / max(words, 1)


def _children() -> float:
    """CPU seconds of children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
