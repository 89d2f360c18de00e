"""Changing settings while the program runs: what may be changed, where it is written, what takes effect at once.

The API's settings routes call `Configuration`; `run.wiring` builds it and applies what takes effect. Plain settings go
into the overlay `<data_dir>/settings.toml`, secrets into files of their own in the secrets folder (folder 0700, files
0600), never into the TOML. A change is first tried as a whole, as the next start would read it; one that would be
refused then is refused now, and nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, SecretStr

from antiphon.config.keys import ALIASES, Key, all_keys
from antiphon.config.load import OVERLAY, ConfigProblems, Reading
from antiphon.config.providers import PROVIDERS
from antiphon.config.report import describe
from antiphon.config.settings import Settings
from antiphon.config.sources import Value
from antiphon.domain.errors import Forbidden, InvalidInput, Unavailable

FIXED = {
    "data_dir": "It says where everything lies; set it where Antiphon is started.",
    "models_dir": "It says where everything lies; set it where Antiphon is started.",
    "secrets_dir": "It says where everything lies; set it where Antiphon is started.",
    "speech.engines": "Which keys it may have is for the engines to say; set it in the configuration file.",
    "database_url": "Another database is another installation; set it where Antiphon is started.",
}
"""Keys the page shows and does not change, and why."""
_OWNERS = (
    *("http.", "redis_url", "discord.api_url", "discord.ca_file", "discord.loopback", "telegram.api_url", "experts"),
    *("log.personal_text", "log.file", "log.syslog", "log.otlp"),
    "speech_services.",
    *("speech.stt", "speech.tts", "speech.hub_url"),  # their engines send secrets and speech to addresses in there
)
_MODEL_ADDRESSES = ("model_url", "openai_base_url")
"""Where the keys of models are sent. `experts` are the owner's: they name secrets and addresses of their own."""
_LIVE = (
    *("model", "model_url", "openai_api_key", "openai_base_url", "experts", "routing.", "system_prompt"),
    *("approvals.", "discord.", "telegram.", "livekit."),
    *("limits.messages_per_minute", "limits.turn_", "limits.context_"),
    *("log.level", "log.format", "log.personal_text", "log.file", "log.syslog", "log.otlp"),
)
_HEAD = (
    "# Written by the console's Settings page. The environment and .env win over it, it wins over antiphon.toml.\n\n"
)
_SECRET_CHARS = 10_000


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as the page shows it. A secret's `value` is None; `is_set` says whether there is one."""

    key: Key
    value: object
    is_set: bool
    origin: str
    locked: str
    """Why it cannot be changed here, or ""."""
    owner_only: bool
    live: bool
    """Whether a change takes effect without a restart."""
    pending: bool
    """Whether it was changed and waits for a restart."""
    here: bool
    """Whether the page wrote it, so that it can be set back."""


class Configuration:
    """The settings of this process. `running` is what it works with, `stored` what the next start would read."""

    def __init__(self, settings: Settings) -> None:
        self._reading = settings.reading if isinstance(settings.reading, Reading) else _by_hand(settings)
        self._lock = threading.Lock()
        self.running = settings
        self.stored = settings
        self._values: Mapping[str, Value] = {}
        self.overlay = settings.data_dir / OVERLAY
        self.secrets = settings.secrets_path
        self._read()

    def _read(self) -> None:
        with contextlib.suppress(ConfigProblems):  # broken by hand while we run: what we have stays
            self.stored, self._values = self._reading.gather()

    def reload(self) -> Settings:
        """Read everything again (another process, or a person, wrote it); returns what this process works with now."""
        with self._lock:
            self._read()
            self.running = _with_live(self.running, self.stored)
            return self.running

    def shown(self) -> list[Shown]:
        """Every setting, in the order of the tree, then the keys of providers."""
        lines = describe(self.stored)
        works = {line.key: line.value for line in describe(self.running)}
        shown = [self._shown(all_keys()[line.key], line.value, pending=works[line.key] != line.value) for line in lines]
        return shown + [
            self._shown(key, self.stored.secret(key.name), pending=False) for key in provider_keys(self.stored)
        ]

    def _shown(self, key: Key, value: object, *, pending: bool) -> Shown:
        stored = self._values.get(key.name)
        return Shown(
            key=key,
            value=None if key.secret else value,
            is_set=bool(value) if key.secret else stored is not None,
            origin=self._origin(key, bool(value)),
            locked=FIXED.get(key.name) or self._stronger(key),
            owner_only=key.name.startswith(_OWNERS),
            live=is_live(key.name),
            pending=pending and not is_live(key.name),
            here=self._is_here(key, stored),
        )

    def _origin(self, key: Key, is_set: bool) -> str:
        if key.name in all_keys():
            return self.stored.origin(key.name)
        if not is_set:
            return "default"
        return f"environment {key.name}" if self._reading.environ.get(key.name) else str(self._file_of(key))

    def _is_here(self, key: Key, stored: Value | None) -> bool:
        if key.secret:
            return self._file_of(key).is_file()
        return stored is not None and stored.source == str(self.overlay)

    def _stronger(self, key: Key) -> str:
        """In words, the source that would win over what the page writes, or ""."""
        if key.name not in all_keys():
            return f"It is set by the environment ({key.name})." if self._reading.environ.get(key.name) else ""
        value = self._values.get(key.name)
        weaker = value is None or value.source.startswith((str(self.secrets), str(self.overlay)))
        if weaker or value is None or value.source.endswith((".toml", ".json")):
            return ""
        return f"It is set by {value.origin}, which wins over this page. Change or remove it there."

    def change(self, values: Mapping[str, object], *, owner: bool) -> Settings:
        """Set what is given, None takes a setting away; returns what this process works with now.

        Raises `InvalidInput` with a field for each key that is refused (then nothing was written), `Forbidden` for what
        is the owner's, and `Unavailable` when the disk does not take it.
        """
        keys = {**all_keys(), **{key.name: key for key in provider_keys(self.stored)}}
        refused = {name: "is not a setting" for name in values if name not in keys}
        for name in values.keys() & keys.keys():
            if why := FIXED.get(name) or self._stronger(keys[name]):
                refused[name] = why
            elif keys[name].secret and not _good_secret(values[name]):
                refused[name] = "must be a text without line breaks"
            elif not _writable(values[name]):
                refused[name] = "is not valid Unicode"
        if refused:
            raise InvalidInput(
                "Some settings cannot be changed: " + ", ".join(map(_brief, refused)) + ".", fields=refused
            )
        if not owner and (owners := [name for name in values if name.startswith(_OWNERS)]):
            raise Forbidden(f"Only an owner changes {', '.join(owners)}.")
        if not owner and (sent := self._keys_sent_elsewhere(values)):
            raise Forbidden(
                f"Only an owner lets a stored key ({', '.join(sent)}) be sent to another address. "
                "Enter a key for it together with the address."
            )
        plain = {name: value for name, value in values.items() if not keys[name].secret}
        hidden = {name: str(value or "") or None for name, value in values.items() if keys[name].secret}
        with self._lock:
            self._change(plain, {keys[name]: value for name, value in hidden.items()})
            self._read()
            self.running = _with_live(self.running, self.stored)
            return self.running

    def _keys_sent_elsewhere(self, values: Mapping[str, object]) -> list[str]:
        """Keys of models that are stored, not in `values`, and would go to an address that `values` changes: who may
        change settings must not be able to have a secret sent to a server of their own."""
        changed = [name for name in _MODEL_ADDRESSES if values.get(name) not in (None, "", getattr(self.stored, name))]
        names = ["openai_api_key", *(key.name for key in provider_keys(self.stored))] if changed else []
        return [name for name in names if self.stored.secret(name.upper()) and not values.get(name)]

    def _change(self, values: Mapping[str, object], secrets: Mapping[Key, str | None]) -> None:
        table = self._overlay_now()
        for name, value in values.items():
            _put(table, all_keys()[name].path, value)
        try:
            self._reading.gather(table, {_variable(key): secret for key, secret in secrets.items()})
        except ConfigProblems as problems:
            fields = {problem.key: f"{problem.problem}; {problem.remedy}" for problem in problems.problems}
            raise InvalidInput("That would be refused at the next start; nothing was changed.", fields=fields) from None
        try:
            for key, secret in secrets.items():
                if secret is not None:
                    self._write_secret(self._file_of(key), secret)
            if values:
                _write(self.overlay, _HEAD.encode() + tomli_w.dumps(table).encode())
            for key, secret in secrets.items():
                if secret is None:
                    self._file_of(key).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"The change could not be written: {error.strerror or error}.") from error

    def _overlay_now(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.overlay.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Unavailable(f"{self.overlay} cannot be read; correct or remove it.") from error

    def _file_of(self, key: Key) -> Path:
        """The file of a secret: the one that is there in whatever case, else a new one in small letters."""
        names = [name for alias, target in ALIASES.items() if target == key.name for name in (alias.lower(), alias)]
        names += [_variable(key).lower(), _variable(key)]
        return next((path for name in names if (path := self.secrets / name).is_file()), self.secrets / names[0])

    def _write_secret(self, path: Path, secret: str) -> None:
        if not self.secrets.is_dir():
            self.secrets.mkdir(mode=0o700, parents=True)
            self.secrets.chmod(0o700)  # whatever the umask is
        _write(path, secret.encode() + b"\n")


def is_live(name: str) -> bool:
    """Whether a change of this key takes effect without a restart."""
    return name.isupper() or any(name == one or (one.endswith((".", "_")) and name.startswith(one)) for one in _LIVE)


def provider_keys(settings: Settings) -> list[Key]:
    """The secrets that are named by variables of their own: keys of model providers, and those experts name."""
    names = [name for provider in PROVIDERS.values() for name in provider.keys if name != "OPENAI_API_KEY"]
    names += [expert.secret for expert in settings.experts if expert.secret and expert.secret.upper() not in ALIASES]
    return [
        Key(name, "secret text", SecretStr(""), f"Key of the provider that reads {name}.", (), (), secret=True)
        for name in dict.fromkeys(names)
    ]


def _variable(key: Key) -> str:
    alias = next((alias for alias, target in ALIASES.items() if target == key.name), "")
    return alias or (key.variable if key.name in all_keys() else key.name)


def _good_secret(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= _SECRET_CHARS and value.isprintable())


def _writable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, ValueError):
        return False
    return True


def _brief(name: str) -> str:
    return name[:60] if name.isprintable() else "a key"


def _put(table: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    *sections, last = path
    for section in sections:
        table = table.setdefault(section, {})
    if value is None:
        table.pop(last, None)
    else:
        table[last] = value


def _with_live(running: Settings, stored: Settings) -> Settings:
    """What this process works with: of `stored` only what takes effect without a restart."""
    top: dict[str, Any] = {}
    for name in Settings.model_fields:
        value: Any = getattr(stored, name)
        if isinstance(value, BaseModel):
            inner = {key: getattr(value, key) for key in type(value).model_fields if is_live(f"{name}.{key}")}
            top[name] = getattr(running, name).model_copy(update=inner)
        elif is_live(name):
            top[name] = value
    copy = running.model_copy(update=top)
    origins = {name: stored.origin(name) for name in all_keys() if is_live(name)}
    return copy.with_secrets(stored.named_secrets).with_origins(
        {**{name: running.origin(name) for name in all_keys()}, **origins}, running.reading
    )


def _by_hand(settings: Settings) -> Reading:
    """Settings that were built by hand count as given on the command line: nothing changes what was meant."""
    given: dict[str, object] = {}
    for key in all_keys().values():
        value: Any = settings
        for part in key.path:
            value = getattr(value, part)
        if value != key.default and value is not None:
            given[key.name] = [one.model_dump() for one in value] if key.kind == "list of tables" else value
    return Reading({}, directory=settings.data_dir, overrides=given)


def _write(path: Path, content: bytes) -> None:
    """Replace a file by another one, whole or not at all, readable by this account alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
