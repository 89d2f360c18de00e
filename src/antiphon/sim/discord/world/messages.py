"""Messages, their attachments and reactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.users import User

SUPPRESS_EMBEDS, EPHEMERAL, LOADING, SILENT = 1 << 2, 1 << 6, 1 << 7, 1 << 12
HAS_THREAD, VOICE_MESSAGE, COMPONENTS_V2, CROSSPOSTED = 1 << 5, 1 << 13, 1 << 15, 1 << 0
"""Source: docs, Message, "Message Flags"."""
DEFAULT, REPLY, COMMAND_REPLY, PIN_NOTICE, JOIN_NOTICE, THREAD_NOTICE, THREAD_STARTER = 0, 19, 20, 6, 7, 18, 21
"""Source: docs, Message, "Message Types"."""


@dataclass(slots=True, eq=False)
class Attachment:
    """Source: docs, Message, "Attachment Object"."""

    id: int
    filename: str
    content: bytes
    content_type: str
    url: str
    description: str | None = None
    duration: float | None = None
    waveform: str | None = None
    size_of: tuple[int, int] | None = None

    def payload(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.content),
            "url": self.url,
            "proxy_url": self.url.replace("cdn.discordapp.com", "media.discordapp.net", 1),
            "content_type": self.content_type,
        }
        if self.description is not None:
            data["description"] = self.description
        if self.waveform is not None:
            data |= {"duration_secs": self.duration, "waveform": self.waveform}
        if self.size_of is not None:
            data |= {"width": self.size_of[0], "height": self.size_of[1]}
        return data


@dataclass(slots=True, eq=False)
class Reaction:
    emoji: dict[str, Any]
    users: dict[int, User] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Message:
    """Source: docs, Message, "Message Object"; Gateway Events, "Message Create" (extra fields)."""

    id: int
    channel: Channel
    author: User
    content: str
    timestamp: str
    edited: str | None = None
    type: int = DEFAULT
    flags: int = 0
    tts: bool = False
    mention_everyone: bool = False
    mentions: list[User] = field(default_factory=list)
    mention_roles: list[int] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    embeds: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    stickers: list[dict[str, Any]] = field(default_factory=list)
    reactions: dict[str, Reaction] = field(default_factory=dict)
    poll: dict[str, Any] | None = None
    votes: dict[int, dict[int, User]] = field(default_factory=dict)
    nonce: str | int | None = None
    reference: dict[str, Any] | None = None
    referenced: Message | None = None
    referenced_deleted: bool = False
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    interaction: dict[str, Any] | None = None
    application_id: int | None = None
    webhook_id: int | None = None
    webhook_author: dict[str, Any] | None = None
    visible_to: int | None = None
    """The only user who sees an ephemeral message; it is not stored in the channel."""
    thread: Channel | None = None

    def payload(self, *, viewer: int | None = None, deep: bool = True) -> dict[str, Any]:
        """What an endpoint answers. `deep` includes the message that is replied to."""
        data: dict[str, Any] = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "author": self.webhook_author or self.author.payload(),
            "content": self.content,
            "timestamp": self.timestamp,
            "edited_timestamp": self.edited,
            "tts": self.tts,
            "mention_everyone": self.mention_everyone,
            "mentions": [user.payload() for user in self.mentions],
            "mention_roles": [str(role) for role in self.mention_roles],
            "attachments": [attachment.payload() for attachment in self.attachments],
            "embeds": self.embeds,
            "components": self.components,
            "pinned": self.id in self.channel.pins,
            "type": self.type,
            "flags": self.flags,
        }
        if self.reactions:
            data["reactions"] = [_reaction(one, viewer) for one in self.reactions.values()]
        if self.stickers:
            data["sticker_items"] = self.stickers
        if self.nonce is not None:
            data["nonce"] = self.nonce
        if self.webhook_id is not None:
            data["webhook_id"] = str(self.webhook_id)
        if self.application_id is not None:
            data["application_id"] = str(self.application_id)
        if self.interaction is not None:
            data["interaction_metadata"] = self.interaction
        if self.poll is not None:
            data["poll"] = self._poll_payload(self.poll, viewer)
        if self.reference is not None:
            data["message_reference"] = self.reference
        if self.snapshots:
            data["message_snapshots"] = self.snapshots
        if self.type in (REPLY, THREAD_STARTER) and deep:
            gone = self.referenced is None or self.referenced_deleted
            data["referenced_message"] = (
                None if gone or self.referenced is None else self.referenced.payload(deep=False)
            )
        if self.thread is not None:
            data["thread"] = self.thread.payload()
        return data

    def event_payload(self) -> dict[str, Any]:
        """What MESSAGE_CREATE and MESSAGE_UPDATE carry: also guild and member."""
        data = self.payload()
        data["channel_type"] = self.channel.type
        guild = self.channel.guild
        if guild is not None:
            data["guild_id"] = str(guild.id)
            member = guild.members.get(self.author.id)
            if member is not None and self.webhook_id is None:
                data["member"] = member.payload(user=False)
            for mentioned in data["mentions"]:
                if known := guild.members.get(int(mentioned["id"])):
                    mentioned["member"] = known.payload(user=False)
        return data

    def _poll_payload(self, poll: dict[str, Any], viewer: int | None) -> dict[str, Any]:
        finished = bool(poll.get("_finished"))
        counts = [
            {"id": answer, "count": len(voters), "me_voted": viewer in voters} for answer, voters in self.votes.items()
        ]
        shown = {key: value for key, value in poll.items() if not key.startswith("_")}
        return {**shown, "results": {"is_finalized": finished, "answer_counts": counts}}


def _reaction(reaction: Reaction, viewer: int | None) -> dict[str, Any]:
    """Source: docs, Message, "Reaction Object"."""
    count = len(reaction.users)
    return {
        "emoji": reaction.emoji,
        "count": count,
        "count_details": {"burst": 0, "normal": count},
        "me": viewer in reaction.users,
        "me_burst": False,
        "burst_colors": [],
    }


def without_content(payload: dict[str, Any]) -> dict[str, Any]:
    """What is left for applications without the message content intent.

    Source: docs, Gateway, "Message Content Intent": content, embeds, attachments, components empty, poll omitted.
    """
    stripped = {**payload, "content": "", "embeds": [], "attachments": [], "components": []}
    stripped.pop("poll", None)
    stripped.pop("message_snapshots", None)
    if stripped.get("referenced_message"):
        stripped["referenced_message"] = without_content(stripped["referenced_message"])
    return stripped
