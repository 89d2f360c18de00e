"""Every route there is."""

from __future__ import annotations

from antiphon.sim.discord.rest import channels, commands, guilds, interactions, messages, users
from antiphon.sim.discord.rest.call import Route

ROUTES: list[Route] = [
    *users.ROUTES,
    *guilds.ROUTES,
    *channels.ROUTES,
    *messages.ROUTES,
    *commands.ROUTES,
    *interactions.ROUTES,
]
