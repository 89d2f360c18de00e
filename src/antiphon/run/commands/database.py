"""`antiphon db migrate`, `backup` and `restore`: the database as a whole."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from antiphon.run.commands import DONE
from antiphon.run.commands.opening import read_settings


def add_commands(commands: Any) -> None:
    """Add `db` to the parser of `antiphon`."""
    database = commands.add_parser("db", help="the database").add_subparsers(required=True, metavar="ACTION")
    database.add_parser("migrate", help="bring the database up to date").set_defaults(run=_migrate)


def add_backups(commands: Any) -> None:
    """Add `backup` and `restore`, which come later in the help."""
    backup = commands.add_parser("backup", help="write everything into one file, also while the server runs")
    backup.add_argument("file", type=Path)
    backup.add_argument(
        "--with-secrets", action="store_true", help="with the key that signs sessions, so that they outlive a restore"
    )
    backup.set_defaults(run=_backup)
    restore = commands.add_parser("restore", help="put a backup back (the server must not run)")
    restore.add_argument("file", type=Path)
    restore.add_argument("--force", action="store_true", help="replace a database that is not empty")
    restore.set_defaults(run=_restore)


def _migrate(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.store.migrate import migrate

    migrate(settings)
    print("The database is up to date.")
    return DONE


def _backup(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.store.backup import backup

    backup(settings, options.file, with_secrets=options.with_secrets)
    print(f"Written and verified: {options.file}")
    return DONE


def _restore(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.store.backup import restore

    restore(settings, options.file, force=options.force)
    print(f"Restored from {options.file}")
    return DONE
