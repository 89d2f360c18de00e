"""Gathering the settings of a running installation. Called by `run` at start and by `antiphon config`.

Order, the stronger first: `overrides` (the command line), environment, `.env`, the secrets folder, the overlay that the
console's Settings page writes, the configuration file, defaults. Every problem of every source is found before anything
is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from antiphon.config.checks import check
from antiphon.config.keys import ALIASES, CONFIG_VARIABLE, Key, all_keys
from antiphon.config.providers import PROVIDERS
from antiphon.config.settings import Settings
from antiphon.config.sources import (
    Layer,
    Value,
    read_dotenv,
    read_environment,
    read_file,
    read_secret,
    read_secrets,
    read_table,
    suggest,
)
from antiphon.config.speech import named_secrets
from antiphon.domain.errors import ConfigError

DEFAULT_FILE = "antiphon.toml"
OVERLAY = "settings.toml"
"""What the console's Settings page writes, in `data_dir`."""
PLACES = frozenset({"data_dir", "secrets_dir"})
"""Settings the overlay cannot hold."""


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
    return Reading(dict(environ), config_file, directory, overrides or {}).settings()


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the settings of a process come from, so that they can be read again after the overlay changed."""

    environ: Mapping[str, str] = field(repr=False)
    config_file: Path | None = None
    directory: Path | None = None
    overrides: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)

    def settings(self) -> Settings:
        """All settings as they stand now. Raises `ConfigProblems`."""
        return self.gather()[0]

    def gather(
        self, overlay: Mapping[str, object] | None = None, secrets: Mapping[str, str | None] | None = None
    ) -> tuple[Settings, Mapping[str, Value]]:
        """The settings and the place of each value that is set. Raises `ConfigProblems`.

        `overlay` stands in for the content of the overlay, and `secrets` (variable to value, or None for none) for
        files of the secrets folder: what a change would come to.
        """
        base = self.directory or Path()
        variables, dotenv = read_dotenv(base / ".env")
        layers = [_command_line(self.overrides), read_environment(self.environ), dotenv]
        file_layer = _file_layer(self.environ, variables, self.config_file, base)
        folders = [*layers, file_layer]
        data_dir = _first(folders, "data_dir", Settings.model_fields["data_dir"].default)
        secrets_layer = _secrets_layer(folders, data_dir)
        for variable, secret in (secrets or {}).items():
            _stand_in(secrets_layer, variable, secret)
        layers += [secrets_layer, _overlay_layer(data_dir / OVERLAY, overlay), file_layer]

        problems = [problem for layer in layers for problem in layer.problems]
        values: dict[str, Value] = {}
        for layer in reversed(layers):
            values.update(layer.values)
        settings, refused = _validate(values)
        problems.extend(refused)
        if settings is not None:
            named = dict(_named_secrets(settings, self.environ, variables))
            for variable, secret in (secrets or {}).items():
                if not (self.environ.get(variable) or variables.get(variable)):
                    named[variable] = secret or ""
            settings = settings.with_secrets({name: value for name, value in named.items() if value})
            problems.extend(_broken_rules(settings, values))
        if problems or settings is None:
            raise ConfigProblems(problems)
        origins = {name: value.origin for name, value in values.items()}
        return settings.with_origins(origins, self), values


def _first(layers: Iterable[Layer], name: str, otherwise: Path) -> Path:
    value = next((layer.values[name] for layer in layers if name in layer.values), None)
    return Path(str(value.value)).expanduser() if value is not None else otherwise


def _overlay_layer(path: Path, content: Mapping[str, object] | None) -> Layer:
    """What the Settings page wrote. Where things lie cannot be said in a file whose own place depends on it."""
    if content is None and not path.exists():
        return Layer()
    layer = read_file(path) if content is None else read_table(content, str(path))
    for name in PLACES:
        if layer.values.pop(name, None) is not None:
            layer.refuse(str(path), name, "cannot be set here", "set it in the configuration file or the environment")
    return layer


def _stand_in(layer: Layer, variable: str, secret: str | None) -> None:
    if secret is None:
        name = ALIASES.get(variable) or next((k.name for k in all_keys().values() if k.variable == variable), "")
        layer.values.pop(name, None)
        return
    one = read_environment({variable: secret}, "the secrets folder")
    layer.values.update(one.values)
    layer.problems.extend(one.problems)


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


def _secrets_layer(layers: Iterable[Layer], data_dir: Path) -> Layer:
    """The secrets folder, wherever the strongest source says it is. The usual one may be absent."""
    for layer in layers:
        value = layer.values.get("secrets_dir")
        if value is not None:
            return read_secrets(Path(str(value.value)).expanduser(), value.source, value.written)
    usual = data_dir / "secrets"
    return read_secrets(usual, "settings", "secrets_dir") if usual.is_dir() else Layer()


def _named_secrets(settings: Settings, environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Mapping[str, str]:
    """The secrets that settings name, wherever they stand. One that is missing is for `checks` to refuse."""
    wanted = {expert.secret for expert in settings.experts} - {""}
    wanted.update(named_secrets(settings.speech.engines))
    for provider in PROVIDERS.values():
        wanted.update(provider.keys)
    found: dict[str, str] = {}
    for name in wanted:
        if value := environ.get(name) or dotenv.get(name) or read_secret(settings.secrets_path, name):
            found[name] = value
    return found


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
    """One of pydantic's findings with our place and words. A text of a list is reported at its list, a key of a table
    of a list with the table's name or number."""
    place = list(details["loc"])
    name = str(place.pop(0))
    while name not in all_keys():
        name = f"{name}.{place.pop(0)}"
    key, value = all_keys()[name], values[name]
    if key.kind != "list of tables" or len(place) < 2:
        problem = _problem(details, key)
        return ConfigError(source=value.source, key=value.written, problem=problem, remedy=key.expectation)
    number, inner = cast("int", place[0]), str(place[1])
    table = cast("list[Mapping[str, object]]", value.value)[number]
    written = f"{value.written}.{table_name(table, number)}.{inner}"
    field = next((one for one in key.fields if one.name == inner), None)
    if field is None:
        known = [one.name for one in key.fields]
        return ConfigError(
            source=value.source, key=written, problem="is not a setting", remedy=suggest(inner, known, "remove it")
        )
    problem = "is missing" if details["type"] == "missing" else _problem(details, field)
    return ConfigError(source=value.source, key=written, problem=problem, remedy=field.expectation)


def table_name(table: Mapping[str, object], number: int) -> str:
    """What a table of a list is called in refusals: its name, else its number counted from 1."""
    name = table.get("name")
    return name if isinstance(name, str) and name.isidentifier() and len(name) <= 32 else str(number + 1)


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
        name, inner = finding.key, ""
        while name and name not in all_keys():  # experts.code.secret: the list is where it stands
            name, _, last = name.rpartition(".")
            inner = f".{last}{inner}"
        value = values.get(name)
        yield ConfigError(
            source=value.source if value else "settings",
            key=value.written + inner if value else finding.key,
            problem=finding.problem,
            remedy=finding.remedy,
        )
