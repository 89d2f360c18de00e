"""Implements `domain.health.StoreHealth`: whether the database can be read and written. Called by `/health`."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connections

from antiphon.domain.errors import AntiphonError, StoreUnavailable
from antiphon.domain.health import PartHealth, PartState
from antiphon.store.db import Database, Tx

_SECONDS = 0.9
_LEAST_FREE_BYTES = 64 * 1024 * 1024
_REMEDY = "Look at the database server and its disk; work goes on by itself when it is back."


class DjangoStoreHealth:
    """Asks the database itself, through the same connection the work uses. A probe writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def health(self) -> PartHealth:
        """Never raises; answers within a second."""
        try:
            async with asyncio.timeout(_SECONDS):
                problem = await self._database.run(_probe)
        except TimeoutError:
            problem = "The database does not answer in time."
        except StoreUnavailable as error:
            problem = f"The database cannot be used ({_cause(error)})."
        except AntiphonError as error:
            problem = error.message
        except Exception as error:  # a damaged database may fail in any way; health reports it and must not raise
            problem = f"The database cannot be used ({type(error).__name__})."
        name = self._database.vendor
        if problem:
            return PartHealth("database", PartState.DEGRADED, problem, _REMEDY)
        return PartHealth("database", PartState.OK, {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(name, name))


def _probe(tx: Tx) -> str:
    """Take the write lock and look at a table. Returns what is wrong, or ""."""
    tx.row("SELECT id FROM antiphon_task ORDER BY id DESC LIMIT 1")
    if tx.postgres:
        row = tx.row("SELECT current_setting('transaction_read_only')")
        return "The database is read-only." if row == ("on",) else ""
    path = Path(str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"]))
    try:
        free = shutil.disk_usage(path.parent).free
        writable = os.access(path, os.W_OK) and path.stat().st_size > 0
    except OSError:
        return "The database file is gone."
    if not writable:
        return "The database file is read-only."
    return "" if free >= _LEAST_FREE_BYTES else "The disk is almost full."


def _cause(error: BaseException) -> str:
    """The kind of error, without its text: that may name paths and addresses, and health is shown to people."""
    return type(error.__cause__ or error).__name__
