"""Who is in which voice channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.guilds import Member


@dataclass(slots=True, eq=False)
class VoiceState:
    """Source: docs, Voice Resource, "Voice State Object"."""

    member: Member
    channel: Channel
    session_id: str
    self_mute: bool = False
    self_deaf: bool = False

    def payload(self, *, member: bool = True, left: bool = False) -> dict[str, Any]:
        guild = self.channel.guild
        data: dict[str, Any] = {
            "channel_id": None if left else str(self.channel.id),
            "user_id": str(self.member.user.id),
            "session_id": self.session_id,
            "deaf": self.member.deaf,
            "mute": self.member.mute,
            "self_deaf": self.self_deaf,
            "self_mute": self.self_mute,
            "self_video": False,
            "suppress": False,
            "request_to_speak_timestamp": None,
        }
        if member:
            data["member"] = self.member.payload()
            data["guild_id"] = str(guild.id) if guild else None
        return data
