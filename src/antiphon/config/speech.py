"""Settings of listening and speaking: which engines, in which order, and what each of them is told.

An engine is a file of `antiphon.speech.stt` or `antiphon.speech.tts`, or an entry point of another package. Which keys
its table may have stands in that file; `speech.engines` checks them, as nothing here imports an engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from antiphon.config.values import Part, WebUrl

ENTRY_POINTS = "antiphon.speech."
"""Other packages add engines to the groups antiphon.speech.stt and antiphon.speech.tts."""
_FOLDER = Path(__file__).parents[1] / "speech"


def _choices(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}(:\S{1,300})?", value):
            raise ValueError(f"{value!r} is no engine: write its name, or name:argument")
    if len(set(values)) != len(values):
        raise ValueError("names an engine twice")
    return values


def _language(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError(f"{value!r} is no language: write it like en or de-DE")
    return value


Kind = Literal["stt", "tts"]
EngineChain = Annotated[tuple[str, ...], AfterValidator(_choices)]


class SpeechSettings(Part):
    """Listening and speaking."""

    stt: EngineChain = Field(
        default=("pocketsphinx",),
        min_length=1,
        max_length=8,
        description="Engines that listen; each steps in when those before it fail. `antiphon speech list` names them. "
        "Some take an argument: faster_whisper:small.en, wyoming:127.0.0.1:10300.",
    )
    tts: EngineChain = Field(
        default=("espeak",),
        min_length=1,
        max_length=8,
        description="Engines that speak; each steps in when those before it fail.",
    )
    language: Annotated[str, AfterValidator(_language)] = Field(
        default="en", description="Language that is heard and spoken where a session or a person names none."
    )
    voice: str = Field(
        default="",
        max_length=200,
        description="Voice that speaks where a session names none, as the first engine of tts calls it. Empty: the "
        "engine's own for the language.",
    )
    timeout_seconds: float = Field(
        default=15.0, gt=0, le=600, description="Seconds an engine may be silent before the next one steps in."
    )
    resting_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="Seconds an engine that failed is left alone before it is tried again."
    )
    hub_url: WebUrl = Field(
        default="https://huggingface.co",
        description="Address of the hub of which `antiphon speech download` gets models; another one for a mirror, "
        "which may lie in a network of yours.",
    )
    engines: Mapping[str, Mapping[str, JsonValue]] = Field(
        default={},
        description="What single engines are told: a table [speech.engines.NAME] each. The keys of each engine stand "
        "in docs/reference/speech.md.",
    )

    @property
    def chains(self) -> tuple[tuple[Kind, tuple[str, ...]], ...]:
        """Both chains with their kinds."""
        return (("stt", self.stt), ("tts", self.tts))


def engine_name(choice: str) -> str:
    """The engine in `name` or `name:argument`."""
    return choice.partition(":")[0]


def engine_names(kind: Kind) -> frozenset[str]:
    """The engines there are, without importing one: files of ours, then entry points of other packages."""
    return frozenset(_files(kind)) | frozenset(_entry_points(kind))


def is_engine(kind: Kind, name: str) -> bool:
    """Whether there is an engine of this name. Other packages are only searched for names that are not ours."""
    return name in _files(kind) or name in _entry_points(kind)


@cache
def _files(kind: Kind) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (_FOLDER / kind).glob("[a-z]*.py")))


@cache
def _entry_points(kind: Kind) -> tuple[str, ...]:
    return tuple(sorted({point.name for point in entry_points(group=ENTRY_POINTS + kind)}))


def named_secrets(engines: Mapping[str, Mapping[str, JsonValue]]) -> Iterator[str]:
    """The secrets that tables of engines name: the value of `secret` in each."""
    for table in engines.values():
        yield from _secrets(table)


def _secrets(table: Mapping[str, JsonValue]) -> Iterator[str]:
    for key, secret in table.items():
        if key in ("stt", "tts") and isinstance(secret, dict):
            yield from _secrets(secret)
        if key != "secret":
            continue
        if isinstance(secret, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", secret):
            yield secret
