"""Making the engines that the settings choose. `run` calls it; everybody else gets the two ports in `Speech`.

Making is cheap: the files of chosen engines are imported, their libraries and models are not before the first use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from antiphon.config import ConfigProblems, Settings
from antiphon.config.speech import Kind, engine_name, is_engine
from antiphon.domain.errors import ConfigError
from antiphon.domain.speech import SpeechToText, TextToSpeech
from antiphon.speech import _registry
from antiphon.speech.chain import Link
from antiphon.speech.engine import Engine, Surroundings
from antiphon.speech.listening import ListeningChain
from antiphon.speech.speaking import SpeakingChain

_KINDS = ("stt", "tts")


@dataclass(frozen=True, slots=True)
class Speech:
    """The engines of this installation."""

    stt: ListeningChain
    tts: SpeakingChain

    def check_language(self, language: str) -> None:
        """Raises `InvalidInput`, which names the remedy, where nobody understands `language` or nobody speaks it."""
        self.stt.candidates(language)
        self.tts.candidates(language)

    async def load(self, language: str) -> None:
        """Load what listens and speaks in a language. Raises `SpeechError` where the engines that know it cannot be."""
        await asyncio.gather(self.stt.load(language), self.tts.load(language))

    async def aclose(self) -> None:
        """End all of them. Twice is once."""
        await asyncio.gather(self.stt.aclose(), self.tts.aclose())


def open_speech(settings: Settings, *, phrases: Callable[[], Sequence[str]] = tuple[str, ...]) -> Speech:
    """The chains that the settings name. Raises `ConfigProblems` for a table that an engine does not take.

    `phrases` gives English sentences that people are likely to say, when an engine wants them.
    """
    if problems := list(_problems(settings)):
        raise ConfigProblems(problems)
    around = surroundings(settings, phrases)
    speech = settings.speech
    listening = [
        Link(make_stt(settings, choice, around), choice, _languages(settings, "stt", choice)) for choice in speech.stt
    ]
    speaking = [
        Link(make_tts(settings, choice, around), choice, _languages(settings, "tts", choice)) for choice in speech.tts
    ]
    bounds = {"timeout_seconds": speech.timeout_seconds, "resting_seconds": speech.resting_seconds}
    chain = SpeakingChain(speaking, language=speech.language, **bounds)
    chain.voice = speech.voice
    return Speech(ListeningChain(listening, language=speech.language, **bounds), chain)


def check_engines(settings: Settings) -> None:
    """Raise `ConfigProblems` for every key of an engine's table that it does not take."""
    if problems := list(_problems(settings)):
        raise ConfigProblems(problems)


def surroundings(settings: Settings, phrases: Callable[[], Sequence[str]] = tuple[str, ...]) -> Surroundings:
    """What engines may use of the settings."""
    return Surroundings(
        models=settings.models_path,
        language=settings.speech.language,
        hub=settings.speech.hub_url or "https://huggingface.co",
        secret=settings.secret,
        phrases=phrases,
    )


def make_stt(settings: Settings, choice: str, around: Surroundings) -> SpeechToText:
    """One engine that listens, by `name` or `name:argument`."""
    engine = _registry.stt_engine(engine_name(choice))
    return engine.make(table_of(settings, "stt", choice), around)


def make_tts(settings: Settings, choice: str, around: Surroundings) -> TextToSpeech:
    """One engine that speaks, by `name` or `name:argument`."""
    engine = _registry.tts_engine(engine_name(choice))
    return engine.make(table_of(settings, "tts", choice), around)


def table_of(settings: Settings, kind: Kind, choice: str) -> Any:
    """The checked table of an engine. Raises pydantic's `ValidationError`.

    Where one name listens and speaks, the keys of its table are for both, and those of its sub-tables `stt` and `tts`
    for one alone.
    """
    name, _, argument = choice.partition(":")
    engine = _registry.engine(kind, name)
    table = settings.speech.engines.get(name, {})
    own = table.get(kind)
    keys = {key: value for key, value in table.items() if key not in _KINDS} | (own if isinstance(own, dict) else {})
    if argument and engine.argument:
        keys[engine.argument] = argument
    return engine.config.model_validate(keys)


def _languages(settings: Settings, kind: Kind, choice: str) -> frozenset[str]:
    return _registry.engine(kind, engine_name(choice)).languages(table_of(settings, kind, choice))


def _problems(settings: Settings) -> Iterator[ConfigError]:
    """What is wrong in chains and tables."""
    speech = settings.speech
    for kind, chain in speech.chains:
        for choice in dict.fromkeys((*chain, *(name for name in speech.engines if is_engine(kind, name)))):
            name, colon, _ = choice.partition(":")
            engine = _registry.engine(kind, name)
            if colon and not engine.argument:
                yield ConfigError(
                    source=settings.origin(f"speech.{kind}"),
                    key=f"speech.{kind}",
                    problem=f"the engine {name} takes no argument",
                    remedy=f"write {name!r} alone",
                )
                continue
            try:
                table_of(settings, kind, choice)
            except ValidationError as error:
                yield from _refused(settings, kind, choice, engine, error)


def _refused(
    settings: Settings, kind: Kind, choice: str, engine: Engine, error: ValidationError
) -> Iterator[ConfigError]:
    name, _, argument = choice.partition(":")
    for details in error.errors(include_url=False):
        field = str(details["loc"][0]) if details["loc"] else ""
        by_argument = bool(argument) and field == engine.argument
        key = f"speech.{kind}" if by_argument else f"speech.engines.{name}.{field}"
        if details["type"] == "extra_forbidden":
            problem, remedy = "is not a setting of this engine", f"use {', '.join(_keys(engine.config))}"
        elif details["type"] == "missing":
            problem, remedy = "is missing", "add it" + (f", or write {name}:VALUE" if field == engine.argument else "")
        else:
            problem, remedy = details["msg"].removeprefix("Value error, "), _meaning(engine.config, field)
        yield ConfigError(
            source=settings.origin("speech.stt" if by_argument else "speech.engines"),
            key=key,
            problem=problem,
            remedy=remedy,
        )


def _keys(config: type[BaseModel]) -> Sequence[str]:
    return list(config.model_fields) or ["none: it has no settings"]


def _meaning(config: type[BaseModel], field: str) -> str:
    described = config.model_fields.get(field)
    return (described.description if described and described.description else "correct it").rstrip(".")
