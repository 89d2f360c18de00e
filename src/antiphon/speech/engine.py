"""What an engine file declares about itself in its constant `ENGINE`, and what an engine is given when it is made.

`_registry` finds the files, `engines` makes the engines, `antiphon speech` tells people about them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from antiphon.domain.errors import SpeechError
from antiphon.domain.speech import EngineState, EngineStatus, SpeechToText, TextToSpeech


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every engine may use."""

    models: Path
    """The one folder for models; an engine uses the folder of its own name in it."""
    language: str = "en"
    """Language where nobody names one."""
    hub: str = "https://huggingface.co"
    """Where models are fetched from."""
    secret: Callable[[str], str] = field(default=lambda name: "")
    """The value of a secret that a table names, or ""."""
    phrases: Callable[[], Sequence[str]] = field(default=tuple[str, ...])
    """Sentences people are likely to say, in English, for engines that learn which words follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Files that an engine needs and a hub has: those of `repository` whose path fits one of `patterns`."""

    repository: str
    into: str
    """The folder below `Surroundings.models` where they go."""
    patterns: tuple[str, ...] = ("*",)
    below: str = ""
    """A folder of the repository that is left out of their paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the two kinds have in common."""

    title: str
    """A line for people: what it is, and what it needs."""
    config: type[BaseModel]
    """The keys of its table in the settings."""
    argument: str = ""
    """The key that the text after the colon in `name:argument` sets. "": it takes none."""
    languages: Callable[[Any], frozenset[str]] = field(default=lambda config: frozenset())
    """Languages it knows with a table, like `en`. Empty: whichever its model or server knows."""
    downloads: Callable[[Any], Sequence[Download]] = field(default=lambda config: ())
    """What `antiphon speech download` fetches for a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SttEngine(Engine):
    """The constant `ENGINE` of a file in `stt/`."""

    make: Callable[[Any, Surroundings], SpeechToText]
    """Makes the engine from its checked table. Cheap: nothing is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TtsEngine(Engine):
    """The constant `ENGINE` of a file in `tts/`."""

    make: Callable[[Any, Surroundings], TextToSpeech]
    """Makes the engine from its checked table. Cheap: nothing is loaded."""


def knows(languages: frozenset[str], language: str) -> bool:
    """Whether an engine for `languages` can take `language` (`de-DE` is `de`; "" is any)."""
    return not languages or not language or primary(language) in languages


def primary(language: str) -> str:
    """`de` of `de-DE`."""
    return language.partition("-")[0].partition("_")[0].casefold()


def check_ready(status: EngineStatus | None) -> None:
    """Raise `SpeechError` with what an engine lacks and how to get it, unless it is ready (or None, which says so)."""
    if status is not None and status.state is not EngineState.READY:
        raise SpeechError(f"{status.detail} To use it, {status.remedy}.")


def package_missing(name: str, module: str, extra: str) -> EngineStatus | None:
    """The status of an engine whose library is not installed; None when it is."""
    if importlib.util.find_spec(module) is not None:
        return None
    return EngineStatus(
        name,
        EngineState.NEEDS_PACKAGE,
        f"The package {module} is not installed.",
        f"install it: .venv/bin/pip install 'antiphon[{extra}]'",
    )


def needs_model(name: str, what: str, choice: str) -> EngineStatus:
    """The status of an engine whose model is not in the models folder."""
    return EngineStatus(
        name, EngineState.NEEDS_MODEL, f"{what} is not there.", f"fetch it: antiphon speech download {choice}"
    )
