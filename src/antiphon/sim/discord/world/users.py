"""Users and the applications that bots belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.sim.discord.world.commands import Command

PRESENCE_LIMITED, MEMBERS_LIMITED, CONTENT_LIMITED = 1 << 13, 1 << 15, 1 << 19
"""Application flags: the privileged intents that an unverified application has switched on.

Source: docs, Application, "Application Flags".
"""


@dataclass(slots=True, eq=False)
class User:
    """Source: docs, User, "User Object"."""

    id: int
    name: str
    bot: bool = False
    global_name: str | None = None
    avatar: str | None = None
    presence: dict[str, Any] | None = None
    dms_closed: bool = False
    """Whether direct messages from bots are refused (50007)."""

    def payload(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "username": self.name,
            "discriminator": "0",
            "global_name": self.global_name,
            "avatar": self.avatar,
            "avatar_decoration_data": None,
            "collectibles": None,
            "primary_guild": None,
            "public_flags": 0,
            "bot": self.bot,
            "system": False,
        }

    def own_payload(self) -> dict[str, Any]:
        """What `GET /users/@me` adds."""
        return {
            **self.payload(),
            "flags": 0,
            "mfa_enabled": False,
            "verified": True,
            "email": None,
            "locale": "en-US",
            "banner": None,
            "accent_color": None,
        }


@dataclass(slots=True, eq=False)
class Application:
    """One application with its bot user. Id of both is the same, as for every application made since 2016.

    Source: docs, Application, "Application Object".
    """

    user: User
    token: str
    owner: User
    flags: int = PRESENCE_LIMITED | MEMBERS_LIMITED | CONTENT_LIMITED
    description: str = ""
    commands: dict[int, Command] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    """Times at which sessions were started."""
    identified: dict[int, float] = field(default_factory=dict)
    """Last identify of each `max_concurrency` bucket."""

    @property
    def id(self) -> int:
        return self.user.id

    def payload(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "name": self.user.global_name or self.user.name,
            "description": self.description,
            "icon": None,
            "bot_public": False,
            "bot_require_code_grant": False,
            "verify_key": f"{self.id:064x}",
            "flags": self.flags,
            "owner": self.owner.payload(),
            "team": None,
            "bot": self.user.payload(),
            "tags": [],
            "rpc_origins": [],
            "redirect_uris": [],
            "hook": True,
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "approximate_guild_count": 0,
            "approximate_user_install_count": 0,
            "integration_types_config": {"0": {"oauth2_install_params": None}},
        }
