"""Guilds, their roles and members."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from antiphon.sim.discord.clock import iso
from antiphon.sim.discord.permissions import EVERYONE
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.voice import VoiceState


@dataclass(slots=True, eq=False)
class Role:
    """Source: docs, Permissions, "Role Object"."""

    id: int
    name: str
    permissions: int = 0
    position: int = 0
    color: int = 0
    hoist: bool = False
    mentionable: bool = False
    managed: bool = False
    bot_id: int | None = None

    def payload(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": str(self.id),
            "name": self.name,
            "color": self.color,
            "colors": {"primary_color": self.color, "secondary_color": None, "tertiary_color": None},
            "hoist": self.hoist,
            "icon": None,
            "unicode_emoji": None,
            "position": self.position,
            "permissions": str(int(self.permissions)),
            "managed": self.managed,
            "mentionable": self.mentionable,
            "flags": 0,
        }
        if self.bot_id is not None:
            data["tags"] = {"bot_id": str(self.bot_id)}
        return data


@dataclass(slots=True, eq=False)
class Member:
    """Source: docs, Guild, "Guild Member Object"."""

    user: User
    joined_at: str
    roles: list[int] = field(default_factory=list)
    nick: str | None = None
    deaf: bool = False
    mute: bool = False
    timeout_until: datetime | None = None
    flags: int = 0

    def timed_out(self, now: float) -> bool:
        return self.timeout_until is not None and self.timeout_until.timestamp() > now

    def payload(self, *, user: bool = True) -> dict[str, Any]:
        data: dict[str, Any] = {
            "roles": [str(role) for role in self.roles],
            "nick": self.nick,
            "avatar": None,
            "banner": None,
            "joined_at": self.joined_at,
            "premium_since": None,
            "deaf": self.deaf,
            "mute": self.mute,
            "pending": False,
            "flags": self.flags,
            "communication_disabled_until": iso(self.timeout_until) if self.timeout_until else None,
        }
        if user:
            data["user"] = self.user.payload()
        return data


@dataclass(slots=True, eq=False)
class Guild:
    """Source: docs, Guild, "Guild Object"; Gateway Events, "Guild Create Extra Fields"."""

    id: int
    name: str
    owner_id: int
    created: str
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    threads: dict[int, Channel] = field(default_factory=dict)
    bans: dict[int, tuple[User, str | None]] = field(default_factory=dict)
    voice_states: dict[int, VoiceState] = field(default_factory=dict)
    emojis: dict[int, dict[str, Any]] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)
    commands: dict[int, dict[int, Any]] = field(default_factory=dict)
    """By application, then by command."""
    automod: dict[int, dict[str, Any]] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    boosts: int = 0
    description: str | None = None
    icon: str | None = None
    verification_level: int = 1
    default_message_notifications: int = 1
    explicit_content_filter: int = 2
    afk_channel_id: int | None = None
    afk_timeout: int = 300
    system_channel_id: int | None = None
    rules_channel_id: int | None = None
    preferred_locale: str = "en-US"
    unavailable: bool = False

    def __post_init__(self) -> None:
        self.roles.setdefault(self.id, Role(self.id, "@everyone", int(EVERYONE)))

    @property
    def tier(self) -> int:
        """Source: docs, Guild, "Premium Tier": 2, 7 and 14 boosts."""
        return (self.boosts >= 2) + (self.boosts >= 7) + (self.boosts >= 14)

    def top_position(self, member: Member) -> int:
        return max((self.roles[role].position for role in member.roles), default=0)

    def payload(self) -> dict[str, Any]:
        """As `GET /guilds/{id}` answers."""
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": self.icon,
            "splash": None,
            "discovery_splash": None,
            "banner": None,
            "description": self.description,
            "owner_id": str(self.owner_id),
            "region": "deprecated",
            "afk_channel_id": _id(self.afk_channel_id),
            "afk_timeout": self.afk_timeout,
            "verification_level": self.verification_level,
            "default_message_notifications": self.default_message_notifications,
            "explicit_content_filter": self.explicit_content_filter,
            "roles": [role.payload() for role in self.roles.values()],
            "emojis": list(self.emojis.values()),
            "stickers": [],
            "features": list(self.features),
            "mfa_level": 0,
            "application_id": None,
            "system_channel_id": _id(self.system_channel_id),
            "system_channel_flags": 0,
            "rules_channel_id": _id(self.rules_channel_id),
            "public_updates_channel_id": None,
            "safety_alerts_channel_id": None,
            "max_presences": None,
            "max_members": 500_000,
            "max_video_channel_users": 25,
            "max_stage_video_channel_users": 50,
            "vanity_url_code": None,
            "premium_tier": self.tier,
            "premium_subscription_count": self.boosts,
            "premium_progress_bar_enabled": False,
            "preferred_locale": self.preferred_locale,
            "nsfw_level": 0,
            "incidents_data": None,
        }

    def create_payload(self, viewer: int, threads: list[Channel], *, presences: bool) -> dict[str, Any]:
        """As GUILD_CREATE carries it to one bot.

        Without the presence intent, and for a large guild, `members` holds the bot and whoever is in a voice channel.
        Source: docs, Gateway Events, "Guild Create" (the warning on GUILD_PRESENCES); "Guild Create Extra Fields".
        """
        large = len(self.members) > 250
        if presences and not large:
            members = list(self.members.values())
        elif presences:
            members = [one for one in self.members.values() if one.user.presence or one.user.id == viewer]
        else:
            wanted = [viewer, *self.voice_states]
            members = [self.members[one] for one in dict.fromkeys(wanted) if one in self.members]
        return {
            **self.payload(),
            "joined_at": self.members[viewer].joined_at if viewer in self.members else self.created,
            "large": large,
            "unavailable": False,
            "member_count": len(self.members),
            "voice_states": [state.payload(member=False) for state in self.voice_states.values()],
            "members": [member.payload() for member in members],
            "channels": [channel.payload(guild=False) for channel in self.channels.values()],
            "threads": [thread.payload(viewer=viewer) for thread in threads],
            "presences": [presence_of(one.user) for one in members if one.user.presence] if presences else [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }


def presence_of(user: User) -> dict[str, Any]:
    """Source: docs, Gateway Events, "Presence Update Event Fields"."""
    presence = user.presence or {}
    status = presence.get("status", "offline")
    return {
        "user": {"id": str(user.id)},
        "status": status,
        "activities": presence.get("activities", []),
        "client_status": {"web" if user.bot else "desktop": status} if status != "offline" else {},
    }


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)
