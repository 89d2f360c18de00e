"""Backups of a SQLite database. Used by `backup`."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connections

from antiphon.domain.errors import InvalidInput, StoreUnavailable
from antiphon.store.backup import Dump
from antiphon.store.migrate import replace_sqlite_file, sqlite_file


class SqliteEngine:
    """SQLite's own backup: one consistent state, also while the server writes."""

    name = "sqlite"

    def __init__(self) -> None:
        self._path = sqlite_file(connections[DEFAULT_DB_ALIAS])

    def dump(self, target: Path) -> Dump:
        """Copy the database and check the copy."""
        if not self._path.exists():
            raise StoreUnavailable("There is no database yet.")
        try:
            with (
                contextlib.closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as source,
                contextlib.closing(sqlite3.connect(target)) as copy,
            ):
                source.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # so that it is one file
                _check(copy)
                schema = copy.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1").fetchall()
                return Dump(schema=[row[0] for row in schema], counts=_counts(copy))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The database could not be copied: {error}.") from error

    def is_empty(self) -> bool:
        """Whether there are no people in it. A damaged database counts as full: somebody may still want to mend it."""
        if not self._path.exists():
            return True
        with contextlib.closing(sqlite3.connect(self._path)) as database:
            try:
                return database.execute("SELECT 1 FROM antiphon_person LIMIT 1").fetchone() is None
            except sqlite3.OperationalError as error:
                return "no such table" in str(error)
            except sqlite3.DatabaseError:
                return False

    def load(self, source: Path, counts: dict[str, int]) -> None:
        """Check the copy, then put it in the place of the database in one step."""
        try:
            with contextlib.closing(sqlite3.connect(source)) as copy:
                _check(copy)
                if _counts(copy) != counts:
                    raise InvalidInput("The backup is damaged: its tables do not have the rows it names.")
        except sqlite3.Error as error:
            raise InvalidInput(f"The backup is damaged: {error}.") from error
        connections[DEFAULT_DB_ALIAS].close()
        replace_sqlite_file(source, self._path)


def _check(database: sqlite3.Connection) -> None:
    (result,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(result)


def _counts(database: sqlite3.Connection) -> dict[str, int]:
    names = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    return {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in names}
