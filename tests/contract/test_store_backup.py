"""Backups: consistent while messages come in, restored whole or not at all."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from antiphon.config import Settings
from antiphon.domain.errors import AntiphonError, ConfigError, Conflict, InvalidInput, StoreUnavailable
from antiphon.store.backup import backup, restore
from antiphon.store.lock import hold
from antiphon.store.migrate import migrate
from tests.contract.store_work import discord, done, started

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


def _texts() -> list[str]:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT text FROM antiphon_message ORDER BY id")
            return [text for (text,) in cursor.fetchall()]
    finally:
        connection.close()


def _run(statement: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.fixture
async def used_settings(stores: Stores, store_settings: Settings) -> Settings:
    """A database with a conversation in it, of which nobody has a connection."""
    lease = await started(stores)
    await stores.tasks.finish(lease, done("an answer"))
    await stores.users.ensure_owner()
    await stores.close()
    return store_settings


def test_a_backup_brings_everything_back(used_settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    manifest = backup(used_settings, file)
    assert manifest.counts["antiphon_message"] == 2
    assert "antiphon.0001_initial" in manifest.schema
    assert file.stat().st_mode & 0o077 == 0, "it holds what people said"
    _run("UPDATE antiphon_message SET text = 'changed since'")
    with pytest.raises(Conflict, match="holds data"):
        restore(used_settings, file)
    assert _texts() == ["changed since"] * 2
    assert restore(used_settings, file, force=True) == manifest
    assert _texts() == ["hello", "an answer"]
    assert migrate(used_settings).applied == ()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_attachments_are_in_a_backup(sqlite_settings: Settings, tmp_path: Path) -> None:
    from antiphon.bus.signals import LocalSignals
    from antiphon.store.stores import open_stores
    from tests.fakes.clock import FakeClock

    stores = open_stores(sqlite_settings, FakeClock(), LocalSignals())
    owner = await stores.users.ensure_owner()
    file = await stores.attachments.add(io.BytesIO(b"words"), "a.txt", channel="web:a", person=owner.person)
    kept = stores.attachments.path((await stores.attachments.file(file.id)).digest)
    await stores.close()
    await asyncio.to_thread(backup, sqlite_settings, tmp_path / "b.zip")
    kept.unlink()
    await asyncio.to_thread(restore, sqlite_settings, tmp_path / "b.zip", force=True)
    assert kept.read_bytes() == b"words"


async def test_a_restored_database_goes_on(used_settings: Settings, tmp_path: Path) -> None:
    from antiphon.bus.signals import LocalSignals
    from antiphon.store.stores import open_stores
    from tests.fakes.clock import FakeClock

    await asyncio.to_thread(backup, used_settings, tmp_path / "b.zip")
    await asyncio.to_thread(restore, used_settings, tmp_path / "b.zip", force=True)
    stores = open_stores(used_settings, FakeClock(), LocalSignals())
    try:
        assert not (await stores.inbox.receive(discord("m1"))).created, "it still knows what it accepted"
        assert (await stores.inbox.receive(discord("m2"))).created
    finally:
        await stores.close()


async def test_a_backup_is_of_one_moment_while_messages_come_in(
    stores: Stores, store_settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    enough, stop = asyncio.Event(), asyncio.Event()
    kept = 0

    async def talk() -> None:
        nonlocal kept
        while not stop.is_set():
            await stores.inbox.receive(discord(f"m{kept}", channel=f"discord:{kept % 5}"))
            kept += 1
            if kept >= 20:
                enough.set()

    talking = asyncio.create_task(talk())
    await enough.wait()
    before = kept
    manifest = await asyncio.to_thread(backup, store_settings, file)
    after = kept
    stop.set()
    await talking
    assert before <= manifest.counts["antiphon_message"] <= after + 1
    assert manifest.counts["antiphon_message"] == manifest.counts["antiphon_task"]
    await stores.close()
    await asyncio.to_thread(restore, store_settings, file, force=True)
    assert len(await asyncio.to_thread(_texts)) == manifest.counts["antiphon_message"]


def _flip_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2000])


def _replace_by_text(file: Path) -> None:
    file.write_text("this is not a backup")


def _change_manifest(file: Path, **changes: object) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = {**json.loads(members["manifest.json"]), **changes}
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _newer_format(file: Path) -> None:
    _change_manifest(file, format=99)


def _newer_schema(file: Path) -> None:
    _change_manifest(file, schema=["antiphon.9999_future"])


def _other_counts(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        counts = json.loads(archive.read("manifest.json"))["counts"]
    _change_manifest(file, counts={**counts, "antiphon_message": 77})


def _other_engine(file: Path) -> None:
    _change_manifest(file, engine="oracle")


def _odd_manifest(file: Path) -> None:
    _change_manifest(file, members={"../../etc/passwd": {"size": 1, "sha256": "x"}})


@pytest.mark.parametrize(
    "damage",
    [
        _flip_a_byte,
        _cut,
        _replace_by_text,
        _newer_format,
        _newer_schema,
        _other_counts,
        _other_engine,
        _odd_manifest,
    ],
)
def test_a_damaged_backup_is_refused_and_changes_nothing(
    used_settings: Settings, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    file = tmp_path / "backup.zip"
    backup(used_settings, file)
    damage(file)
    with pytest.raises((InvalidInput, StoreUnavailable)):
        restore(used_settings, file, force=True)
    assert _texts() == ["hello", "an answer"]


def test_nothing_is_restored_under_a_running_server(used_settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    backup(used_settings, file)
    with hold(used_settings.data_dir), pytest.raises(ConfigError, match="another Antiphon"):
        restore(used_settings, file, force=True)


@pytest.mark.needs("postgresql")
async def test_nothing_is_restored_under_a_connected_worker(postgresql_settings: Settings, tmp_path: Path) -> None:
    from antiphon.bus.signals import LocalSignals
    from antiphon.store.stores import open_stores
    from tests.fakes.clock import FakeClock

    stores = open_stores(postgresql_settings, FakeClock(), LocalSignals())
    try:
        await stores.inbox.receive(discord("m1"))
        await asyncio.to_thread(backup, postgresql_settings, tmp_path / "b.zip")
        with pytest.raises(Conflict, match="connected"):
            await asyncio.to_thread(restore, postgresql_settings, tmp_path / "b.zip", force=True)
    finally:
        await stores.close()


def test_the_signing_key_is_in_a_backup_only_when_asked_for(used_settings: Settings, tmp_path: Path) -> None:
    from antiphon.store.settings import secret_key

    key = secret_key(used_settings.data_dir)
    assert "secret_key" not in backup(used_settings, tmp_path / "without.zip").members
    assert "secret_key" in backup(used_settings, tmp_path / "with.zip", with_secrets=True).members
    (used_settings.data_dir / "secret_key").write_text("another")
    restore(used_settings, tmp_path / "without.zip", force=True)
    assert secret_key(used_settings.data_dir) == "another"
    restore(used_settings, tmp_path / "with.zip", force=True)
    assert secret_key(used_settings.data_dir) == key


def test_an_old_backup_survives_a_failed_new_one(sqlite_settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    backup(sqlite_settings, file)
    good = file.read_bytes()
    (sqlite_settings.data_dir / "antiphon.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(StoreUnavailable):
        backup(sqlite_settings, file)
    assert file.read_bytes() == good


@pytest.mark.parametrize("target", ["missing/folder/b.zip", "."])
def test_impossible_targets_are_refused(sqlite_settings: Settings, tmp_path: Path, target: str) -> None:
    with pytest.raises(AntiphonError):
        backup(sqlite_settings, tmp_path / target)


def test_restoring_a_missing_file_is_refused(sqlite_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        restore(sqlite_settings, tmp_path / "none.zip")


def test_an_empty_database_needs_no_force(used_settings: Settings, tmp_path: Path) -> None:
    backup(used_settings, tmp_path / "b.zip")
    _run("DROP TABLE antiphon_feedback")
    from django.db import connection

    tables = [name for name in connection.introspection.table_names() if name.startswith("antiphon_")]
    connection.close()
    if connection.vendor == "postgresql":
        _run(f"DROP TABLE {', '.join(tables)} CASCADE")
    else:
        (used_settings.data_dir / "antiphon.db").unlink()
    restore(used_settings, tmp_path / "b.zip")
    assert _texts() == ["hello", "an answer"]
