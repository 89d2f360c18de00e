"""Runs the store's transactions on database threads, away from the event loop. Every store module goes through here.

SQLite has one writer thread with one connection: writes keep their order and never wait for each other's locks. Calls
that pile up while a commit waits for the disk are taken together: each in its own savepoint, one commit for all, and
every caller is answered only after that commit. Measured with 50 calls in flight on a disk with 0.2 ms fsync, this
doubles the tasks per second and halves the CPU per task; calls that come one by one have no savepoint and cost nothing
more. Reads have a
connection of their own, so they do not wait for the disk.

PostgreSQL has a few threads with a connection each, one transaction per call; it groups commits itself.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from django.db import DEFAULT_DB_ALIAS, DatabaseError, DataError, IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import InterfaceError, InternalError, OperationalError

from antiphon.domain.errors import InvalidInput, NotFound, StoreUnavailable
from antiphon.domain.signals import Signals

log = structlog.stdlib.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

NOTIFY_CHANNEL = "antiphon"
"""The PostgreSQL channel on which processes wake each other; the payload is the signal's name."""
_POSTGRES_THREADS = 4
_GROUP = 64
_TRIES = 4
_NOTED_EVERY_SECONDS = 10.0
_RETRIED_STATES = frozenset({"40001", "40P01"})  # serialization failure, deadlock: PostgreSQL asks to try again
UNAVAILABLE = "The database does not answer now. Nothing was lost; try again in a moment."


class Tx:
    """One transaction in progress. Lives on a database thread for one call; stores run their statements through it.

    SQL is written once for both engines, with `%s` for parameters.
    """

    __slots__ = ("_announced", "_driver", "_effects", "_notified", "postgres")

    def __init__(self, connection: BaseDatabaseWrapper, driver: Any) -> None:
        self._driver = driver
        self._effects: list[Callable[[], None]] = []
        self._notified: set[str] = set()
        self._announced: set[str] = set()
        self.postgres = connection.vendor == "postgresql"

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows."""
        return self._run(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        """Run a statement that returns at most one row that matters."""
        found = self.rows(sql, *parameters)
        return found[0] if found else None

    def value(self, sql: str, *parameters: object) -> Any:
        """Run a statement that always returns one row with one column, like an INSERT returning its id."""
        return self.rows(sql, *parameters)[0][0]

    def execute(self, sql: str, *parameters: object) -> int:
        """Run a statement and return how many rows it changed."""
        return self._run(sql, parameters).rowcount

    def _run(self, sql: str, parameters: tuple[object, ...]) -> Any:
        # The driver's own cursors: Django's would cost as much again as the statement, and on PostgreSQL they write the
        # values into it, so that no statement could stay prepared.
        if self.postgres:
            return _driver_errors().Cursor(self._driver).execute(sql, parameters)
        return self._driver.execute(_question_marks(sql), parameters)

    def lock_channel(self, key: str) -> None:
        """Let no other transaction insert into this channel until the end, so that id order is commit order."""
        if self.postgres:
            self.rows("SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))) AS locked", key)

    def lock_task(self, task: int) -> None:
        """Let no other transaction decide about this task until the end."""
        if self.postgres:
            self.rows("SELECT id FROM antiphon_task WHERE id = %s FOR UPDATE", task)

    def notify(self, *names: str) -> None:
        """Wake whoever waits for these signals, here and in other processes, once this is committed."""
        self._notified.update(names)
        self._announced.update(names)

    def notify_here(self, *names: str) -> None:
        """Wake only this process: it just got free for the next one of the same channel and will take it itself."""
        self._notified.update(names)

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Run `effect` once this is committed; never when it is rolled back. For caches."""
        self._effects.append(effect)

    def announce(self) -> None:
        """Last step inside the transaction: PostgreSQL hands the notifications out when it commits."""
        if self.postgres:
            for name in self._announced:
                self.rows("SELECT pg_notify(%s, %s)::text", NOTIFY_CHANNEL, name)

    def committed(self, signals: Signals) -> None:
        """The first step after the commit."""
        for effect in self._effects:
            effect()
        for name in self._notified:
            signals.notify(name)


_translated: dict[str, str] = {}


def _question_marks(sql: str) -> str:
    """The statement with SQLite's placeholders. Statements are few and constant, so each is translated once."""
    try:
        return _translated[sql]
    except KeyError:
        return _translated.setdefault(sql, sql.replace("%s", "?"))


def placeholders(values: Iterable[object]) -> str:
    """`%s, %s, ...` for an IN list; never empty, so that the statement stays valid for an empty list."""
    return ", ".join("%s" for _ in values) or "NULL"


@dataclass(slots=True)
class _Call:
    """One transaction that somebody waits for."""

    function: Callable[[Tx], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    synced: bool = True
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():  # the caller stopped waiting
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Shared:
    """What the threads of a process know of each other's connections.

    `losses` counts broken connections: the others broke with it and must be renewed before they are used, so that an
    outage costs one failed call and not one per thread. `backends` are PostgreSQL's process ids of our connections.
    """

    def __init__(self) -> None:
        self.losses = 0
        self.noted_at = float("-inf")
        self.backends: dict[str, int] = {}


class Database:
    """The threads that talk to the database. One per process and event loop; `close` it."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self.vendor: str = connections[DEFAULT_DB_ALIAS].vendor
        self._closed = False
        self._shared = _Shared()
        self._writes: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        if self.vendor == "sqlite":
            self._reads: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
            self._workers = [
                _Worker("store-writer", self._writes, signals, self._shared, group=_GROUP),
                _Worker("store-reader", self._reads, signals, self._shared, read_only=True),
            ]
            self._leases = self._writes
        else:
            self._reads = self._writes
            self._leases: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
            self._workers = [
                _Worker(f"store-{n}", self._writes, signals, self._shared) for n in range(_POSTGRES_THREADS)
            ]
            # A connection of their own, so that each lease need not say first that it does not wait.
            self._workers.append(_Worker("store-leases", self._leases, signals, self._shared, unsynced=True))
        for worker in self._workers:
            worker.start()

    def is_own(self, backend: int) -> bool:
        """Whether PostgreSQL's process `backend` serves one of our connections: its notifications are known here."""
        return backend in self._shared.backends.values()

    def renew_connections(self) -> None:
        """The server went away and came back: let each thread open a new connection before its next call."""
        self._shared.losses += 1

    async def run(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function(tx, ...)` as one transaction and return its result once that is committed.

        Whatever it raises rolls it back. Raises `StoreUnavailable` when the database is locked, full or gone. The
        function may run again from its start after it lost a race, so it must have no other effects than its rows.
        """
        return await self._submit(self._writes, lambda tx: function(tx, *args, **kwargs))

    async def run_unsynced(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `run`, but the commit does not wait for the disk: for leases, which a power cut may take back.

        A crash of the process takes nothing back, and every later commit of `run` makes this one lasting too.
        """
        return await self._submit(self._leases, lambda tx: function(tx, *args, **kwargs), synced=False)

    async def read(self, function: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `run`, for functions that only read: they see one consistent state and wait for no writer."""
        return await self._submit(self._reads, lambda tx: function(tx, *args, **kwargs))

    async def _submit(
        self, calls: queue.SimpleQueue[_Call | None], function: Callable[[Tx], R], *, synced: bool = True
    ) -> R:
        if self._closed:
            raise StoreUnavailable("The database was closed; the program is stopping.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        calls.put(_Call(function, loop, future, synced))
        return await future

    async def close(self) -> None:
        """Finish what was asked for, then close every connection."""
        if self._closed:
            return
        self._closed = True
        for worker in self._workers:
            worker.calls.put(None)
        await asyncio.to_thread(lambda: [worker.join() for worker in self._workers])


class _Worker(threading.Thread):
    """One thread with one connection, taking calls from a queue."""

    def __init__(
        self,
        name: str,
        calls: queue.SimpleQueue[_Call | None],
        signals: Signals,
        shared: _Shared,
        *,
        group: int = 1,
        read_only: bool = False,
        unsynced: bool = False,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.calls = calls
        self._signals = signals
        self._shared = shared
        self._losses_seen = shared.losses
        self._group = group
        self._read_only = read_only
        self._unsynced = unsynced
        self._waits_for_disk = True

    def run(self) -> None:
        """Serve until the queue says None, then close the connection of this thread."""
        stopping = False
        try:
            while not stopping:
                batch: list[_Call] = []
                call = self.calls.get()
                while call is not None:
                    if not call.future.cancelled():
                        batch.append(call)
                    if len(batch) >= self._group:
                        break
                    try:
                        call = self.calls.get_nowait()
                    except queue.Empty:
                        break
                stopping = call is None
                if batch:
                    self._serve(batch)
        finally:
            connections[DEFAULT_DB_ALIAS].close()

    def _serve(self, batch: list[_Call]) -> None:
        if len(batch) == 1:
            self._alone(batch[0])
        elif not self._together(batch):
            for call in batch:
                self._alone(call)
        _answer(batch)

    def _alone(self, call: _Call) -> None:
        """One call, one transaction; again after a lost race."""
        for attempt in range(1, _TRIES + 1):
            call.error = None
            try:
                self._connect(synced=call.synced)
                with transaction.atomic():
                    tx = self._tx()
                    call.result = call.function(tx)
                    tx.announce()
            except BaseException as error:
                call.error = error
                if _lost_race(error) and attempt < _TRIES:
                    continue
                self._after_error(call)
            else:
                tx.committed(self._signals)
            return

    def _together(self, batch: list[_Call]) -> bool:
        """Several calls, a savepoint each, one commit. False: nothing was committed, try them one by one.

        A deferred constraint speaks up at the commit, without saying whose it is; and an error of the database itself
        ends the transaction of all.
        """
        done: list[Tx] = []
        try:
            self._connect(synced=any(call.synced for call in batch))
            with transaction.atomic():
                for call in batch:
                    tx = self._tx()
                    call.error = None
                    try:
                        with transaction.atomic():
                            call.result = call.function(tx)
                    except BaseException as error:
                        if _is_unavailable(error):
                            raise
                        call.error = error
                        self._after_error(call)
                    else:
                        done.append(tx)
        except BaseException as error:
            if isinstance(error, IntegrityError):
                return False
            for call in batch:
                call.error = error
                self._after_error(call)
            return True
        for tx in done:
            tx.committed(self._signals)
        return True

    def _connect(self, *, synced: bool) -> None:
        """Have a working connection whose next commit waits for the disk, or does not."""
        self._open()
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.vendor == "sqlite" and synced is not self._waits_for_disk:
            connection.connection.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            self._waits_for_disk = synced

    def _open(self) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        if self._losses_seen != self._shared.losses:
            self._losses_seen = self._shared.losses
            connection.close()
        if connection.connection is not None:
            return
        connection.connect()
        self._waits_for_disk = True  # as the settings open it
        if connection.vendor == "postgresql":
            self._shared.backends[self.name] = connection.connection.info.backend_pid
            if self._unsynced:
                connection.connection.execute("SET synchronous_commit = off")
        if self._read_only:
            connection.transaction_mode = "DEFERRED"  # pyright: ignore[reportAttributeAccessIssue] - SQLite has it
            connection.connection.execute("PRAGMA query_only=ON")

    def _tx(self) -> Tx:
        connection = connections[DEFAULT_DB_ALIAS]
        return Tx(connection, connection.connection)

    def _after_error(self, call: _Call) -> None:
        """Turn errors of the database itself into ours; the next call then opens a new connection."""
        error = call.error
        if error is not None and _is_unavailable(error):
            call.error = StoreUnavailable(UNAVAILABLE)
            call.error.__cause__ = error
            self._shared.losses += 1  # makes this thread renew its connection too
            self._note(error)
        elif isinstance(error, OverflowError):  # SQLite's word for an id beyond 64 bits
            call.error = NotFound("There is nothing with such a number.")
            call.error.__cause__ = error
        elif isinstance(error, DataError | _driver_errors().DataError):
            call.error = InvalidInput("A value cannot be stored: it is too long or out of range.")
            call.error.__cause__ = error

    def _note(self, error: BaseException) -> None:
        """Tell the operator what is wrong: callers only hear that the database is away. Not once per refused call."""
        now = time.monotonic()
        if now - self._shared.noted_at >= _NOTED_EVERY_SECONDS:
            self._shared.noted_at = now
            log.warning("store.unavailable", error=str(error).strip())


def _answer(batch: list[_Call]) -> None:
    """Wake the callers: once per event loop, because each wake-up is a system call."""
    loops = {call.loop for call in batch}
    for loop in loops:
        mine = [call for call in batch if call.loop is loop]
        try:
            loop.call_soon_threadsafe(lambda mine=mine: [call.settle() for call in mine])
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("store.caller_gone", calls=len(mine))


def _driver_errors() -> Any:
    return connections[DEFAULT_DB_ALIAS].Database


def _is_unavailable(error: BaseException) -> bool:
    """Whether the database, not the request, is at fault: locked, full, read-only, damaged, restarting, gone."""
    driver = _driver_errors()
    if isinstance(
        error,
        OperationalError | InterfaceError | InternalError | driver.OperationalError | driver.InterfaceError,
    ):
        return True
    return type(error) in (DatabaseError, driver.DatabaseError)


def _lost_race(error: BaseException) -> bool:
    """Whether another transaction was first, so that looking again gives an answer."""
    if isinstance(error, IntegrityError | _driver_errors().IntegrityError):
        return connections[DEFAULT_DB_ALIAS].vendor == "postgresql"
    return getattr(error, "sqlstate", None) in _RETRIED_STATES or (
        getattr(error.__cause__, "sqlstate", None) in _RETRIED_STATES
    )
