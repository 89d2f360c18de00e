"""`antiphon user …`: who may sign in, and everything that is stored about a person."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.config import Settings
from antiphon.domain.errors import InvalidInput
from antiphon.domain.identity import Role
from antiphon.domain.logins import User
from antiphon.domain.personal_data import CONFIRMATION
from antiphon.run.banner import SIGN_IN_VALID
from antiphon.run.commands import DONE, FAILED
from antiphon.run.commands.opening import with_stores

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of `antiphon`."""
    user = commands.add_parser("user", help="console users").add_subparsers(required=True, metavar="ACTION")
    new_user = user.add_parser("create", help="make a user and print a sign-in link for them")
    new_user.add_argument("name", help="what they are called")
    new_user.add_argument("--role", choices=[role.value for role in Role], default=Role.MEMBER.value)
    new_user.set_defaults(run=_create)
    link = user.add_parser("link", help="print a sign-in link (15 minutes, works once)")
    link.add_argument("name", nargs="?", help="whose (default: the owner)")
    link.set_defaults(run=_link)
    users = user.add_parser("list", help="list users")
    users.add_argument("--json", action="store_true", help="as JSON")
    users.set_defaults(run=_list)
    for action, text in (
        ("reset", "take password, second factor and sessions away, and print a sign-in link"),
        ("disable", "lock a user out: sessions end, keys are refused"),
        ("enable", "let a disabled user in again"),
    ):
        one = user.add_parser(action, help=text)
        one.add_argument("name", help="whom")
        one.set_defaults(run=_change, action=action)
    export = user.add_parser("export", help="write everything stored about a person into a zip")
    export.add_argument("person", type=int, help="the person's id")
    export.add_argument("file", type=Path)
    export.set_defaults(run=_export)
    erase = user.add_parser("erase", help="erase everything about a person, for good, and print the receipt")
    erase.add_argument("person", type=int, help="the person's id")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    erase.set_defaults(run=_erase)


async def _sign_in_link(stores: Stores, settings: Settings, user: User) -> str:
    return f"{settings.sign_in_url}/welcome/{await stores.users.sign_in_token(user.id, SIGN_IN_VALID)}"


def _create(options: argparse.Namespace) -> int:
    async def create(stores: Stores, settings: Settings) -> tuple[User, str]:
        user = await stores.users.create(options.name, Role(options.role))
        return user, await _sign_in_link(stores, settings, user)

    user, link = with_stores(options, create)
    print(f"{user.name} ({user.role}) is person {user.person}. They sign in with:", file=sys.stderr)
    print(link)
    return DONE


def _link(options: argparse.Namespace) -> int:
    async def link(stores: Stores, settings: Settings) -> str:
        user = await (stores.users.find(options.name) if options.name else stores.users.ensure_owner())
        return await _sign_in_link(stores, settings, user)

    print(with_stores(options, link))
    return DONE


def _list(options: argparse.Namespace) -> int:
    users = with_stores(options, lambda stores, settings: stores.users.all())
    if options.json:
        lines = [
            {
                "id": str(user.id),
                "name": user.name,
                "role": user.role.value,
                "person": str(user.person),
                "active": user.active,
                "password": user.password,
                "totp": user.totp,
            }
            for user in users
        ]
        print(json.dumps(lines, indent=2))
        return DONE
    for user in users:
        state = "active" if user.active else "disabled"
        proof = "password and code" if user.totp else "password" if user.password else "link"
        print(f"{user.id:>6}  {state:<8} {user.role.value:<8} {proof:<17} {user.name}")
    return DONE


def _change(options: argparse.Namespace) -> int:
    async def change(stores: Stores, settings: Settings) -> str:
        user = await stores.users.find(options.name)
        if options.action == "enable":
            await stores.users.enable(user.id)
        elif options.action == "disable":
            await stores.users.disable(user.id)
        else:
            await stores.users.reset(user.id)
            if user.active:
                return await _sign_in_link(stores, settings, user)
        return ""

    link = with_stores(options, change)
    done = {"enable": "may sign in again", "disable": "is locked out", "reset": "has to sign in by link"}
    print(f"{options.name} {done[options.action]}.", file=sys.stderr)
    if link:
        print(link)
    return DONE


def _export(options: argparse.Namespace) -> int:
    async def export(stores: Stores, settings: Settings) -> None:
        del settings
        data = await stores.personal_data.export(options.person)
        try:
            descriptor = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                await stores.personal_data.write(data, file)
        except OSError as error:
            raise InvalidInput(f"{options.file} cannot be written: {error.strerror}.") from error

    with_stores(options, export)
    print(f"Written: {options.file}")
    return DONE


def _erase(options: argparse.Namespace) -> int:
    if not options.yes:
        print(f"This deletes everything about person {options.person} for good. Write: {CONFIRMATION}", file=sys.stderr)
        if sys.stdin.readline().strip() != CONFIRMATION:
            print("Nothing was erased.", file=sys.stderr)
            return FAILED
    receipt = with_stores(options, lambda stores, settings: stores.personal_data.erase(options.person))
    print(json.dumps({"at": receipt.at.isoformat(), "erased": dict(receipt.erased)}, indent=2))
    return DONE
