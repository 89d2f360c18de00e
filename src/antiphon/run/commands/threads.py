"""`antiphon thread export|import|schema`: threads move to another system and back."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.domain.errors import InvalidInput
from antiphon.domain.moving import ImportedThread
from antiphon.run.commands import DONE
from antiphon.run.commands.opening import person_of, with_program

if TYPE_CHECKING:
    from antiphon.run.wiring import Antiphon


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of `antiphon`."""
    thread = commands.add_parser("thread", help="move a thread to another system").add_subparsers(
        required=True, metavar="ACTION"
    )
    export = thread.add_parser("export", help="write a thread into a file")
    export.add_argument("id", type=int, help="the thread's number")
    export.add_argument("file", type=Path, nargs="?", help="where to (default: stdout)")
    export.set_defaults(run=_export)
    importing = thread.add_parser("import", help="take in the file of a thread")
    importing.add_argument("file", type=Path)
    importing.add_argument("--person", type=int, metavar="P", help="whose it becomes (default: the owner)")
    importing.add_argument("--json", action="store_true", help="print what it became as JSON")
    importing.set_defaults(run=_import)
    thread.add_parser("schema", help="print the JSON schema of the file").set_defaults(run=_schema)


def _export(options: argparse.Namespace) -> int:
    document = with_program(options, lambda antiphon: antiphon.mover.export(options.id))
    text = json.dumps(document, indent=1) + "\n"
    if options.file is None:
        sys.stdout.write(text)
    else:
        options.file.write_text(text, encoding="utf-8")
        print(f"Written: {options.file} ({len(document['messages'])} messages).", file=sys.stderr)
    return DONE


def _import(options: argparse.Namespace) -> int:
    try:
        raw = options.file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{options.file} cannot be read: {error.strerror}.") from error

    async def take_in(antiphon: Antiphon) -> ImportedThread:
        return await antiphon.mover.import_file(raw, await person_of(antiphon.stores, options))

    moved = with_program(options, take_in)
    if options.json:
        print(json.dumps({"thread": str(moved.thread), "channel": moved.channel, "created": moved.created}))
    elif moved.created:
        print(
            f"Imported as thread {moved.thread} in {moved.channel}: {moved.messages} messages, {moved.approvals} "
            f"questions that wait, {moved.reminders} reminders, {moved.memories} new memories."
        )
    else:
        print(f"Nothing to do: this file is already thread {moved.thread} in {moved.channel}.")
    return DONE


def _schema(options: argparse.Namespace) -> int:
    del options
    from antiphon.threads.thread_file import schema_text

    sys.stdout.write(schema_text())
    return DONE
