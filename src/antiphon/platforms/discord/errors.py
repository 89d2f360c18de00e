"""What Discord's API answers when it does not do what was asked, as one exception, and what it means for a reply."""

from __future__ import annotations

from antiphon.domain.errors import DeliveryError, DeliveryRetry, Unavailable

UNKNOWN_CHANNEL, UNKNOWN_MESSAGE = 10003, 10008
MISSING_ACCESS, CANNOT_DM, MISSING_PERMISSIONS = 50001, 50007, 50013
THREAD_EXISTS, BLOCKED_BY_AUTOMOD = 160004, 200000

_REASONS = {
    UNKNOWN_CHANNEL: "the channel is gone",
    UNKNOWN_MESSAGE: "the message is gone",
    MISSING_ACCESS: "the bot may not see the channel",
    CANNOT_DM: "this person takes no direct messages from the bot",
    MISSING_PERMISSIONS: "the bot lacks a permission in the channel",
    BLOCKED_BY_AUTOMOD: "the server's auto-moderation blocked it",
    160005: "the thread is locked",
    50024: "this kind of channel takes no messages",
    50035: "Discord does not take it as it is",
    40005: "it is too large for Discord",
}


class DiscordRefused(Exception):
    """Discord answered with an error that asking again does not change. `code` is Discord's, 0 without one."""

    def __init__(self, status: int, code: int, route: str) -> None:
        super().__init__(f"{route} was answered with {status} (code {code})")
        self.status = status
        self.code = code

    @property
    def reason(self) -> str:
        """In words for people."""
        return _REASONS.get(self.code, f"Discord refused it ({self.status}, code {self.code})")


class TokenRefused(DiscordRefused):
    """The token is unknown or was reset."""


class GatewayRefused(Exception):
    """The gateway ended the connection with a code after which asking again changes nothing."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the gateway closed with {code}")
        self.code = code

    @property
    def words(self) -> tuple[str, str]:
        """What is wrong, and what an operator can do."""
        problem, remedy = REFUSALS[self.code]
        return f"{problem} (close code {self.code}).", remedy


REFUSALS = {
    4010: ("Discord does not know such a shard", "set discord.shards to 0: as many as Discord proposes"),
    4011: ("Discord wants more shards for so many servers", "set discord.shards to 0: as many as Discord proposes"),
    4012: ("Discord serves this version of its gateway no longer", "update Antiphon"),
    4013: ("Discord does not know an intent that was asked for", "update Antiphon"),
}
"""Close codes of the gateway that are not about the token or its privileged intents."""


class DiscordAway(Unavailable):
    """Discord did not answer, asked to wait longer than the caller wanted to, or failed.

    `maybe_done` says that what was asked for may have happened all the same; `retry_after` is in seconds.
    """

    code = "discord_away"

    def __init__(self, message: str, *, retry_after: float | None = None, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.maybe_done = maybe_done


def as_delivery_error(error: DiscordRefused | DiscordAway) -> DeliveryError | DeliveryRetry:
    """What an answer of Discord means for a reply that was to be delivered."""
    if isinstance(error, DiscordAway):
        return DeliveryRetry(error.message, retry_after=error.retry_after, maybe_sent=error.maybe_done)
    if isinstance(error, TokenRefused):
        return DeliveryRetry("Discord refuses the bot's token", retry_after=30.0)
    return DeliveryError(f"Not delivered: {error.reason}.")
