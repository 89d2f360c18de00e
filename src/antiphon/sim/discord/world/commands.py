"""Application commands and the interactions that people start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.sim.discord.world.channels import Channel
    from antiphon.sim.discord.world.messages import Message
    from antiphon.sim.discord.world.users import Application, User

PING, COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 1, 2, 3, 4, 5
"""Source: docs, Receiving and Responding, "Interaction Type"."""


@dataclass(slots=True, eq=False)
class Command:
    """Source: docs, Application Commands, "Application Command Object"."""

    id: int
    application_id: int
    guild_id: int | None
    version: int
    body: dict[str, Any]

    @property
    def name(self) -> str:
        return self.body["name"]

    @property
    def type(self) -> int:
        return self.body.get("type", 1)

    def payload(self) -> dict[str, Any]:
        body = self.body
        data: dict[str, Any] = {
            "id": str(self.id),
            "type": self.type,
            "application_id": str(self.application_id),
            "name": body["name"],
            "name_localizations": body.get("name_localizations"),
            "description": body.get("description", ""),
            "description_localizations": body.get("description_localizations"),
            "options": body.get("options", []),
            "default_member_permissions": body.get("default_member_permissions"),
            "nsfw": bool(body.get("nsfw", False)),
            "version": str(self.version),
            "integration_types": body.get("integration_types") or [0],
            "contexts": body.get("contexts"),
            "dm_permission": body.get("dm_permission", True),
        }
        if self.guild_id is not None:
            data["guild_id"] = str(self.guild_id)
        return data


@dataclass(slots=True, eq=False)
class Interaction:
    """One interaction, what its application answered, and when.

    Source: docs, Receiving and Responding, "Interaction Object".
    """

    id: int
    token: str
    type: int
    application: Application
    user: User
    channel: Channel
    data: dict[str, Any]
    created: float
    message: Message | None = None
    """The message whose component was used."""
    acknowledged: float | None = None
    response_type: int | None = None
    response: dict[str, Any] | None = None
    """The body of the answer: choices of an autocompletion, a modal."""
    original: Message | None = None
    """The message made or edited by the initial answer."""
    followups: list[Message] = field(default_factory=list)
    waiting: bool = False
    """Whether `original` still shows "thinking"."""
    first_ephemeral: bool = False

    def metadata(self) -> dict[str, Any]:
        """Source: docs, Message, "Message Interaction Metadata Structure"."""
        return {
            "id": str(self.id),
            "type": self.type,
            "user": self.user.payload(),
            "authorizing_integration_owners": {"0": str(self.channel.guild.id if self.channel.guild else 0)},
        }
