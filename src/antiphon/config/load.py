"""Gathering the settings of a running installation. Called by `run` at start and by `antiphon config`.

Order, the stronger first: `overrides` (the command line), environment, `.env`, the secrets folder, the configuration
file, defaults. Every problem of every source is found before anything is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from antiphon.config.checks import check
from antiphon.config.keys import CONFIG_VARIABLE, Key, all_keys
from antiphon.config.settings import Settings
from antiphon.config.sources import Layer, Value, read_dotenv, read_environment, read_file, read_secrets
from antiphon.domain.errors import ConfigError

DEFAULT_FILE = "antiphon.toml"


class ConfigProblems(ConfigError):
    """The configuration is refused for one or more reasons. `str()` is one line per problem, ready for stderr."""

    def __init__(self, problems: Iterable[ConfigError]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(source=first.source, key=first.key, problem=first.problem, remedy=first.remedy)
        self.message = "\n".join(problem.message for problem in self.problems)
        self.args = (self.message,)


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    config_file: Path | None = None,
    directory: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Gather, validate and check all settings; raises `ConfigProblems` (a `ConfigError`) naming every problem.

    `environ` stands in for the process environment. The file is `config_file`, else what `ANTIPHON_CONFIG` names,
    else `antiphon.toml` in `directory` (default: the working directory) when it is there; `.env` is looked for in
    `directory` too. `overrides` maps dotted keys to values from the command line.
    """
    environ = os.environ if environ is None else environ
    base = directory or Path()
    variables, dotenv = read_dotenv(base / ".env")
    layers = [_command_line(overrides or {}), read_environment(environ), dotenv]
    file_layer = _file_layer(environ, variables, config_file, base)
    layers.append(_secrets_layer([*layers, file_layer]))
    layers.append(file_layer)

    problems = [problem for layer in layers for problem in layer.problems]
    values: dict[str, Value] = {}
    for layer in reversed(layers):
        values.update(layer.values)
    settings, refused = _validate(values)
    problems.extend(refused)
    if settings is not None:
        problems.extend(_broken_rules(settings, values))
    if problems or settings is None:
        raise ConfigProblems(problems)
    return settings.with_origins({name: value.origin for name, value in values.items()})


def _command_line(overrides: Mapping[str, object]) -> Layer:
    return Layer({name: Value(value, "command line", name) for name, value in overrides.items()})


def _file_layer(
    environ: Mapping[str, str], variables: Mapping[str, str], config_file: Path | None, base: Path
) -> Layer:
    """The configuration file. One that is named must exist; the default one may be absent."""
    layer = Layer()
    if config_file is not None:
        path, source = config_file, "command line"
    elif environ.get(CONFIG_VARIABLE):
        path, source = Path(environ[CONFIG_VARIABLE]).expanduser(), "environment"
    elif variables.get(CONFIG_VARIABLE):
        path, source = Path(variables[CONFIG_VARIABLE]).expanduser(), str(base / ".env")
    else:
        path = base / DEFAULT_FILE
        return read_file(path) if path.exists() else layer
    if path.exists():
        return read_file(path)
    layer.refuse(source, CONFIG_VARIABLE, f"the file {path} does not exist", "make it, or name another one")
    return layer


def _secrets_layer(layers: Iterable[Layer]) -> Layer:
    """The secrets folder, wherever the strongest source says it is."""
    for layer in layers:
        value = layer.values.get("secrets_dir")
        if value is not None:
            return read_secrets(Path(str(value.value)).expanduser(), value.source, value.written)
    return Layer()


def _validate(values: Mapping[str, Value]) -> tuple[Settings | None, list[ConfigError]]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        key = all_keys()[name]
        branch = tree
        for part in key.path[:-1]:
            branch = branch.setdefault(part, {})
        branch[key.path[-1]] = value.value
    try:
        return Settings(**tree), []
    except ValidationError as error:
        return None, [_refusal(details, values) for details in error.errors(include_url=False)]


def _refusal(details: ErrorDetails, values: Mapping[str, Value]) -> ConfigError:
    """One of pydantic's findings with our place and words. A list's element is reported at its list."""
    name = ".".join(str(part) for part in details["loc"] if isinstance(part, str))
    key = all_keys()[name]
    value = values[name]
    return ConfigError(source=value.source, key=value.written, problem=_problem(details, key), remedy=key.expectation)


def _problem(details: ErrorDetails, key: Key) -> str:
    if details["type"] == "value_error":  # raised by our own validators, which never repeat a secret
        return str(details["ctx"]["error"]) if "ctx" in details else details["msg"]
    if key.secret:
        return "is not accepted"
    given: object = details["input"]
    shown = repr(given) if len(repr(given)) <= 60 else f"{repr(given)[:57]}..."
    return f"{shown} is not accepted"


def _broken_rules(settings: Settings, values: Mapping[str, Value]) -> Iterable[ConfigError]:
    for finding in check(settings):
        value = values.get(finding.key)
        yield ConfigError(
            source=value.source if value else "settings",
            key=value.written if value else finding.key,
            problem=finding.problem,
            remedy=finding.remedy,
        )
