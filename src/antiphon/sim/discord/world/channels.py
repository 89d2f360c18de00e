"""Channels of every kind: text, voice, forum, category, threads, direct messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from antiphon.sim.discord.world.messages import Message

if TYPE_CHECKING:
    from antiphon.sim.discord.world.guilds import Guild
    from antiphon.sim.discord.world.users import User

TEXT, DM, VOICE, GROUP_DM, CATEGORY, ANNOUNCEMENT = 0, 1, 2, 3, 4, 5
ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD, STAGE, FORUM, MEDIA = 10, 11, 12, 13, 15, 16
"""Source: docs, Channel, "Channel Types"."""
THREADS = frozenset({ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD})
TALKABLE = frozenset({TEXT, DM, VOICE, GROUP_DM, ANNOUNCEMENT, STAGE}) | THREADS
"""Kinds that hold messages."""


@dataclass(slots=True)
class Overwrite:
    """Source: docs, Channel, "Overwrite Object": type 0 is a role, 1 a member."""

    id: int
    type: int
    allow: int = 0
    deny: int = 0

    def payload(self) -> dict[str, Any]:
        return {"id": str(self.id), "type": self.type, "allow": str(self.allow), "deny": str(self.deny)}


@dataclass(slots=True, eq=False)
class Channel:
    """Source: docs, Channel, "Channel Object", "Thread Metadata Object", "Forum Tag Object"."""

    id: int
    type: int
    name: str = ""
    guild: Guild | None = None
    topic: str | None = None
    position: int = 0
    parent: Channel | None = None
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    nsfw: bool = False
    slowmode: int = 0
    thread_slowmode: int = 0
    bitrate: int = 64000
    user_limit: int = 0
    flags: int = 0
    tags: list[dict[str, Any]] = field(default_factory=list)
    auto_archive: int = 4320
    recipients: dict[int, User] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    last_message_id: int | None = None
    pins: dict[int, str] = field(default_factory=dict)
    """Message to the time it was pinned."""
    spoke: dict[int, float] = field(default_factory=dict)
    """Last message of each user, for slow mode."""
    nonces: dict[tuple[int, str], tuple[int, float]] = field(default_factory=dict)
    """Author and nonce to message and time."""
    # Threads
    owner_id: int | None = None
    archived: bool = False
    locked: bool = False
    invitable: bool = True
    archived_at: str = ""
    created: str = ""
    message_count: int = 0
    total_sent: int = 0
    thread_members: dict[int, str] = field(default_factory=dict)
    """User to the time of joining."""
    applied_tags: list[int] = field(default_factory=list)

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS

    def payload(self, *, guild: bool = True, viewer: int | None = None) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": str(self.id),
            "type": self.type,
            "last_message_id": None if self.last_message_id is None else str(self.last_message_id),
            "flags": self.flags,
        }
        if self.guild is None:
            data["recipients"] = [user.payload() for user in self.recipients.values() if user.id != viewer]
            return data
        if guild or self.is_thread:
            data["guild_id"] = str(self.guild.id)
        data |= {
            "name": self.name,
            "parent_id": None if self.parent is None else str(self.parent.id),
            "rate_limit_per_user": self.slowmode,
        }
        if self.is_thread:
            return data | self._thread_payload(viewer)
        data |= {
            "position": self.position,
            "topic": self.topic,
            "nsfw": self.nsfw,
            "permission_overwrites": [overwrite.payload() for overwrite in self.overwrites.values()],
        }
        if self.type in (VOICE, STAGE):
            data |= {"bitrate": self.bitrate, "user_limit": self.user_limit, "rtc_region": None}
        elif self.type != CATEGORY:
            data |= {
                "default_auto_archive_duration": self.auto_archive,
                "default_thread_rate_limit_per_user": self.thread_slowmode,
            }
        if self.type in (FORUM, MEDIA):
            data |= {
                "available_tags": self.tags,
                "default_reaction_emoji": None,
                "default_sort_order": None,
                "default_forum_layout": 0,
            }
        return data

    def _thread_payload(self, viewer: int | None) -> dict[str, Any]:
        data: dict[str, Any] = {
            "owner_id": str(self.owner_id),
            "message_count": self.message_count,
            "total_message_sent": self.total_sent,
            "member_count": min(len(self.thread_members), 50),
            "thread_metadata": {
                "archived": self.archived,
                "auto_archive_duration": self.auto_archive,
                "archive_timestamp": self.archived_at,
                "locked": self.locked,
                "create_timestamp": self.created,
                **({"invitable": self.invitable} if self.type == PRIVATE_THREAD else {}),
            },
            "applied_tags": [str(tag) for tag in self.applied_tags],
        }
        if viewer is not None and viewer in self.thread_members:
            data["member"] = self.thread_member_payload(viewer)
        return data

    def thread_member_payload(self, user_id: int) -> dict[str, Any]:
        """Source: docs, Channel, "Thread Member Object"."""
        return {
            "id": str(self.id),
            "user_id": str(user_id),
            "join_timestamp": self.thread_members[user_id],
            "flags": 1,
        }
