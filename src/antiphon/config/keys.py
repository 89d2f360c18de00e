"""The settings tree seen as a flat list of keys: what `load`, `report` and the tests of the documents walk.

Everything is derived from the models in `config.settings`, so that a setting is declared once.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from antiphon.config.settings import Settings

PREFIX = "ANTIPHON_"
NESTING = "__"
CONFIG_VARIABLE = "ANTIPHON_CONFIG"

ALIASES = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "OPENAI_API_KEY": "openai_api_key",
    "OPENAI_BASE_URL": "openai_base_url",
    "SYSTEM_PROMPT": "system_prompt",
    "DISCORD_TOKEN": "discord.token",
    "TELEGRAM_TOKEN": "telegram.token",
    "LIVEKIT_URL": "livekit.url",
    "LIVEKIT_API_KEY": "livekit.api_key",
    "LIVEKIT_API_SECRET": "livekit.api_secret",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "telemetry.otlp_endpoint",
}
"""Variables without our prefix that set a key, because people have them already."""

_KINDS: dict[type, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "secret text",
    tuple: "list of texts",
    Mapping: "table of tables",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `name` is dotted (`http.port`), `kind` a word for people, `choices` empty where any value goes."""

    name: str
    kind: str
    default: object
    description: str
    choices: tuple[str, ...]
    limits: tuple[str, ...]
    """Bounds as people write them: `>= 1`, `<= 65535`."""
    secret: bool
    fields: tuple[Key, ...] = ()
    """The keys of one table, where the setting is a list of tables."""
    required: bool = False

    @property
    def variable(self) -> str:
        """The environment variable of this key."""
        return PREFIX + self.name.replace(".", NESTING).upper()

    @property
    def path(self) -> tuple[str, ...]:
        """The name split at its dots."""
        return tuple(self.name.split("."))

    @property
    def expectation(self) -> str:
        """What a good value looks like, in words: the remedy of a refused one."""
        if self.choices:
            return "use one of " + ", ".join(repr(choice) for choice in self.choices)
        words = {
            "list of texts": "a list of texts",
            "list of tables": f"tables [[{self.name}]] with {', '.join(key.name for key in self.fields)}",
            "table of tables": f"tables [{self.name}.NAME] with keys and values",
            "true or false": "true or false",
        }.get(self.kind, f"a {self.kind}")
        return f"use {words}" + (f" {' and '.join(self.limits)}" if self.limits else "")


@cache
def all_keys() -> dict[str, Key]:
    """Every key by its dotted name, in the order of the tree."""
    return {key.name: key for key in _walk(Settings, "")}


@cache
def sections() -> dict[str, str]:
    """Each sub-tree with the sentence that says what it is about."""
    return {
        name: (field.annotation.__doc__ or "").strip()
        for name, field in Settings.model_fields.items()
        if _is_section(field.annotation)
    }


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _walk(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        if _is_section(annotation):
            yield from _walk(annotation, f"{name}.")
        else:
            yield _key(prefix + name, field)


def _key(name: str, field: FieldInfo) -> Key:
    annotation: Any = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):  # `Path | None`
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    while hasattr(annotation, "__metadata__"):  # `Annotated[Path, …]` inside of the union
        annotation = annotation.__origin__
    choices = tuple(str(choice) for choice in get_args(annotation)) if get_origin(annotation) is Literal else ()
    base: type = str if choices else get_origin(annotation) or annotation
    element: Any = get_args(annotation)[0] if base is tuple else None
    tables = _is_section(element)
    return Key(
        name=name,
        kind="list of tables" if tables else _KINDS[base],
        default=field.default,
        description=field.description or "",
        choices=choices,
        limits=tuple(_limits(field)),
        secret=base is SecretStr,
        fields=tuple(_walk(element, "")) if tables else (),
        required=field.is_required(),
    )


def _limits(field: FieldInfo) -> Iterator[str]:
    for attribute, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        for constraint in field.metadata:
            bound = getattr(constraint, attribute, None)
            if bound is not None:
                yield f"{sign} {bound}"
