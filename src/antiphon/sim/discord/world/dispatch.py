"""What happens in the world, as the gateway will say it, and to whom it may be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.guilds import Guild
    from antiphon.sim.discord.world.messages import Message


@dataclass(slots=True)
class Dispatch:
    """One gateway event.

    Who gets it: bots of `guild` who can see `channel` (when given), or the `users` alone.
    """

    name: str
    data: dict[str, Any]
    guild: Guild | None = None
    channel: Channel | None = None
    users: frozenset[int] | None = None
    message: Message | None = None
    """Set when the payload carries a message, whose content not every application may read."""
    intents: int | None = None
    """Replaces the intents that the event's name asks for."""
