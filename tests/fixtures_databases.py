"""Real databases for tests: SQLite files and a PostgreSQL server of our own, migrated once and copied for each test.

What tests use:

- `stores`: every store port over a fresh database; the test runs twice, on SQLite and on PostgreSQL.
- `store_settings`: the `Settings` of that database (Django is configured for it). `sqlite_settings` and
  `postgresql_settings` are the same for one engine.
- `store_clock`: the `FakeClock` those stores ask; it stands still until moved.
- `migrated`: gives a folder an empty database, for programs that start in it.
- `postgresql_server`: the running server itself, to restart it or to make more databases.

Django can be configured once per process; `store.settings.configure` then points it at another database, so the tests
of both engines run in one process, one after the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from antiphon.config import Settings
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:  # importing the store needs a configured Django
    from antiphon.store.stores import Stores

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
_START_SECONDS = 20.0

Migrated = Callable[[Path], Path]


class PostgresqlServer:
    """A PostgreSQL server on loopback in a temporary folder; `durable` makes it wait for the disk, as in production."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._sync = "on" if durable else "off"
        self._user = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def init(self) -> None:
        """Create the cluster."""
        if self._user:
            shutil.chown(self._folder, self._user)
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "antiphon", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Start and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(_program("postgres")),
                    *("-D", str(self._folder / "data"), "-k", str(self._folder), "-p", str(self.port)),
                    *(
                        "-c",
                        "listen_addresses=127.0.0.1",
                        "-c",
                        f"fsync={self._sync}",
                        "-c",
                        f"full_page_writes={self._sync}",
                    ),
                    *("-c", "max_connections=100", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                user=self._user,
                cwd=self._folder,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except Exception as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    words = (self._folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start: {words[-2000:]}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, cutting every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    def url(self, name: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://antiphon@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> None:
        """Run a statement outside of any of the test databases."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)  # pyright: ignore[reportArgumentType] - composed by tests only

    def create(self, name: str, template: str = "template1") -> str:
        """Create a database and return its address."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drop a database, with whoever is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(_program(program)), *arguments], capture_output=True, user=self._user, cwd=self._folder, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')}")


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root; then it runs as somebody else."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _program(name: str) -> Path:
    if found := shutil.which(name):
        return Path(found)
    return max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _quick_folder() -> str | None:
    """Memory instead of the disk where there is enough: every test makes and drops a database."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30:
        return str(memory)
    return None


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL server."""
    folder = Path(tempfile.mkdtemp(prefix="antiphon-pg-", dir=_quick_folder()))
    server = PostgresqlServer(folder)
    try:
        server.init()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once for all processes that run tests beside each other, by the first that asks."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    template = folder / "template.db"
    with (folder / "template.lock").open("w") as lock, ThreadPoolExecutor(1) as thread:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            draft = tmp_path_factory.mktemp("sqlite-template")
            thread.submit(_migrate, Settings(data_dir=draft)).result()  # Playwright keeps a loop running in this one
            (draft / "antiphon.db").rename(template)
    return template


@pytest.fixture(scope="session")
def migrated(_sqlite_template: Path) -> Migrated:
    """Gives a folder a data folder with an empty, migrated database: a program that starts there need not migrate,
    which takes two seconds of computing. Tests of the first start do without."""

    def prepare(folder: Path) -> Path:
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
        database = folder / "data" / "antiphon.db"
        shutil.copy(_sqlite_template, database)
        database.chmod(0o600)
        return folder

    return prepare


@pytest.fixture(scope="session")
def _postgresql_template(postgresql_server: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = postgresql_server.create("antiphon_template")
    _migrate(Settings(data_dir=tmp_path_factory.mktemp("pg-template"), database_url=SecretStr(url)))
    return "antiphon_template"


def _migrate(settings: Settings) -> None:
    from antiphon.store.migrate import migrate

    migrate(settings)


@contextlib.contextmanager
def _configured(settings: Settings) -> Iterator[Settings]:
    from antiphon.store.settings import configure

    configure(settings)
    from django.db import connections

    try:
        yield settings
    finally:
        connections.close_all()


@pytest.fixture
def sqlite_settings(tmp_path: Path, _sqlite_template: Path) -> Iterator[Settings]:
    """Settings of a fresh, migrated SQLite database."""
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    shutil.copy(_sqlite_template, data / "antiphon.db")
    with _configured(Settings(data_dir=data)) as settings:
        yield settings


@pytest.fixture
def postgresql_settings(
    tmp_path: Path, postgresql_server: PostgresqlServer, _postgresql_template: str
) -> Iterator[Settings]:
    """Settings of a fresh, migrated PostgreSQL database."""
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    name = f"test_{uuid4().hex}"
    url = postgresql_server.create(name, _postgresql_template)
    with _configured(Settings(data_dir=data, database_url=SecretStr(url))) as settings:
        yield settings
    postgresql_server.drop(name)


@pytest.fixture(params=ENGINES)
def store_settings(request: pytest.FixtureRequest) -> Settings:
    """Settings of a fresh, migrated database: first SQLite, then PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_settings")


@pytest.fixture
def store_clock() -> FakeClock:
    """The clock the stores ask."""
    return FakeClock()


@pytest_asyncio.fixture
async def stores(store_settings: Settings, store_clock: FakeClock) -> AsyncIterator[Stores]:
    """Every store port over a fresh database of each engine."""
    from antiphon.bus.signals import LocalSignals
    from antiphon.store.stores import open_stores

    opened = open_stores(store_settings, store_clock, LocalSignals())
    yield opened
    await opened.close()
