"""Settings of the bot on Discord. Servers may have a prefix, names and channels of their own (`ServerDiscord`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from antiphon.config.values import Part, UserPath, WebUrl
from antiphon.domain.platforms import check_ids, check_names, check_prefix


class DiscordSettings(Part):
    """The bot on Discord. With a token, `antiphon up` and `antiphon discord` connect it."""

    token: SecretStr = Field(default=SecretStr(""), description="Token of the bot, from Discord's developer portal.")
    api_url: WebUrl = Field(
        default="https://discord.com/api/v10", description="Address of Discord's REST API; another one for tests."
    )
    ca_file: UserPath | None = Field(
        default=None,
        description="PEM file with the certificate authority that is trusted for Discord instead of the system's: "
        "that of the simulator.",
    )
    loopback: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of a simulated Discord on this machine: every address of Discord leads there, and nothing "
        "else can be reached. 0: the real one.",
    )
    prefix: Annotated[str, AfterValidator(check_prefix)] = Field(
        default="!", description="What messages to the agent and commands may begin with. Servers may have their own."
    )
    names: Annotated[tuple[str, ...], AfterValidator(check_names)] = Field(
        default=(),
        description="Names the agent is called by at the beginning of a message, beside the bot's own: dex, antiphon.",
    )
    channels: Annotated[tuple[str, ...], AfterValidator(check_ids)] = Field(
        default=(),
        description="Ids of channels in which every message is for the agent; a forum's or category's id counts for "
        "all that is in it.",
    )
    allowed_bots: Annotated[tuple[str, ...], AfterValidator(check_ids)] = Field(
        default=(), description="Ids of other bots that may talk to the agent. All others are ignored."
    )
    log_channel: str = Field(
        default="",
        max_length=100,
        description="Channel for the dashboards, by id or by name; made when there is none. Empty: no dashboards.",
    )
    threads: bool = Field(
        default=False, description="Whether the agent answers in a Discord thread of its own for each conversation."
    )
    backfill_hours: float = Field(
        default=24.0,
        ge=0,
        le=720,
        description="How far back messages are looked for that came while the bot was away. 0: they are not.",
    )
    shards: int = Field(default=0, ge=0, le=16384, description="Shards of the gateway. 0: as many as Discord proposes.")
    shards_per_process: int = Field(
        default=0, ge=0, le=16384, description="Shards that one process takes at most. 0: all that are free."
    )
    lease_seconds: float = Field(
        default=20.0,
        ge=1.0,
        le=600,
        description="Seconds after which another process takes over the shards of one that died.",
    )
