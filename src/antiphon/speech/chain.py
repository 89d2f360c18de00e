"""What the chains of engines that listen and that speak have in common: whose turn it is, and who rests.

An engine that failed is left alone for a while, and asked last until then: with nobody else left it is better than
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from antiphon.domain.errors import AntiphonError, InvalidInput, SpeechBusy, SpeechError
from antiphon.domain.speech import EngineState, EngineStatus, SpeechToText, TextToSpeech
from antiphon.speech.engine import knows
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

E = TypeVar("E", bound=SpeechToText | TextToSpeech)


@dataclass(slots=True)
class Link(Generic[E]):
    """One engine of a chain. `choice` is how the settings name it, with its argument."""

    engine: E
    choice: str
    languages: frozenset[str] = frozenset()
    """Languages it knows. Empty: any."""
    rests_until: float = field(default=0.0)


class Chain(Generic[E]):
    """The engines in order."""

    kind = ""

    def __init__(
        self, links: Sequence[Link[E]], *, language: str, timeout_seconds: float = 15.0, resting_seconds: float = 30.0
    ) -> None:
        self.links = links
        self._language = language
        self._timeout = timeout_seconds
        self._resting = resting_seconds
        self._closed = False

    @property
    def name(self) -> str:
        """The choices, in order."""
        return ", ".join(link.choice for link in self.links)

    def candidates(self, language: str) -> list[Link[E]]:
        """Who may be asked, in order. Raises `InvalidInput` when nobody knows the language."""
        if self._closed:
            raise SpeechError("The speech engines are closed.")
        found = [link for link in self.links if knows(link.languages, language)]
        if not found:
            doing = "understands" if self.kind == "stt" else "speaks"
            raise InvalidInput(
                f"No engine here {doing} {language[:40]} (there is {self.name}). Put one that does into "
                f"speech.{self.kind}, for example "
                + ("faster_whisper; antiphon speech download fetches its model." if self.kind == "stt" else "espeak."),
                fields={"language": "not known here"},
            )
        now = asyncio.get_running_loop().time()
        return sorted(found, key=lambda link: link.rests_until > now)

    def failed(self, link: Link[E], error: BaseException, *, next_one: bool) -> None:
        """Note that a link failed; it rests for a while, unless it only had too much to do."""
        if not isinstance(error, SpeechBusy):
            link.rests_until = asyncio.get_running_loop().time() + self._resting
        reason = error.message if isinstance(error, AntiphonError) else type(error).__name__
        log.warning("speech.engine_failed", kind=self.kind, engine=link.choice, reason=reason, next=next_one)
        if next_one:
            metrics.SPEECH_FALLBACKS.labels(kind=self.kind, engine=link.choice.partition(":")[0]).inc()

    def refused(self, link: Link[E], error: InvalidInput) -> None:
        """Note that a link cannot do what one caller asked, such as a voice. Others it serves: it does not rest."""
        log.warning("speech.request_refused", kind=self.kind, engine=link.choice, reason=error.message)

    def all_failed(self, errors: Sequence[tuple[str, BaseException]]) -> SpeechError | InvalidInput:
        """What to raise when nobody is left. `InvalidInput` where nothing is wrong with anybody."""
        refusals = [error for _, error in errors if isinstance(error, InvalidInput)]
        if refusals and len(refusals) == len(errors):
            return refusals[0]
        told = "; ".join(
            error.message if isinstance(error, AntiphonError) else f"{choice} failed ({type(error).__name__})"
            for choice, error in errors
        )
        kind = SpeechBusy if errors and all(isinstance(error, SpeechBusy) for _, error in errors) else SpeechError
        return kind(told or f"There is no engine for {self.kind}.")

    async def status(self) -> EngineStatus:
        """That of the first engine that is ready, else of the first."""
        states = await self.statuses()
        return next((one for one in states if one.state is EngineState.READY), states[0])

    async def statuses(self) -> Sequence[EngineStatus]:
        """That of every engine, in order."""
        return [await link.engine.status() for link in self.links]

    async def load(self, language: str = "") -> None:
        """Load the first engine that can be, of those that know the language. Raises `SpeechError` when none can."""
        errors: list[tuple[str, BaseException]] = []
        candidates = self.candidates(language)
        for number, link in enumerate(candidates):
            try:
                await link.engine.load()
            except Exception as error:
                self.failed(link, error, next_one=number + 1 < len(candidates))
                errors.append((link.choice, error))
            else:
                return
        raise self.all_failed(errors)

    async def aclose(self) -> None:
        """End every engine. Twice is once."""
        self._closed = True
        await asyncio.gather(*(link.engine.aclose() for link in self.links), return_exceptions=True)
