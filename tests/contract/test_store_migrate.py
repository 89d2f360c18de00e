"""Migrating: from nothing, with nothing to do, from a newer version, and when it fails half-way."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError, StoreUnavailable
from antiphon.store.lock import hold
from antiphon.store.migrate import migrate
from tests.contract.store_work import discord
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores

Usage = namedtuple("Usage", "total used free")


def _forget_last_migration() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        cursor.execute("DROP TABLE django_session")
    connection.close()


def _tables() -> set[str]:
    from django.db import connection

    try:
        return set(connection.introspection.table_names())
    finally:
        connection.close()


def test_an_up_to_date_database_is_left_alone(store_settings: Settings) -> None:
    assert migrate(store_settings).applied == ()


def test_what_is_missing_is_applied(store_settings: Settings) -> None:
    _forget_last_migration()
    assert migrate(store_settings).applied == ("sessions.0001_initial",)
    assert "django_session" in _tables()
    assert not list(store_settings.data_dir.glob("*.before-migration"))


def test_the_models_and_the_migrations_agree(sqlite_settings: Settings) -> None:
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_a_database_of_a_newer_version_is_refused(store_settings: Settings) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('antiphon', '9999_future', '2030-01-01')"
        )
    connection.close()
    with pytest.raises(ConfigError, match="9999_future"):
        migrate(store_settings)


@pytest.fixture
async def used_settings(stores: Stores, store_settings: Settings) -> Settings:
    """A database with a message in it, of which nobody has a connection."""
    await stores.inbox.receive(discord("m1", "kept"))
    await stores.close()
    return store_settings


def test_a_failed_migration_leaves_the_database_as_it_was(
    used_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    _forget_last_migration()
    before = _tables()
    apply = MigrationExecutor.apply_migration

    def fail_after(self: MigrationExecutor, *args: Any, **kwargs: Any) -> Any:
        apply(self, *args, **kwargs)
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(MigrationExecutor, "apply_migration", fail_after)
        with pytest.raises(StoreUnavailable, match="as it was before"):
            migrate(used_settings)
    assert _tables() == before
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM antiphon_message")
        assert cursor.fetchall() == [("kept",)]
    connection.close()
    assert migrate(used_settings).applied == ("sessions.0001_initial",)


def test_a_full_disk_is_seen_before_anything_is_done(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _forget_last_migration()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    with pytest.raises(ConfigError, match="free disk"):
        migrate(sqlite_settings)
    assert "django_session" not in _tables()


def test_a_file_that_is_no_database_is_refused(sqlite_settings: Settings) -> None:
    file = sqlite_settings.data_dir / "antiphon.db"
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailable):
        migrate(sqlite_settings)
    assert file.read_bytes().startswith(b"no database at all")


def test_an_unreachable_server_is_named(tmp_path: Path, store_clock: FakeClock, sqlite_settings: Settings) -> None:
    from pydantic import SecretStr

    nowhere = Settings(data_dir=tmp_path, database_url=SecretStr("postgresql://antiphon:secret@127.0.0.1:1/none"))
    with pytest.raises(StoreUnavailable) as refused:
        migrate(nowhere)
    assert "DATABASE_URL" in refused.value.message
    assert "secret" not in str(refused.value)


def test_sqlite_runs_as_the_facts_say(sqlite_settings: Settings) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            cursor.execute(f"PRAGMA {pragma}")
            assert cursor.fetchone()[0] == value
    assert connection.settings_dict["CONN_MAX_AGE"] == 0
    assert connection.settings_dict["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    connection.close()


def test_the_invariants_stand_in_the_database(sqlite_settings: Settings) -> None:
    with sqlite3.connect(sqlite_settings.data_dir / "antiphon.db") as database:
        indexes = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
    database.close()
    for name in ("one_running_task", "one_active_thread", "one_sending_reply"):
        assert indexes[name].startswith("CREATE UNIQUE INDEX")
        assert "WHERE" in indexes[name]


def test_one_server_per_data_folder(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(ConfigError, match="another Antiphon"), hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "postgresql://localhost", "sqlite://", "postgresql://h:notaport/x", "just words"]
)
def test_an_impossible_address_is_refused_without_showing_it(tmp_path: Path, url: str) -> None:
    from types import SimpleNamespace

    from pydantic import SecretStr

    from antiphon.store.database_url import database_settings

    with pytest.raises(ConfigError) as refused:
        database_settings(SimpleNamespace(data_dir=tmp_path, database_url=SecretStr(url)))  # type: ignore[arg-type]
    assert refused.value.key == "database_url"


def test_addresses_are_understood(tmp_path: Path) -> None:
    from pydantic import SecretStr

    from antiphon.store.database_url import database_settings

    def parsed(url: str) -> dict[str, Any]:
        return database_settings(Settings(data_dir=tmp_path, database_url=SecretStr(url)))

    full = parsed("postgresql://u%40x:p%2Fw@db.example:6000/name?sslmode=require")
    assert [full[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "u@x",
        "p/w",
        "db.example",
        "6000",
        "name",
    ]
    assert full["OPTIONS"]["sslmode"] == "require"
    assert full["OPTIONS"]["prepare_threshold"] > 0, "statements stay prepared"
    assert parsed("postgresql:///name?prepare_threshold=none")["OPTIONS"]["prepare_threshold"] is None
    with pytest.raises(ConfigError, match="prepare_threshold"):
        parsed("postgresql:///name?prepare_threshold=often")
    assert parsed("postgresql:///name?host=/run/pg")["HOST"] == "/run/pg"
    assert parsed("sqlite:////srv/a.db")["NAME"] == "/srv/a.db"
    assert parsed("")["NAME"] == str(tmp_path / "antiphon.db")


def test_the_signing_key_is_made_once_and_private(tmp_path: Path) -> None:
    from antiphon.store.settings import secret_key

    first = secret_key(tmp_path)
    assert len(first) > 50
    assert secret_key(tmp_path) == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
