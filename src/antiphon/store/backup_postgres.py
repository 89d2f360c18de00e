"""Backups of a PostgreSQL database with its own programs (pg_dump, pg_restore, psql). Used by `backup`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from antiphon.domain.errors import Conflict, InvalidInput, StoreUnavailable
from antiphon.store.backup import Dump
from antiphon.store.migrate import schema_state

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class PostgresqlEngine:
    """The dump and the row counts are of one snapshot; the restore is one transaction."""

    name = "postgresql"

    def __init__(self) -> None:
        self._connection = connections[DEFAULT_DB_ALIAS]
        self._settings: Mapping[str, Any] = self._connection.settings_dict

    def dump(self, target: Path) -> Dump:
        """Write a dump in PostgreSQL's custom format."""
        program = _program("pg_dump")
        try:
            with transaction.atomic(), self._connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute("SELECT pg_export_snapshot()")
                snapshot = cursor.fetchone()[0]
                self._run(program, "--format=custom", f"--snapshot={snapshot}", f"--file={target}", *self._target())
                return Dump(schema=schema_state(), counts=_counts(cursor))
        except Error as error:
            raise StoreUnavailable("The database does not answer, so there is no backup.") from error
        finally:
            self._connection.close()

    def is_empty(self) -> bool:
        """Whether there are no people in it."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT to_regclass('antiphon_person') IS NOT NULL")
                if not cursor.fetchone()[0]:
                    return True
                cursor.execute("SELECT NOT EXISTS (SELECT 1 FROM antiphon_person)")
                return cursor.fetchone()[0]
        except Error as error:
            raise StoreUnavailable("The database does not answer.") from error
        finally:
            self._connection.close()

    def load(self, source: Path, counts: dict[str, int]) -> None:
        """Drop all tables and read the dump, in one transaction that also checks the row counts."""
        script = source.with_name("restore.sql")
        before = source.with_name("before.sql")
        after = source.with_name("after.sql")
        self._run(_program("pg_restore"), "--no-owner", "--no-privileges", f"--file={script}", str(source))
        before.write_text(self._drop_everything())
        after.write_text(_check_script(counts))
        self._run(
            _program("psql"),
            *("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"),
            *(f"--file={before}", f"--file={script}", f"--file={after}"),
            *self._target(),
        )

    def _drop_everything(self) -> str:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(_OTHERS)
                if cursor.fetchone()[0]:
                    raise Conflict("Somebody is connected to the database. Stop every Antiphon process first.")
                cursor.execute(_TABLES)
                tables = [_quoted(name) for (name,) in cursor.fetchall()]
        except Error as error:
            raise StoreUnavailable("The database does not answer.") from error
        finally:
            self._connection.close()
        return f"DROP TABLE {', '.join(tables)} CASCADE;\n" if tables else ""

    def _target(self) -> list[str]:
        """The database as arguments; the password goes by the environment, where other users cannot read it."""
        named = {"--host": "HOST", "--port": "PORT", "--username": "USER", "--dbname": "NAME"}
        given = [f"{option}={self._settings[name]}" for option, name in named.items() if self._settings[name]]
        return [*given, "--no-password"]

    def _run(self, program: str, *arguments: str) -> None:
        environment = dict(os.environ)
        if self._settings["PASSWORD"]:
            environment["PGPASSWORD"] = str(self._settings["PASSWORD"])
        for option, variable in (("sslmode", "PGSSLMODE"), ("sslrootcert", "PGSSLROOTCERT")):
            if option in self._settings["OPTIONS"]:
                environment[variable] = str(self._settings["OPTIONS"][option])
        done = subprocess.run([program, *arguments], capture_output=True, env=environment, check=False)  # noqa: S603
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise StoreUnavailable(f"{Path(program).name} failed: {words[0] if words else done.returncode}")


def _program(name: str) -> str:
    """One of PostgreSQL's programs: on the path, or where Debian keeps the versions side by side."""
    if found := shutil.which(name):
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if not versions:
        raise InvalidInput(
            f"A backup of PostgreSQL needs its program {name}, which is not installed (Debian: postgresql-client)."
        )
    return str(versions[-1])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _counts(cursor: Any) -> dict[str, int]:
    cursor.execute(_TABLES)
    counts: dict[str, int] = {}
    for (name,) in cursor.fetchall():
        cursor.execute(f"SELECT count(*) FROM {_quoted(name)}")
        counts[name] = cursor.fetchone()[0]
    return counts


def _check_script(counts: dict[str, int]) -> str:
    """SQL that fails, and with it the whole restore, when a table has not the rows the backup names."""
    checks = [
        f"IF (SELECT count(*) FROM public.{_quoted(name)}) <> {int(count)} THEN "
        f"RAISE EXCEPTION 'the backup is damaged: % has not {int(count)} rows', {_literal(name)}; END IF;"
        for name, count in sorted(counts.items())
    ]
    return "DO $check$ BEGIN\n" + "\n".join(checks) + "\nEND $check$;\n"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
