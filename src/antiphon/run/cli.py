"""The `antiphon` command. Exit status: 0 done, 1 failed, 2 usage, 3 configuration refused.

What a command prints on stdout is meant to be used (a key stands alone on the last line); the rest goes to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from antiphon import __version__
from antiphon.config import Settings, load_settings
from antiphon.config import report as config_report
from antiphon.domain.errors import AntiphonError, ConfigError, InvalidInput
from antiphon.domain.identity import Role
from antiphon.domain.logins import SCOPES, Key, User
from antiphon.domain.moving import ImportedThread
from antiphon.domain.personal_data import CONFIRMATION
from antiphon.run.banner import SIGN_IN_VALID
from antiphon.run.speech_commands import add_commands as add_speech_commands

if TYPE_CHECKING:
    from antiphon.run.wiring import Antiphon
    from antiphon.store.stores import Stores

T = TypeVar("T")

DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)  # what people said is written for this account alone
    try:
        return options.run(options)
    except ConfigError as error:
        print(error.message, file=sys.stderr)
        return REFUSED
    except AntiphonError as error:
        print(f"antiphon: {error.message}", file=sys.stderr)
        for name, problem in error.fields.items():
            print(f"  {name}: {problem}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="antiphon", description="One agent, every channel, text and voice.")
    parser.add_argument("--version", action="version", version=f"antiphon {__version__}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML or JSON file (else ANTIPHON_CONFIG)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    for name, text in (
        ("up", "run everything in this process"),
        ("api", "run the API alone (needs PostgreSQL and Redis)"),
        ("console", "serve the pages alone, for an API elsewhere (port 5173)"),
        ("discord", "hold the connection to Discord alone (needs PostgreSQL and Redis)"),
        ("worker", "work on tasks and deliver replies alone (needs PostgreSQL and Redis)"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--port", type=int, help="instead of the configured one")
        command.set_defaults(run=_run_role, role=name)

    for name, text in (
        ("stt", "serve the engines that listen to other programs (gRPC, Wyoming)"),
        ("tts", "serve the engines that speak to other programs (gRPC, Wyoming)"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--port", type=int, help="of /health and /metrics, instead of the configured one")
        command.set_defaults(run=_run_speech_service, service=name)

    demo = commands.add_parser("demo", help="try everything with a simulated Discord: no token, nothing is kept")
    demo.add_argument("--port", type=int, help="instead of the configured one")
    demo.set_defaults(run=_demo)

    config = commands.add_parser("config", help="check or show the configuration").add_subparsers(
        required=True, metavar="ACTION"
    )
    config.add_parser("check", help="read it and say whether it is accepted").set_defaults(run=_config_check)
    show = config.add_parser("show", help="print the effective settings and where they come from")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(run=_config_show)
    config.add_parser("schema", help="print the JSON schema of the file").set_defaults(run=_config_schema)

    key = commands.add_parser("key", help="API keys").add_subparsers(required=True, metavar="ACTION")
    create = key.add_parser("create", help="make a key and print it once")
    create.add_argument("name", help="what it is for")
    create.add_argument("--scopes", default="chat", help=f"comma-separated: {', '.join(sorted(SCOPES))}")
    create.add_argument("--person", type=int, metavar="P", help="whom it speaks for (default: the owner)")
    create.add_argument("--json", action="store_true", help='print {"id", "key"}')
    create.set_defaults(run=_key_create)
    listing = key.add_parser("list", help="list keys")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=_key_list)
    revoke = key.add_parser("revoke", help="revoke a key")
    revoke.add_argument("id", type=int)
    revoke.set_defaults(run=_key_revoke)

    user = commands.add_parser("user", help="console users").add_subparsers(required=True, metavar="ACTION")
    new_user = user.add_parser("create", help="make a user and print a sign-in link for them")
    new_user.add_argument("name", help="what they are called")
    new_user.add_argument("--role", choices=[role.value for role in Role], default=Role.MEMBER.value)
    new_user.set_defaults(run=_user_create)
    link = user.add_parser("link", help="print a sign-in link (15 minutes, works once)")
    link.add_argument("name", nargs="?", help="whose (default: the owner)")
    link.set_defaults(run=_user_link)
    users = user.add_parser("list", help="list users")
    users.add_argument("--json", action="store_true", help="as JSON")
    users.set_defaults(run=_user_list)
    for action, text in (
        ("reset", "take password, second factor and sessions away, and print a sign-in link"),
        ("disable", "lock a user out: sessions end, keys are refused"),
        ("enable", "let a disabled user in again"),
    ):
        one = user.add_parser(action, help=text)
        one.add_argument("name", help="whom")
        one.set_defaults(run=_user_change, action=action)

    events = commands.add_parser("events", help="what happens, while it happens").add_subparsers(
        required=True, metavar="ACTION"
    )
    tail = events.add_parser("tail", help="print events as they come: from Redis, else through the API with a key")
    tail.add_argument("--topic", action="append", default=[], metavar="PATTERN", help="only these, e.g. 'turn.web:*'")
    tail.add_argument("--json", action="store_true", help="one JSON object per line")
    tail.add_argument("--count", type=int, default=0, metavar="N", help="end after N events")
    tail.add_argument("--url", help="a running server (default: the configured one)")
    tail.add_argument("--key-file", type=Path, metavar="FILE", help="file with an API key, to go through the API")
    tail.set_defaults(run=_events_tail)

    export = user.add_parser("export", help="write everything stored about a person into a zip")
    export.add_argument("person", type=int, help="the person's id")
    export.add_argument("file", type=Path)
    export.set_defaults(run=_user_export)
    erase = user.add_parser("erase", help="erase everything about a person, for good, and print the receipt")
    erase.add_argument("person", type=int, help="the person's id")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    erase.set_defaults(run=_user_erase)

    sim = commands.add_parser("sim", help="simulated platforms on loopback, to try things out").add_subparsers(
        required=True, metavar="PLATFORM"
    )
    discord = sim.add_parser("discord", help="a simulated Discord; prints how to reach it as one JSON line")
    discord.add_argument("--port", type=int, default=0, help="of Discord's hosts (default: any free one)")
    discord.add_argument("--control-port", type=int, default=0, help="of the control (default: any free one)")
    discord.add_argument("--ca-out", type=Path, metavar="F", help="where to write the certificate to trust")
    discord.add_argument("--token", help="the bot's token (default: a fresh one)")
    discord.add_argument("--servers", type=int, default=0, metavar="N", help="add N servers, for measuring")
    discord.add_argument("--members", type=int, default=1000, metavar="N", help="of each added server")
    discord.set_defaults(run=_sim_discord)

    database = commands.add_parser("db", help="the database").add_subparsers(required=True, metavar="ACTION")
    database.add_parser("migrate", help="bring the database up to date").set_defaults(run=_migrate)

    asking = commands.add_parser("ask", help="ask one thing here and see how the answer came about")
    asking.add_argument("text", help="what to ask")
    asking.add_argument("--trace", action="store_true", help="also print prompt, context, decisions, tools and times")
    asking.add_argument("--json", action="store_true", help="print everything as JSON")
    asking.add_argument("--person", type=int, metavar="P", help="who asks (default: the owner)")
    asking.set_defaults(run=_ask)
    talking = commands.add_parser("talk", help="talk with it by this machine's microphone and loudspeaker")
    talking.add_argument(
        "--room", default="terminal", help="the room, which keeps the conversation (default: terminal)"
    )
    talking.add_argument("--language", default="", help="what is spoken, like en or de")
    talking.add_argument("--person", type=int, metavar="P", help="who talks (default: the owner)")
    talking.set_defaults(run=_talk)

    thread = commands.add_parser("thread", help="move a thread to another system").add_subparsers(
        required=True, metavar="ACTION"
    )
    export = thread.add_parser("export", help="write a thread into a file")
    export.add_argument("id", type=int, help="the thread's number")
    export.add_argument("file", type=Path, nargs="?", help="where to (default: stdout)")
    export.set_defaults(run=_thread_export)
    importing = thread.add_parser("import", help="take in the file of a thread")
    importing.add_argument("file", type=Path)
    importing.add_argument("--person", type=int, metavar="P", help="whose it becomes (default: the owner)")
    importing.add_argument("--json", action="store_true", help="print what it became as JSON")
    importing.set_defaults(run=_thread_import)
    thread.add_parser("schema", help="print the JSON schema of the file").set_defaults(run=_thread_schema)

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
    add_speech_commands(commands, _settings)
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    port = getattr(options, "port", None)
    key = "console.port" if getattr(options, "role", "") == "console" else "http.port"
    return load_settings(config_file=options.config, overrides={} if port is None else {key: port})


# Imports of the heavy parts stand in the commands that need them, so that `antiphon --help` and refusals are instant.


def _run_role(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.run.roles import ROLES, run_role

    run_role(ROLES[options.role], settings, announce=lambda text: print(text, flush=True))
    return DONE


def _run_speech_service(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.run.speech_services import run_speech_service

    run_speech_service(options.service, settings, announce=lambda text: print(text, flush=True))
    return DONE


def _demo(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.run.demo import run_demo

    run_demo(settings, announce=lambda text: print(text, flush=True))
    return DONE


def _config_check(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.speech.engines import check_engines

    check_engines(settings)
    print("The configuration is accepted.")
    return DONE


def _config_show(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if options.json:
        lines = config_report.describe(settings)
        print(json.dumps({line.key: {"value": line.value, "origin": line.origin} for line in lines}, indent=2))
    else:
        print(config_report.as_text(settings))
    return DONE


def _config_schema(options: argparse.Namespace) -> int:
    print(json.dumps(config_report.schema(), indent=2))
    return DONE


def _with_stores(options: argparse.Namespace, action: Callable[[Stores, Settings], Awaitable[T]]) -> T:
    """Run `action(stores, settings)` on the database of the configuration, beside a running server if there is one."""
    settings = _settings(options)
    from antiphon.run.wiring import open_stores_alone
    from antiphon.store.migrate import migrate
    from antiphon.telemetry.logs import configure_logging, for_commands, secrets_of

    configure_logging(for_commands(settings.log), secrets=secrets_of(settings))
    migrate(settings)

    async def run() -> T:
        async with open_stores_alone(settings) as stores:
            return await action(stores, settings)

    return asyncio.run(run())


def _key_create(options: argparse.Namespace) -> int:
    scopes = [scope.strip() for scope in options.scopes.split(",") if scope.strip()]
    if unknown := sorted(set(scopes) - SCOPES):
        raise InvalidInput(f"Unknown scope {', '.join(unknown)}; there are {', '.join(sorted(SCOPES))}.")

    async def create(stores: Stores, settings: Settings) -> tuple[Key, str]:
        del settings
        person = options.person
        if person is None:
            person = (await stores.users.ensure_owner()).person
        else:
            await stores.people.person(person)
        return await stores.keys.create(options.name, scopes, person)

    key, secret = _with_stores(options, create)
    if options.json:
        print(json.dumps({"id": str(key.id), "key": secret}))
    else:
        print(
            f"Key {key.id} ({key.name}), scopes {', '.join(sorted(key.scopes))}. It is shown only now:", file=sys.stderr
        )
        print(secret)
    return DONE


def _key_list(options: argparse.Namespace) -> int:
    keys = _with_stores(options, lambda stores, settings: stores.keys.list(None))
    if options.json:
        print(
            json.dumps(
                [
                    {
                        "id": str(key.id),
                        "name": key.name,
                        "person": str(key.person),
                        "scopes": sorted(key.scopes),
                        "created_at": key.created_at.isoformat(),
                        "revoked": key.revoked_at is not None,
                    }
                    for key in keys
                ],
                indent=2,
            )
        )
        return DONE
    for key in keys:
        state = "revoked" if key.revoked_at else "active"
        print(f"{key.id:>6}  {state:<8} {key.hint:<12} {','.join(sorted(key.scopes)):<20} {key.name}")
    if not keys:
        print("There are no keys. Make one: antiphon key create NAME --scopes chat", file=sys.stderr)
    return DONE


def _key_revoke(options: argparse.Namespace) -> int:
    key = _with_stores(options, lambda stores, settings: stores.keys.revoke(options.id, None))
    print(f"Key {key.id} ({key.name}) is revoked.")
    return DONE


def _user_create(options: argparse.Namespace) -> int:
    async def create(stores: Stores, settings: Settings) -> tuple[User, str]:
        user = await stores.users.create(options.name, Role(options.role))
        return user, f"{settings.sign_in_url}/welcome/{await stores.users.sign_in_token(user.id, SIGN_IN_VALID)}"

    user, link = _with_stores(options, create)
    print(f"{user.name} ({user.role}) is person {user.person}. They sign in with:", file=sys.stderr)
    print(link)
    return DONE


def _user_link(options: argparse.Namespace) -> int:
    async def link(stores: Stores, settings: Settings) -> tuple[str, str]:
        user = await (stores.users.find(options.name) if options.name else stores.users.ensure_owner())
        return settings.sign_in_url, await stores.users.sign_in_token(user.id, SIGN_IN_VALID)

    url, token = _with_stores(options, link)
    print(f"{url}/welcome/{token}")
    return DONE


def _user_list(options: argparse.Namespace) -> int:
    users = _with_stores(options, lambda stores, settings: stores.users.all())
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


def _user_change(options: argparse.Namespace) -> int:
    async def change(stores: Stores, settings: Settings) -> str:
        user = await stores.users.find(options.name)
        if options.action == "enable":
            await stores.users.enable(user.id)
        elif options.action == "disable":
            await stores.users.disable(user.id)
        else:
            await stores.users.reset(user.id)
            if user.active:
                return f"{settings.http.url}/welcome/{await stores.users.sign_in_token(user.id, SIGN_IN_VALID)}"
        return ""

    link = _with_stores(options, change)
    done = {"enable": "may sign in again", "disable": "is locked out", "reset": "has to sign in by link"}
    print(f"{options.name} {done[options.action]}.", file=sys.stderr)
    if link:
        print(link)
    return DONE


def _events_tail(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.run.event_tail import TailOptions, from_api, from_redis, tail

    wanted = TailOptions(options.topic, options.json, options.count)
    redis = settings.redis_url.get_secret_value()
    if options.key_file is not None:
        try:
            key = options.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"The key cannot be read from {options.key_file}.") from error
        source = from_api(options.url or settings.http.url, key, wanted)
    elif redis and not options.url:
        source = from_redis(redis)
    else:
        raise InvalidInput(
            "Without REDIS_URL events are read from the running server, with a key: antiphon key create tail > FILE, "
            "then antiphon events tail --key-file FILE."
        )
    asyncio.run(tail(source, wanted, lambda line: print(line, flush=True)))
    return DONE


def _with_program(options: argparse.Namespace, action: Callable[[Antiphon], Awaitable[T]]) -> T:
    """Run `action` on the whole program, built but not started, beside a running server if there is one."""
    settings = _settings(options)
    from antiphon.run.wiring import open_antiphon
    from antiphon.store.migrate import migrate
    from antiphon.telemetry.logs import configure_logging, for_commands, secrets_of

    configure_logging(for_commands(settings.log), secrets=secrets_of(settings))
    migrate(settings)

    async def run() -> T:
        async with open_antiphon(settings, stop=asyncio.Event()) as antiphon:
            return await action(antiphon)

    return asyncio.run(run())


async def _person(antiphon: Antiphon, options: argparse.Namespace) -> int:
    """Whom a command acts for: the person that was named, or the owner."""
    if options.person is None:
        return (await antiphon.stores.users.ensure_owner()).person
    return (await antiphon.stores.people.person(options.person)).id


def _talk(options: argparse.Namespace) -> int:
    from antiphon.run.talk import talk

    async def spoken(antiphon: Antiphon) -> None:
        person = await _person(antiphon, options)
        await talk(antiphon, person, room=options.room, language=options.language, show=print)

    with contextlib.suppress(KeyboardInterrupt):
        _with_program(options, spoken)
    return DONE


def _ask(options: argparse.Namespace) -> int:
    from antiphon.run.ask import Asked, ask

    async def turn(antiphon: Antiphon) -> Asked:
        return await ask(antiphon, options.text, await _person(antiphon, options))

    asked = _with_program(options, turn)
    if options.json:
        print(asked.as_json())
        return DONE
    print(asked.text)
    if options.trace:
        print("\n".join(asked.lines()))
    elif asked.approvals:
        print(f"This waits for an approval: {'; '.join(asked.approvals)}", file=sys.stderr)
    return DONE


def _thread_export(options: argparse.Namespace) -> int:
    document = _with_program(options, lambda antiphon: antiphon.mover.export(options.id))
    text = json.dumps(document, indent=1) + "\n"
    if options.file is None:
        sys.stdout.write(text)
    else:
        options.file.write_text(text, encoding="utf-8")
        print(f"Written: {options.file} ({len(document['messages'])} messages).", file=sys.stderr)
    return DONE


def _thread_import(options: argparse.Namespace) -> int:
    try:
        raw = options.file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{options.file} cannot be read: {error.strerror}.") from error

    async def take_in(antiphon: Antiphon) -> ImportedThread:
        person = options.person
        if person is None:
            person = (await antiphon.stores.users.ensure_owner()).person
        else:
            await antiphon.stores.people.person(person)
        return await antiphon.mover.import_file(raw, person)

    moved = _with_program(options, take_in)
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


def _thread_schema(options: argparse.Namespace) -> int:
    del options
    from antiphon.threads.thread_file import schema_text

    sys.stdout.write(schema_text())
    return DONE


def _user_export(options: argparse.Namespace) -> int:
    async def export(stores: Stores, settings: Settings) -> None:
        del settings
        data = await stores.personal_data.export(options.person)
        try:
            descriptor = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                await stores.personal_data.write(data, file)
        except OSError as error:
            raise InvalidInput(f"{options.file} cannot be written: {error.strerror}.") from error

    _with_stores(options, export)
    print(f"Written: {options.file}")
    return DONE


def _user_erase(options: argparse.Namespace) -> int:
    if not options.yes:
        print(f"This deletes everything about person {options.person} for good. Write: {CONFIRMATION}", file=sys.stderr)
        if sys.stdin.readline().strip() != CONFIRMATION:
            print("Nothing was erased.", file=sys.stderr)
            return FAILED
    receipt = _with_stores(options, lambda stores, settings: stores.personal_data.erase(options.person))
    print(json.dumps({"at": receipt.at.isoformat(), "erased": dict(receipt.erased)}, indent=2))
    return DONE


def _sim_discord(options: argparse.Namespace) -> int:
    from antiphon.sim.discord.alone import run_alone

    def announce(reach: dict[str, str]) -> None:
        print(json.dumps(reach), flush=True)

    try:
        asyncio.run(
            run_alone(
                announce,
                port=options.port,
                control_port=options.control_port,
                ca_file=options.ca_out,
                token=options.token,
                servers=options.servers,
                members=options.members,
            )
        )
    except OSError as error:
        raise InvalidInput(f"The simulated Discord cannot start: {error.strerror or error}.") from error
    return DONE


def _migrate(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.store.migrate import migrate

    migrate(settings)
    print("The database is up to date.")
    return DONE


def _backup(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.store.backup import backup

    backup(settings, options.file, with_secrets=options.with_secrets)
    print(f"Written and verified: {options.file}")
    return DONE


def _restore(options: argparse.Namespace) -> int:
    settings = _settings(options)
    from antiphon.store.backup import restore

    restore(settings, options.file, force=options.force)
    print(f"Restored from {options.file}")
    return DONE
