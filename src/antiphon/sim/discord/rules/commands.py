"""Registering application commands and reading what people type into their options.

Source: docs, Application Commands: "Application Command Object" and "Option Structure" (limits), "Naming", "Registering
a Command" (100 chat commands; overwriting replaces all), "Application Command Option Type", "Permissions"
(`default_member_permissions`); Receiving and Responding, "Interaction Data", "Resolved Data Structure".
"""

from __future__ import annotations

import re
from typing import Any

from antiphon.sim.discord.errors import Form, Refused, refused, unknown
from antiphon.sim.discord.permissions import P, in_guild
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.commands import Command
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import Application, User
from antiphon.sim.discord.world.world import World

SUB, GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(1, 12)
_NAME = re.compile(r"^[-_'\w]{1,32}$")


def kept(application: Application, guild: Guild | None) -> dict[int, Command]:
    """The commands of an application, globally or in one guild."""
    return application.commands if guild is None else guild.commands.setdefault(application.id, {})


def overwrite(world: World, application: Application, guild: Guild | None, bodies: Any) -> list[Command]:
    """Replace all. A command of the same name and type keeps its id."""
    form = Form()
    bodies = form.items("", bodies, most=110)
    for index, body in enumerate(bodies):
        check(form, f"{index}.", body)
    names = [(body.get("type", 1), body.get("name")) for body in bodies]
    for index, name in enumerate(names):
        if name in names[:index]:
            form.add(f"{index}.name", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Duplicate command name")
    form.check()
    if sum(kind == 1 for kind, _ in names) > 100:
        raise refused(400, 30032, "Maximum number of application commands reached (100).")
    store = kept(application, guild)
    old = {(command.type, command.name): command for command in store.values()}
    store.clear()
    made = [_put(world, application, guild, body, old.get(name)) for body, name in zip(bodies, names, strict=True)]
    store.update({command.id: command for command in made})
    return made


def create(world: World, application: Application, guild: Guild | None, body: dict[str, Any]) -> tuple[Command, bool]:
    """Returns whether it is new; one of the same name and type is replaced."""
    form = Form()
    check(form, "", body)
    form.check()
    store = kept(application, guild)
    old = next((one for one in store.values() if (one.type, one.name) == (body.get("type", 1), body["name"])), None)
    command = _put(world, application, guild, body, old)
    store[command.id] = command
    return command, old is None


def change(
    world: World, application: Application, guild: Guild | None, command: Command, body: dict[str, Any]
) -> Command:
    form = Form()
    merged = {**command.body, **body}
    check(form, "", merged)
    form.check()
    command.body, command.version = merged, world.ids.new()
    return command


def _put(
    world: World, application: Application, guild: Guild | None, body: dict[str, Any], old: Command | None
) -> Command:
    identifier = old.id if old else world.ids.new()
    return Command(identifier, application.id, guild.id if guild else None, world.ids.new(), body)


def check(form: Form, at: str, body: Any) -> None:
    if not isinstance(body, dict):
        form.add(at.rstrip("."), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    kind = form.choice(f"{at}type", body.get("type", 1), {1, 2, 3, 4})
    name = form.text(f"{at}name", body.get("name"), least=1, most=32, none=False)
    if kind == 1:
        if name and (not _NAME.match(name) or name != name.lower()):
            form.add(f"{at}name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
        form.text(f"{at}description", body.get("description"), least=1, most=100, none=False)
    elif body.get("description"):
        form.add(
            f"{at}description",
            "APPLICATION_COMMAND_DESCRIPTION_NOT_ALLOWED",
            "Context menu commands cannot have description",
        )
    _check_options(form, at, body.get("options"))
    if len(_texts(body)) > 8000:
        form.add(at.rstrip("."), "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")


def _check_options(form: Form, at: str, options: Any) -> None:
    optional = False
    for index, option in enumerate(form.items(f"{at}options", options, most=25)):
        here = f"{at}options.{index}."
        form.choice(f"{here}type", option.get("type"), set(range(1, 12)))
        name = form.text(f"{here}name", option.get("name"), least=1, most=32, none=False)
        if name and (not _NAME.match(name) or name != name.lower()):
            form.add(f"{here}name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
        form.text(f"{here}description", option.get("description"), least=1, most=100, none=False)
        if option.get("required") and optional:
            form.add(
                f"{here}required",
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional = optional or (not option.get("required") and option.get("type", 3) > GROUP)
        choices = form.items(f"{here}choices", option.get("choices"), most=25)
        if choices and option.get("autocomplete"):
            form.add(
                f"{here}autocomplete",
                "APPLICATION_COMMAND_OPTIONS_CHOICES_AUTOCOMPLETE",
                "Cannot have both choices and autocomplete",
            )
        for number, choice in enumerate(choices):
            form.text(f"{here}choices.{number}.name", choice.get("name"), least=1, most=100, none=False)
        _check_options(form, here, option.get("options"))


def _texts(body: dict[str, Any]) -> str:
    parts = [str(body.get("name", "")), str(body.get("description", ""))]
    parts += [str(choice.get("name", "")) + str(choice.get("value", "")) for choice in body.get("choices") or []]
    parts += [_texts(option) for option in body.get("options") or []]
    return "".join(parts)


# What people see and type


def visible(world: World, channel: Channel, user: User) -> list[tuple[Application, Command]]:
    """The commands a user finds in a channel: guild ones hide global ones of the same name."""
    guild = channel.guild
    found: list[tuple[Application, Command]] = []
    for application in world.applications.values():
        if guild is not None and application.id not in guild.members:
            continue
        own = list(guild.commands.get(application.id, {}).values()) if guild else []
        names = {(command.type, command.name) for command in own}
        general = [one for one in application.commands.values() if (one.type, one.name) not in names]
        found += [(application, command) for command in [*own, *general] if _may_use(world, guild, user, command)]
    return found


def _may_use(world: World, guild: Guild | None, user: User, command: Command) -> bool:
    if guild is None:
        contexts = command.body.get("contexts")
        return bool(command.body.get("dm_permission", True)) and (contexts is None or 1 in contexts)
    needed = command.body.get("default_member_permissions")
    member = guild.members.get(user.id)
    if member is None:
        return False
    bits = in_guild(guild, member, world.clock.now())
    if needed is None:
        return True
    if int(needed) == 0:
        return bool(bits & P.ADMINISTRATOR)
    return int(needed) & bits == int(needed)


def find(
    world: World, channel: Channel, user: User, name: str, bot: int | None, kind: int = 1
) -> tuple[Application, Command]:
    for application, command in visible(world, channel, user):
        if command.name == name and command.type == kind and bot in (None, application.id):
            return application, command
    raise unknown("application command")


def fill(
    world: World,
    channel: Channel,
    command: Command,
    values: dict[str, Any],
    path: list[str],
    *,
    focused: str | None = None,
) -> dict[str, Any]:
    """Interaction data for `values` by option name; `path` names the subcommand. Raises what the client would show."""
    resolved: dict[str, dict[str, Any]] = {}
    declared = command.body.get("options") or []
    wrap: list[tuple[int, str]] = []
    for name in path:
        option = next((one for one in declared if one["name"] == name and one["type"] in (SUB, GROUP)), None)
        if option is None:
            raise Refused(400, 50035, f"There is no subcommand {name}")
        wrap.append((option["type"], name))
        declared = option.get("options") or []
    options = _fill_options(world, channel, declared, values, resolved, focused)
    for kind, name in reversed(wrap):
        options = [{"type": kind, "name": name, "options": options}]
    data: dict[str, Any] = {"id": str(command.id), "name": command.name, "type": command.type}
    if command.guild_id is not None:
        data["guild_id"] = str(command.guild_id)
    if options:
        data["options"] = options
    if resolved:
        data["resolved"] = resolved
    return data


def _fill_options(
    world: World,
    channel: Channel,
    declared: list[dict[str, Any]],
    values: dict[str, Any],
    resolved: dict[str, dict[str, Any]],
    focused: str | None,
) -> list[dict[str, Any]]:
    if unknown_names := set(values) - {option["name"] for option in declared}:
        raise Refused(400, 50035, f"There is no option {sorted(unknown_names)[0]}")
    filled: list[dict[str, Any]] = []
    for option in declared:
        name, kind = option["name"], option["type"]
        if name not in values:
            if option.get("required") and focused is None:
                raise Refused(400, 50035, f"The option {name} is required")
            continue
        value = values[name] if name == focused else _typed(world, channel, option, values[name], resolved)
        entry: dict[str, Any] = {"name": name, "type": kind, "value": value}
        if name == focused:
            entry["focused"] = True
        filled.append(entry)
    return filled


def _typed(
    world: World, channel: Channel, option: dict[str, Any], value: Any, resolved: dict[str, dict[str, Any]]
) -> Any:
    kind, name = option["type"], option["name"]
    wrong = Refused(400, 50035, f"{value!r} does not fit the option {name}")
    if choices := option.get("choices"):
        if value not in [choice["value"] for choice in choices]:
            raise wrong
        return value
    if kind == STRING:
        if not isinstance(value, str) or not option.get("min_length", 0) <= len(value) <= option.get(
            "max_length", 6000
        ):
            raise wrong
    elif kind in (INTEGER, NUMBER):
        if isinstance(value, bool) or not isinstance(value, int | float) or (kind == INTEGER and value != int(value)):
            raise wrong
        if not option.get("min_value", -(2**53)) <= value <= option.get("max_value", 2**53):
            raise wrong
    elif kind == BOOLEAN:
        if not isinstance(value, bool):
            raise wrong
    else:
        return _resolve(world, channel, kind, int(value), resolved)
    return value


def _resolve(world: World, channel: Channel, kind: int, value: int, resolved: dict[str, dict[str, Any]]) -> str:
    guild, key = channel.guild, str(value)
    if kind in (USER, MENTIONABLE) and value in world.users:
        resolved.setdefault("users", {})[key] = world.users[value].payload()
        if guild and value in guild.members:
            member = guild.members[value].payload(user=False)
            permissions = str(int(world.permissions(channel, world.users[value])))
            resolved.setdefault("members", {})[key] = {**member, "permissions": permissions}
    elif kind in (ROLE, MENTIONABLE) and guild and value in guild.roles:
        resolved.setdefault("roles", {})[key] = guild.roles[value].payload()
    elif kind == CHANNEL and value in world.channels:
        found = world.channels[value]
        resolved.setdefault("channels", {})[key] = {**found.payload(), "permissions": "0"}
    elif kind == ATTACHMENT and value in world.attachments:
        resolved.setdefault("attachments", {})[key] = world.attachments[value].payload()
    else:
        raise Refused(400, 50035, f"{value} is nothing of this kind")
    return key
