"""Application commands. Source: docs, Application Commands, "Endpoints"."""

from __future__ import annotations

from typing import Any

from antiphon.sim.discord.errors import refused, unknown
from antiphon.sim.discord.rest.call import Call, Reply, Route
from antiphon.sim.discord.rules import commands as rules
from antiphon.sim.discord.world.commands import Command
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import Application


def _place(call: Call) -> tuple[Application, Guild | None]:
    application = call.bot
    if call.id("application_id") != application.id:
        raise refused(403, 20012, "You are not authorized to perform this action on this application")
    return application, call.guild() if "guild_id" in call.parameters else None


def _command(call: Call) -> tuple[Application, Guild | None, Command]:
    application, guild = _place(call)
    command = rules.kept(application, guild).get(call.id("command_id"))
    if command is None:
        raise unknown("application command")
    return application, guild, command


def _list(call: Call) -> list[dict[str, Any]]:
    return [command.payload() for command in rules.kept(*_place(call)).values()]


def _overwrite(call: Call) -> list[dict[str, Any]]:
    application, guild = _place(call)
    return [command.payload() for command in rules.overwrite(call.world, application, guild, call.json)]


def _create(call: Call) -> Reply:
    application, guild = _place(call)
    command, new = rules.create(call.world, application, guild, call.body)
    return Reply(command.payload(), 201 if new else 200)


def _get(call: Call) -> dict[str, Any]:
    return _command(call)[2].payload()


def _edit(call: Call) -> dict[str, Any]:
    application, guild, command = _command(call)
    return rules.change(call.world, application, guild, command, call.body).payload()


def _delete(call: Call) -> None:
    application, guild, command = _command(call)
    del rules.kept(application, guild)[command.id]


_GLOBAL = "/applications/{application_id}/commands"
_GUILD = "/applications/{application_id}/guilds/{guild_id}/commands"

ROUTES = [
    route
    for base in (_GLOBAL, _GUILD)
    for route in (
        Route("GET", base, _list),
        Route("PUT", base, _overwrite),
        Route("POST", base, _create),
        Route("GET", base + "/{command_id}", _get),
        Route("PATCH", base + "/{command_id}", _edit),
        Route("DELETE", base + "/{command_id}", _delete),
    )
]
