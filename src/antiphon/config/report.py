"""What `antiphon config show` and `antiphon config schema` print. Secrets are shown as ******** or as not set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, SecretStr

from antiphon.config.keys import Key, all_keys
from antiphon.config.settings import Settings

HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Line:
    """One effective setting. `value` is plain JSON, and never a secret; `origin` says where it came from."""

    key: str
    value: object
    origin: str
    description: str


def describe(settings: Settings) -> list[Line]:
    """Every effective setting, in the order of the tree."""
    return [
        Line(key.name, _shown(_effective(settings, key)), settings.origin(key.name), key.description)
        for key in all_keys().values()
    ]


def as_text(settings: Settings) -> str:
    """The same as an aligned table `key = value  # origin`, for people."""
    rows = [(line.key, "" if line.value is None else _toml(line.value), line.origin) for line in describe(settings)]
    names = max(len(name) for name, _, _ in rows)
    values = max(min(len(value), 48) for _, value, _ in rows)
    return "\n".join(f"{name:<{names}} = {value:<{values}}  # {origin}" for name, value, origin in rows)


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the configuration file, for editors and for `antiphon config schema`."""
    document = Settings.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Antiphon settings",
        **{name: part for name, part in document.items() if name not in ("title", "description")},
    }


def _effective(settings: Settings, key: Key) -> object:
    value: object = settings
    for part in key.path:
        value = getattr(value, part)
    return value


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return [_shown(part) for part in cast("tuple[object, ...]", value)]
    if isinstance(value, BaseModel):  # a table of a list: what differs from the defaults
        changed = value.model_dump(exclude_defaults=True)
        return {name: _shown(part) for name, part in changed.items()}
    if isinstance(value, Mapping):
        return {name: _shown(part) for name, part in cast("Mapping[str, object]", value).items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(part) for part in cast("list[object]", value)) + "]"
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return "{ " + ", ".join(f"{name} = {_toml(part)}" for name, part in pairs) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)
