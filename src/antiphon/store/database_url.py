"""Turns `database_url` into Django's database settings. Called by `store.settings`, `store.backup` and the listener."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError

_PREPARE_AFTER = 3
"""A statement run so often on a connection stays prepared there: half the time of the short ones is their planning."""
_POSTGRES = ("postgres", "postgresql")
_REMEDY = "use postgresql://user:password@host:5432/name, sqlite:///file, or leave it empty for SQLite in data_dir"


def database_settings(settings: Settings) -> dict[str, Any]:
    """Django's DATABASES["default"] for these settings. Raises `ConfigError` when the address cannot be used."""
    url = settings.database_url.get_secret_value()
    if not url:
        return _sqlite(settings.data_dir / "antiphon.db")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("not an address") from error
    if parts.scheme == "sqlite":
        path = unquote(parts.path)[1:]  # sqlite:///relative, sqlite:////absolute
        if parts.netloc or not path:
            raise _refused("a SQLite address names a file")
        return _sqlite(Path(path))
    if parts.scheme not in _POSTGRES:
        raise _refused(f"unknown kind {parts.scheme!r}" if parts.scheme else "it names no kind of database")
    name = unquote(parts.path).strip("/")
    if not name:
        raise _refused("it names no database")
    options = dict(parse_qsl(parts.query))
    host = unquote(parts.hostname or "") or options.pop("host", "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(port or options.pop("port", "")),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"connect_timeout": 5, **options, "prepare_threshold": _prepare_after(options)},
    }


def _prepare_after(options: Mapping[str, str]) -> int | None:
    """`?prepare_threshold=none` turns prepared statements off, which some connection poolers need."""
    given = options.get("prepare_threshold", str(_PREPARE_AFTER))
    if given == "none":
        return None
    if not given.isdecimal():
        raise _refused("prepare_threshold is a number or none")
    return int(given)


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path.absolute()),
        "CONN_MAX_AGE": 0,  # anything else leaks handles under ASGI
        "OPTIONS": {
            "timeout": 5,
            "transaction_mode": "IMMEDIATE",  # DEFERRED upgrades its lock late and fails with "database is locked"
            # A checkpoint waits for the disk twice, in the middle of somebody's commit: every 16 MB, not every 4.
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA wal_autocheckpoint=4000;",
        },
    }


def _refused(problem: str) -> ConfigError:
    return ConfigError(source="DATABASE_URL", key="database_url", problem=problem, remedy=_REMEDY)
