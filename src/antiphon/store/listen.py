"""Hears what other processes committed: PostgreSQL's NOTIFY feeds the local signals. Started by `run/wiring.py`.

On SQLite there is one process, whose own commits notify directly, so there is nothing to hear.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS, connections

from antiphon.domain.signals import Signals
from antiphon.store.db import NOTIFY_CHANNEL, Database

log = structlog.stdlib.get_logger(__name__)

SIGNALS = ("tasks", "replies", "schedule")
_RECONNECT_SECONDS = 1.0


async def listen(database: Database, signals: Signals) -> None:
    """Feed `signals` until cancelled, reconnecting after every loss. Returns at once on SQLite."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql":
        return
    parameters = _parameters(connection.get_connection_params())
    while True:
        await _listen_once(parameters, database, signals)
        await asyncio.sleep(_RECONNECT_SECONDS)


async def _listen_once(parameters: dict[str, Any], database: Database, signals: Signals) -> None:
    """One connection's life. Whatever was missed before it is made good by waking everybody once."""
    import psycopg

    try:
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            await connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
            for name in SIGNALS:
                signals.notify(name)
            async for notification in connection.notifies():
                if not database.is_own(notification.pid):
                    signals.notify(notification.payload)
    except psycopg.Error as error:
        log.warning("store.listen_lost", error=type(error).__name__)
        database.renew_connections()  # the others broke with it


def _parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """The connection parameters without what is Django's own."""
    own = {"cursor_factory", "context", "prepare_threshold"}
    return {name: value for name, value in parameters.items() if name not in own}
