"""One-file backups: made while the server runs, verified after writing, restored whole or not at all.

Called by `antiphon backup` and `antiphon restore`. The file is a zip with a manifest (format, engine, schema, row
counts, checksums) and the database: SQLite's file or PostgreSQL's custom dump. How each engine does it is in
`backup_sqlite.py` and `backup_postgres.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

from antiphon.config import Settings
from antiphon.domain.errors import Conflict, InvalidInput, StoreUnavailable
from antiphon.store.blobs import FOLDER, BlobFolder
from antiphon.store.lock import hold
from antiphon.store.migrate import unknown_migrations
from antiphon.store.settings import configure, secret_key

FORMAT = 2
"""2: attachments are in it."""
_MANIFEST = "manifest.json"
_DATABASE = "database"
_SECRET = "secret_key"  # noqa: S105 - the member's name
_ATTACHMENT = re.compile(r"attachments/[0-9a-f]{64}")
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One file in the backup. `size` is in bytes."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Dump:
    """What an engine says of the database it wrote out: applied migrations and rows per table."""

    schema: list[str]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `made_at` is ISO 8601."""

    format: int
    engine: str
    made_at: str
    schema: list[str]
    counts: dict[str, int]
    members: dict[str, Member]


class Engine(Protocol):
    """How one kind of database is written out and read back."""

    name: str

    def dump(self, target: Path) -> Dump:
        """Write a consistent, checked copy of the database."""
        ...

    def is_empty(self) -> bool:
        """Whether there is nobody's data in the database."""
        ...

    def load(self, source: Path, counts: dict[str, int]) -> None:
        """Replace the database by `source`, completely or not at all; it must then have these row counts."""
        ...


def backup(settings: Settings, file: Path, *, with_secrets: bool = False) -> Manifest:
    """Write a backup to `file`, replacing an older one only once the new one is verified.

    With `with_secrets` the key that signs sessions is in it; otherwise everybody signs in again after a restore.
    Raises `StoreUnavailable` when the database or the disk does not let it.
    """
    engine = _engine(settings)
    if file.is_dir():
        raise InvalidInput(f"{file} is a folder; name a file.")
    with _disk_errors(), tempfile.TemporaryDirectory(prefix=".antiphon-backup-", dir=file.absolute().parent) as folder:
        database = Path(folder) / _DATABASE
        dump = engine.dump(database)
        sources = {_DATABASE: database, **_attachments(settings)}
        if with_secrets:
            secret_key(settings.data_dir)
            sources[_SECRET] = settings.data_dir / _SECRET
        manifest = Manifest(
            format=FORMAT,
            engine=engine.name,
            made_at=datetime.now(UTC).isoformat(),
            schema=dump.schema,
            counts=dump.counts,
            members={name: _member(path) for name, path in sources.items()},
        )
        draft = Path(folder) / "backup.zip"
        _write(draft, manifest, sources)
        with _opened(draft) as (archive, written):
            for name in written.members:
                _check_member(archive, written, name)
        os.replace(draft, file)
    return manifest


def restore(settings: Settings, file: Path, *, force: bool = False) -> Manifest:
    """Replace the database by that of a backup. The next start brings it to the newest schema.

    Raises `InvalidInput` when the file is no backup, damaged, made by a newer version or for another kind of database,
    `Conflict` when the database holds data and `force` is not given, `ConfigError` while a server runs on the data
    folder. The database is then as it was.
    """
    engine = _engine(settings)
    with (
        _disk_errors(),
        hold(settings.data_dir),
        _opened(file) as (archive, manifest),
        tempfile.TemporaryDirectory(prefix=".antiphon-restore-", dir=settings.data_dir) as folder,
    ):
        _check_usable(manifest, engine)
        for name in manifest.members:
            _check_member(archive, manifest, name)
        if not force and not engine.is_empty():
            raise Conflict("The database holds data. Use --force to replace all of it by the backup.")
        database = Path(folder) / _DATABASE
        _extract(archive, _DATABASE, database)
        # Before the database: a file nobody names harms nothing, a name without its file does.
        for name in manifest.members:
            if _ATTACHMENT.fullmatch(name):
                _restore_attachment(archive, name, Path(folder), settings)
        engine.load(database, manifest.counts)
        if _SECRET in manifest.members:
            key = Path(folder) / _SECRET
            _extract(archive, _SECRET, key)
            os.replace(key, settings.data_dir / _SECRET)
    return manifest


def _attachments(settings: Settings) -> dict[str, Path]:
    """The files that came with messages. Looked at after the database was read: what it names is there."""
    files = (settings.data_dir / FOLDER).glob("??/*")
    named = {f"attachments/{path.name}": path for path in files if path.is_file()}
    return {name: path for name, path in sorted(named.items()) if _ATTACHMENT.fullmatch(name)}


def _restore_attachment(archive: zipfile.ZipFile, name: str, folder: Path, settings: Settings) -> None:
    draft = folder / "attachment"
    _extract(archive, name, draft)
    target = BlobFolder(settings.data_dir / FOLDER).path(name.rpartition("/")[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(draft, target)


def _engine(settings: Settings) -> Engine:
    configure(settings)
    from django.db import DEFAULT_DB_ALIAS, connections

    if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
        from antiphon.store.backup_sqlite import SqliteEngine

        return SqliteEngine()
    from antiphon.store.backup_postgres import PostgresqlEngine

    return PostgresqlEngine()


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """A full disk or a missing folder in words."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The backup could not be read or written: {error.strerror or error}.") from error


def _member(path: Path) -> Member:
    with path.open("rb") as file:
        return Member(size=path.stat().st_size, sha256=_sha256(file))


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _write(target: Path, manifest: Manifest, sources: dict[str, Path]) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it holds what people said
    with os.fdopen(descriptor, "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=2))
            for name, path in sources.items():
                archive.write(path, name)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    try:
        archive = zipfile.ZipFile(file)
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {file}.") from error
    except zipfile.BadZipFile as error:
        raise InvalidInput(f"{file} is not a backup, or it is damaged.") from error
    with archive:
        yield archive, _manifest(archive, file)


def _manifest(archive: zipfile.ZipFile, file: Path) -> Manifest:
    try:
        raw = json.loads(archive.read(_MANIFEST))
        if int(raw["format"]) > FORMAT:
            raise InvalidInput(f"{file} was made by a newer version of Antiphon.")
        members = {str(name): Member(**member) for name, member in raw.pop("members").items()}
        others = [name for name in members if name not in (_DATABASE, _SECRET)]
        if _DATABASE not in members or any(
            not _ATTACHMENT.fullmatch(name) or not name.endswith(members[name].sha256) for name in others
        ):
            raise ValueError("unexpected members")
        return Manifest(members=members, **raw)
    except (KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, OSError) as error:
        raise InvalidInput(f"{file} is not a backup, or it is damaged.") from error


def _check_usable(manifest: Manifest, engine: Engine) -> None:
    if manifest.engine != engine.name:
        raise InvalidInput(f"The backup is of a {manifest.engine} database; this one is {engine.name}.")
    if newer := unknown_migrations(manifest.schema):
        raise InvalidInput(f"The backup was made by a newer version of Antiphon ({', '.join(newer)}).")


def _check_member(archive: zipfile.ZipFile, manifest: Manifest, name: str) -> None:
    expected = manifest.members[name]
    try:
        if archive.getinfo(name).file_size == expected.size:
            with archive.open(name) as file:
                if _sha256(file) == expected.sha256:
                    return
    except (KeyError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise InvalidInput(f"The backup is damaged: {name} cannot be read.") from error
    raise InvalidInput(f"The backup is damaged: {name} is not what was written.")


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with archive.open(name) as source, os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())
