"""`antiphon key create|list|revoke`: API keys, also while the server runs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from antiphon.config import Settings
from antiphon.domain.errors import InvalidInput
from antiphon.domain.logins import SCOPES, Key
from antiphon.run.commands import DONE
from antiphon.run.commands.opening import person_of, with_stores

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of `antiphon`."""
    key = commands.add_parser("key", help="API keys").add_subparsers(required=True, metavar="ACTION")
    create = key.add_parser("create", help="make a key and print it once")
    create.add_argument("name", help="what it is for")
    create.add_argument("--scopes", default="chat", help=f"comma-separated: {', '.join(sorted(SCOPES))}")
    create.add_argument("--person", type=int, metavar="P", help="whom it speaks for (default: the owner)")
    create.add_argument("--json", action="store_true", help='print {"id", "key"}')
    create.set_defaults(run=_create)
    listing = key.add_parser("list", help="list keys")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=_list)
    revoke = key.add_parser("revoke", help="revoke a key")
    revoke.add_argument("id", type=int)
    revoke.set_defaults(run=_revoke)


def _create(options: argparse.Namespace) -> int:
    scopes = [scope.strip() for scope in options.scopes.split(",") if scope.strip()]
    if unknown := sorted(set(scopes) - SCOPES):
        raise InvalidInput(f"Unknown scope {', '.join(unknown)}; there are {', '.join(sorted(SCOPES))}.")

    async def create(stores: Stores, settings: Settings) -> tuple[Key, str]:
        del settings
        return await stores.keys.create(options.name, scopes, await person_of(stores, options))

    key, secret = with_stores(options, create)
    if options.json:
        print(json.dumps({"id": str(key.id), "key": secret}))
    else:
        print(
            f"Key {key.id} ({key.name}), scopes {', '.join(sorted(key.scopes))}. It is shown only now:", file=sys.stderr
        )
        print(secret)
    return DONE


def _list(options: argparse.Namespace) -> int:
    keys = with_stores(options, lambda stores, settings: stores.keys.list(None))
    if options.json:
        lines = [
            {
                "id": str(key.id),
                "name": key.name,
                "person": str(key.person),
                "scopes": sorted(key.scopes),
                "created_at": key.created_at.isoformat(),
                "revoked": key.revoked_at is not None,
            }
            for key in keys
        ]
        print(json.dumps(lines, indent=2))
        return DONE
    for key in keys:
        state = "revoked" if key.revoked_at else "active"
        print(f"{key.id:>6}  {state:<8} {key.hint:<12} {','.join(sorted(key.scopes)):<20} {key.name}")
    if not keys:
        print("There are no keys. Make one: antiphon key create NAME --scopes chat", file=sys.stderr)
    return DONE


def _revoke(options: argparse.Namespace) -> int:
    key = with_stores(options, lambda stores, settings: stores.keys.revoke(options.id, None))
    print(f"Key {key.id} ({key.name}) is revoked.")
    return DONE
