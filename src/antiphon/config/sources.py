"""Reading the places where settings may stand, each value with its place, and each problem instead of the first one.

Called by `config.load` only. pydantic-settings' own sources forget where a value stood and overlook an unknown
variable; a refusal must name both, so the reading is done here and only the tree is pydantic-settings'.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from dotenv import dotenv_values

from antiphon.config.keys import ALIASES, CONFIG_VARIABLE, NESTING, PREFIX, Key, all_keys, sections
from antiphon.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it stood in `source` under the name `written` (`http.port`, `ANTIPHON_HTTP__PORT`)."""

    value: object
    source: str
    written: str

    @property
    def origin(self) -> str:
        """The place in words, for `antiphon config show`."""
        return self.source if self.source.endswith(self.written) else f"{self.source} {self.written}"


@dataclass(slots=True)
class Layer:
    """What one source says: values by dotted key, and what is wrong with it."""

    values: dict[str, Value] = field(default_factory=dict[str, Value])
    problems: list[ConfigError] = field(default_factory=list[ConfigError])

    def refuse(self, source: str, key: str, problem: str, remedy: str) -> None:
        """Note a problem and go on reading."""
        self.problems.append(ConfigError(source=source, key=key, problem=problem, remedy=remedy))


def read_environment(environ: Mapping[str, str], source: str = "environment") -> Layer:
    """Settings from variables. An empty variable counts as not set; an unknown `ANTIPHON_*` is a problem.

    A variable with our prefix wins over one without it (`ANTIPHON_DATABASE_URL` over `DATABASE_URL`).
    """
    layer = Layer()
    by_variable = {key.variable: key for key in all_keys().values()}
    for variable, name in ALIASES.items():
        if environ.get(variable):
            layer.values[name] = Value(environ[variable], source, variable)
    for variable, text in environ.items():
        if not variable.upper().startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        key = by_variable.get(variable)
        if key is None:
            known = [*by_variable, CONFIG_VARIABLE]
            layer.refuse(source, variable, "is not a setting", suggest(variable, known, "remove it"))
        elif text:
            _add_text(layer, key, text, source, variable)
    return layer


def read_dotenv(path: Path) -> tuple[Mapping[str, str], Layer]:
    """The variables of a `.env` file and the settings among them; both are empty when the file does not exist."""
    if not path.is_file():
        return {}, Layer()
    layer = Layer()
    try:
        found = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        layer.refuse(str(path), "-", f"cannot be read ({_reason(error)})", "make it a readable UTF-8 text file")
        return {}, layer
    variables = {name: text or "" for name, text in found.items()}
    return variables, read_environment(variables, str(path))


def read_secrets(folder: Path, source: str, written: str) -> Layer:
    """Settings from a folder of files named like variables, in any case. Other files there are not ours to judge.

    `source` and `written` say where the folder was named, for the refusal when it does not exist.
    """
    layer = Layer()
    if not folder.is_dir():
        layer.refuse(source, written, f"the folder {folder} does not exist", "make it, or remove the setting")
        return layer
    variables: dict[str, str] = {}
    places: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        variable = path.name.upper()
        if not path.is_file() or not (variable.startswith(PREFIX) or variable in ALIASES):
            continue
        try:
            variables[variable] = path.read_text(encoding="utf-8").rstrip("\r\n")
            places[variable] = str(path)
        except (OSError, UnicodeDecodeError) as error:
            layer.refuse(str(path), variable, f"cannot be read ({_reason(error)})", "make it readable UTF-8 text")
    for variable, place in places.items():
        one = read_environment({variable: variables[variable]}, place)
        layer.values.update(one.values)
        layer.problems.extend(one.problems)
    return layer


def read_secret(folder: Path | None, name: str) -> str:
    """The content of the file `name` (in small letters too) in the secrets folder, or ""."""
    for path in [folder / spelled for spelled in (name, name.lower())] if folder else []:
        try:
            if text := path.read_text(encoding="utf-8").rstrip("\r\n"):
                return text
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def read_file(path: Path) -> Layer:
    """Settings from a TOML or JSON file, told apart by the ending `.json`."""
    layer = Layer()
    source = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        layer.refuse(source, "-", f"cannot be read ({_reason(error)})", "make it a readable UTF-8 text file")
        return layer
    try:
        content: object = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except ValueError as error:  # both decoders' errors name line and column
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        layer.refuse(source, "-", f"is not valid {kind} ({error})", "correct that place")
        return layer
    if not isinstance(content, dict):
        layer.refuse(source, "-", "holds no table of settings", 'write {"http": {"port": 8000}} and the like')
        return layer
    _read_table(layer, cast("dict[str, object]", content), source, "")
    return layer


def _read_table(layer: Layer, table: Mapping[str, object], source: str, prefix: str) -> None:
    for short, value in table.items():
        name = prefix + short
        key = all_keys().get(name)
        if key is not None:
            problem = _wrong_type(key, value)
            if problem:
                layer.refuse(source, name, problem, key.expectation)
            elif value or key.kind != "path":  # an empty path counts as not set, like an empty variable
                layer.values[name] = Value(value, source, name)
        elif not prefix and short in sections():
            if isinstance(value, dict):
                _read_table(layer, cast("dict[str, object]", value), source, f"{short}.")
            else:
                layer.refuse(
                    source, name, f"must be a table, found {_noun(value)}", f"write [{name}] and keys below it"
                )
        else:
            known = [*all_keys(), *sections()]
            layer.refuse(source, name, "is not a setting", suggest(name, known, "remove it"))


def read_table(table: Mapping[str, object], source: str) -> Layer:
    """Settings from a table as `read_file` would find it in the file `source`."""
    layer = Layer()
    _read_table(layer, table, source, "")
    return layer


def _add_text(layer: Layer, key: Key, text: str, source: str, variable: str) -> None:
    """Lists are written as JSON or with commas; everything else is text that the tree converts."""
    value: object = text
    if key.kind in ("list of tables", "table of tables"):
        try:
            value = json.loads(text)
        except ValueError:
            form = '[{"name": …}]' if key.kind == "list of tables" else '{"NAME": {"key": …}}'
            layer.refuse(source, variable, "is not valid JSON", f"use {form}")
            return
        if problem := _wrong_type(key, value):
            layer.refuse(source, variable, problem, key.expectation)
            return
    elif key.kind == "list of texts":
        if text.lstrip().startswith("["):
            try:
                value = json.loads(text)
            except ValueError:
                layer.refuse(source, variable, "is not a valid JSON list", 'use ["a", "b"] or a,b')
                return
            problem = _wrong_type(key, value)
            if problem:
                layer.refuse(source, variable, problem, key.expectation)
                return
        else:
            value = [part.strip() for part in text.split(",") if part.strip()]
    layer.values[key.name] = Value(value, source, variable)


_TYPES: dict[str, tuple[type, ...]] = {"whole number": (int,), "number": (int, float), "true or false": (bool,)}


def _wrong_type(key: Key, value: object) -> str:
    """What is wrong with the type of a value from a file, or "". Files have types, so `port = true` is no 1."""
    found = type(value)
    if key.kind == "list of tables":
        good = found is list and all(isinstance(part, dict) for part in cast("list[object]", value))
    elif key.kind == "table of tables":
        good = found is dict and all(isinstance(part, dict) for part in cast("dict[str, object]", value).values())
    elif key.kind == "list of texts":
        good = found is list and all(isinstance(part, str) for part in cast("list[object]", value))
    else:
        good = found in _TYPES.get(key.kind, (str,))
    return "" if good else f"must be a {key.kind}, found {_noun(value)}"


_NOUNS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a table",
}


def _noun(value: object) -> str:
    """The type of a value from TOML or JSON in words. Never the value: it may be a secret in the wrong place."""
    if value is None:
        return "nothing"
    return _NOUNS.get(type(value), "a date or time")


def suggest(name: str, known: Iterable[str], otherwise: str) -> str:
    """The remedy for an unknown name: the known one that looks most like it."""
    names = list(known)
    # The right last word in the wrong place (`port` for `http.port`) before one that only looks alike.
    last = name.replace(NESTING, ".").removeprefix(PREFIX).lower().rpartition(".")[2]
    close = [known for known in names if known.replace(NESTING, ".").lower().rpartition(".")[2] == last]
    close = close or difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else otherwise


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "input/output error").lower() if isinstance(error, OSError) else "not UTF-8"
