"""Discord's ids: snowflakes, which hold a time, and the channel keys made of them."""

from __future__ import annotations

from datetime import UTC, datetime

PLATFORM = "discord"
EPOCH_MS = 1_420_070_400_000
"""The first moment of 2015, from which snowflakes count."""
_PREFIX = "discord:"
MESSAGE_CHARS = 2000
"""The longest text of one message."""


def channel_key(channel_id: str) -> str:
    """Our key of a Discord channel, thread or direct conversation."""
    return f"{_PREFIX}{channel_id}"


def channel_id(key: str) -> str:
    """Discord's id of a channel key."""
    return key.removeprefix(_PREFIX)


def time_of(snowflake: str) -> datetime:
    """When the thing with this id was made."""
    return datetime.fromtimestamp(((int(snowflake) >> 22) + EPOCH_MS) / 1000, UTC)


def snowflake_at(moment: datetime) -> str:
    """The least id of things made at `moment`: a position to read a channel from."""
    return str(max(0, int(moment.timestamp() * 1000) - EPOCH_MS) << 22)


def is_snowflake(value: object) -> bool:
    """Whether a value is an id as Discord writes them."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20
