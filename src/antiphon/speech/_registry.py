"""Which engines there are, and their declarations. Only what is asked for is imported.

The file name is the engine's name in the settings. Another package adds one by an entry point in the group
`antiphon.speech.stt` or `antiphon.speech.tts` that leads to a module with a constant `ENGINE`, or to the constant.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import cast

from antiphon.config.speech import ENTRY_POINTS, Kind
from antiphon.domain.errors import SpeechError
from antiphon.speech import stt, tts
from antiphon.speech.engine import Engine, SttEngine, TtsEngine

_PACKAGES: dict[Kind, ModuleType] = {"stt": stt, "tts": tts}
_DECLARED: dict[Kind, type[Engine]] = {"stt": SttEngine, "tts": TtsEngine}


def names(kind: Kind) -> tuple[str, ...]:
    """All engines of a kind: ours, then those of other packages."""
    own = sorted(found.name for found in pkgutil.iter_modules(_PACKAGES[kind].__path__))
    others = sorted({point.name for point in entry_points(group=ENTRY_POINTS + kind)} - set(own))
    return (*own, *others)


def stt_engine(name: str) -> SttEngine:
    """The declaration of an engine that listens. Raises `SpeechError` for a name that nobody has."""
    return cast("SttEngine", _declared("stt", name))


def tts_engine(name: str) -> TtsEngine:
    """The declaration of an engine that speaks. Raises `SpeechError` for a name that nobody has."""
    return cast("TtsEngine", _declared("tts", name))


def engine(kind: Kind, name: str) -> Engine:
    """The declaration of an engine of either kind. Raises `SpeechError` for a name that nobody has."""
    return _declared(kind, name)


def _declared(kind: Kind, name: str) -> Engine:
    package = _PACKAGES[kind]
    if any(found.name == name for found in pkgutil.iter_modules(package.__path__)):
        found: object = import_module(f"{package.__name__}.{name}")
    else:
        point = next((point for point in entry_points(group=ENTRY_POINTS + kind) if point.name == name), None)
        if point is None:
            raise SpeechError(f"There is no engine {name!r} for {kind}; there are {', '.join(names(kind))}.")
        try:
            found = point.load()
        except Exception as error:
            raise SpeechError(f"The engine {name} of another package cannot be loaded.") from error
    declared: object = getattr(found, "ENGINE", found)
    if not isinstance(declared, _DECLARED[kind]):
        raise SpeechError(f"The engine {name} declares no {_DECLARED[kind].__name__} as ENGINE.")
    return declared
