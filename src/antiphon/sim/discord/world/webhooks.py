"""Webhooks of channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.users import User


@dataclass(slots=True, eq=False)
class Webhook:
    """Source: docs, Webhook, "Webhook Object"."""

    id: int
    token: str
    name: str
    channel: Channel
    creator: User
    application_id: int | None

    def payload(self, *, token: bool = True) -> dict[str, Any]:
        guild = self.channel.guild
        data: dict[str, Any] = {
            "id": str(self.id),
            "type": 1,
            "guild_id": str(guild.id) if guild else None,
            "channel_id": str(self.channel.id),
            "name": self.name,
            "avatar": None,
            "application_id": None if self.application_id is None else str(self.application_id),
            "user": self.creator.payload(),
        }
        if token:
            data["token"] = self.token
        return data
