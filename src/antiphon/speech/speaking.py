"""The chain of engines that speak. When one fails in the middle of a text, the next one goes on at the word, or at the
sentence, that was being spoken; all audio has the sample rate of the engine that was loaded first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from antiphon.domain.errors import InvalidInput, SpeechError
from antiphon.domain.speech import SAMPLE_BYTES, SpeechChunk, SpokenWord, TextToSpeech, VoiceInfo
from antiphon.speech.chain import Chain, Link
from antiphon.speech.engine import primary
from antiphon.speech.resampling import Resampler
from antiphon.speech.sentences import pieces

_CHARS_PER_SECOND = 14.0
"""How fast people are read to, for engines that do not tell which word they are at."""
_USUAL_RATE = 22_050


class SpeakingChain(Chain[TextToSpeech]):
    """Implements `domain.speech.TextToSpeech` with several engines. `voice` speaks where nobody chose one."""

    kind = "tts"
    voice = ""
    _rate = 0

    @property
    def sample_rate(self) -> int:
        """That of the engine that was loaded first."""
        return self._rate or self.links[0].engine.sample_rate or _USUAL_RATE

    async def load(self, language: str = "") -> None:
        """Load the first engine that can be, whose sample rate is kept."""
        await super().load(language)
        self._rate = self._rate or next((r for link in self.links if (r := link.engine.sample_rate)), _USUAL_RATE)

    async def voices(self) -> Sequence[VoiceInfo]:
        """Those of the first engine that can be asked."""
        errors: list[tuple[str, BaseException]] = []
        for link in self.candidates(""):
            try:
                async with asyncio.timeout(self._timeout):
                    return await link.engine.voices()
            except Exception as error:
                errors.append((link.choice, error))
        raise self.all_failed(errors)

    async def synthesize(self, text: str, *, voice: str = "", language: str = "") -> AsyncIterator[SpeechChunk]:
        """Speak with the first engine that can, and go on with the next one when it fails."""
        errors: list[tuple[str, BaseException]] = []
        at, spoken = 0, 0.0
        links = self.candidates(language or self._language)
        for number, link in enumerate(links):
            reached, begun = at, spoken
            try:
                async with aclosing(self._through(link, text[at:], voice, language)) as chunks:
                    async for chunk in chunks:
                        words = tuple(SpokenWord(w.at + begun, w.start + at, w.end + at) for w in chunk.words)
                        reached = words[-1].start if words else reached
                        spoken += len(chunk.pcm) / SAMPLE_BYTES / self.sample_rate
                        yield replace(chunk, words=words)
                return
            except InvalidInput as error:
                self.refused(link, error)
                errors.append((link.choice, error))
            except Exception as error:
                self.failed(link, error, next_one=number + 1 < len(links))
                errors.append((link.choice, error))
                at = reached if reached > at else at + _sentence_at(text[at:], spoken - begun)
        raise self.all_failed(errors)

    async def _through(
        self, link: Link[TextToSpeech], text: str, voice: str, language: str
    ) -> AsyncGenerator[SpeechChunk, None]:
        engine = link.engine
        async with asyncio.timeout(2 * self._timeout):
            await engine.load()
        self._rate = self._rate or engine.sample_rate
        chosen = self._voice(link, voice, language)
        resampler = Resampler(engine.sample_rate, self._rate) if engine.sample_rate != self._rate else None
        speaking = engine.synthesize(text, voice=chosen, language=language or self._language)
        async with aclosing(cast("AsyncGenerator[SpeechChunk, None]", speaking)):
            while True:
                try:
                    async with asyncio.timeout(self._timeout):
                        chunk = await anext(speaking)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise SpeechError(f"The engine {link.choice} did not speak in time.") from None
                yield chunk if resampler is None else replace(chunk, pcm=resampler.process(chunk.pcm))
        if resampler is not None and (rest := resampler.flush()):
            yield SpeechChunk(rest)

    def _voice(self, link: Link[TextToSpeech], voice: str, language: str) -> str:
        """Voices are names of one engine: another one that steps in speaks with its own."""
        if link is not self.links[0]:
            return ""
        usual = self.voice if not language or primary(language) == primary(self._language) else ""
        return voice or usual


def _sentence_at(text: str, seconds: float) -> int:
    """Where the sentence begins that was likely being spoken after `seconds`. Rather once more than left out."""
    passed = int(seconds * _CHARS_PER_SECOND)
    return max((start for start, _ in pieces(text) if start <= passed), default=0)
