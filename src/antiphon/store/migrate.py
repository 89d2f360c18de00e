"""Brings the database to the schema of this code. Called at every start and by `antiphon db migrate`.

Either it succeeds or the database is as it was: PostgreSQL applies all that is missing in one transaction, SQLite gets
its file back from a copy made before. When nothing is missing it reads one table.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError, StoreUnavailable
from antiphon.store.settings import configure

if TYPE_CHECKING:  # Django's migration modules may only be imported once Django is configured
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.migrations.executor import MigrationExecutor

log = structlog.stdlib.get_logger(__name__)

SPARE_BYTES = 64 * 1024 * 1024
_LOCK_KEY = 7_284_610_937  # any constant: processes that start together migrate one after the other


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What was applied, as `app.name`, oldest first. Empty when the database was up to date."""

    applied: tuple[str, ...]


def migrate(settings: Settings) -> MigrationReport:
    """Check the database, then apply what is missing, or nothing at all.

    Raises `StoreUnavailable` when the database cannot be reached or a migration failed, and `ConfigError` when the disk
    is too full or the database was written by a newer version.
    """
    configure(settings)
    from django.db import DEFAULT_DB_ALIAS, connections

    connection = connections[DEFAULT_DB_ALIAS]
    try:
        _open(connection)
        executor = _executor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            _apply(connection, executor)
    finally:
        connection.close()  # frees PostgreSQL's lock too
    applied = tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan)
    if applied:
        log.info("store.migrated", applied=len(applied))
    return MigrationReport(applied)


def schema_state() -> list[str]:
    """The applied migrations of the open database as `app.name`, sorted. A backup records it."""
    from django.db import DEFAULT_DB_ALIAS, connections
    from django.db.migrations.recorder import MigrationRecorder

    return sorted(".".join(name) for name in MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations())


def unknown_migrations(state: list[str]) -> list[str]:
    """Those of `state` that this code does not have: what wrote them is newer."""
    from django.db.migrations.loader import MigrationLoader

    return sorted(set(state) - {".".join(name) for name in MigrationLoader(None).disk_migrations})


def _open(connection: BaseDatabaseWrapper) -> None:
    from django.db.utils import Error

    try:
        if connection.vendor == "sqlite":
            sqlite_file(connection).parent.mkdir(parents=True, exist_ok=True)
        connection.ensure_connection()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # A migration, and waiting for somebody else's, may take longer than any statement of a running server.
                cursor.execute("SET statement_timeout = 0")
                cursor.execute("SET lock_timeout = 0")
                cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK_KEY])
    except (Error, OSError) as error:
        raise StoreUnavailable(
            "The database cannot be opened. Check DATABASE_URL, the database server and the rights on the data folder."
        ) from error


def _executor(connection: BaseDatabaseWrapper) -> MigrationExecutor:
    """Django's executor for this database, which must not be ahead of this code."""
    from django.db.migrations.executor import MigrationExecutor
    from django.db.utils import DatabaseError

    try:
        executor = MigrationExecutor(connection)
    except DatabaseError as error:
        raise StoreUnavailable("The database cannot be read; it may be damaged. Restore a backup.") from error
    newer = set(executor.loader.applied_migrations) - set(executor.loader.disk_migrations)
    if newer:
        raise ConfigError(
            source="database",
            key="schema",
            problem=f"it was written by a newer version ({', '.join(sorted('.'.join(name) for name in newer))})",
            remedy="start that version of Antiphon, or restore a backup made with this one",
        )
    return executor


def _apply(connection: BaseDatabaseWrapper, executor: MigrationExecutor) -> None:
    undoing = _sqlite_copy(connection) if connection.vendor == "sqlite" else _one_transaction()
    try:
        with undoing:
            executor.migrate(executor.loader.graph.leaf_nodes())
    except ConfigError:
        raise
    except Exception as error:
        raise StoreUnavailable(
            f"The database could not be brought up to date; it is as it was before. ({type(error).__name__}: {error})"
        ) from error


def _one_transaction() -> contextlib.AbstractContextManager[None]:
    from django.db import transaction

    return transaction.atomic()  # pyright: ignore[reportReturnType] - Atomic is one, without saying so


@contextlib.contextmanager
def _sqlite_copy(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Put the database file back when the block fails. Django cannot rebuild SQLite tables inside a transaction."""
    path = sqlite_file(connection)
    _check_space(path)
    copy = path.with_name(f"{path.name}.before-migration")
    source = sqlite3.connect(path)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    try:
        yield
    except BaseException:
        connection.close()
        replace_sqlite_file(copy, path)
        raise
    copy.unlink()


def _check_space(path: Path) -> None:
    needed = 3 * path.stat().st_size + SPARE_BYTES  # the copy, a rebuilt table, the write-ahead log
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ConfigError(
            source="database",
            key="data_dir",
            problem=f"bringing it up to date needs {needed // 2**20} MiB of free disk, there are {free // 2**20}",
            remedy="free some space, or move data_dir to a larger disk",
        )


def sqlite_file(connection: BaseDatabaseWrapper) -> Path:
    """The file of a SQLite connection."""
    return Path(str(connection.settings_dict["NAME"]))


def _fold_log(path: Path) -> None:
    """Bring the write-ahead log into the file, so that a crash between removing the one and replacing the other costs
    nothing. A file too damaged for that is being replaced anyway."""
    if path.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def replace_sqlite_file(new: Path, path: Path) -> None:
    """Put `new` in the place of a database that nobody has open, durably. Its old log must not be applied to it."""
    _fold_log(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
