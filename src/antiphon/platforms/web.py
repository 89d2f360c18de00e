"""The web platform: the console's conversations (`web:`) and the API's own channels (`api:`).

Text comes in through the API's message route. Delivering means telling the open pages: the message itself is already
stored, so a page that hears nothing finds it in the list, and one that hears it twice knows it by its id.
"""

from __future__ import annotations

from datetime import timedelta

from antiphon.domain.events import Bus, turn_topic
from antiphon.domain.identity import PeopleStore, Requester, Role
from antiphon.domain.platforms import PlatformLimits
from antiphon.domain.replies import Delivery

PERMISSION_ROLES = {"operator": Role.OPERATOR, "owner": Role.OWNER}


class WebPlatform:
    """Implements `domain.platforms.Platform` over the bus."""

    name = "web"
    limits = PlatformLimits(text=1_000_000, nonce_window=timedelta.max)
    """Repeating a `reply` event is harmless, for ever: listeners know it by its id."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def send(self, delivery: Delivery) -> str:
        """Publish the reply to whoever listens to the channel."""
        await self._bus.publish(
            turn_topic(delivery.channel),
            "reply",
            {
                "task": str(delivery.task),
                "turn": f"{delivery.task}.{delivery.turn_attempt}",
                "attempt": delivery.turn_attempt,
                "reply": str(delivery.reply),
                "message": str(delivery.message) if delivery.message is not None else None,
                "kind": str(delivery.kind),
                "text": delivery.text,
            },
        )
        return f"web-{delivery.reply}"

    async def edit(self, delivery: Delivery) -> None:
        """Publish it again; listeners replace what they have under the same id."""
        await self.send(delivery)

    async def find(self, delivery: Delivery) -> str | None:
        """Nobody remembers what was published: send it again."""
        return None

    async def working(self, channel: str) -> None:
        """Pages show it by the turn's events."""


class WebAuthority:
    """Implements `domain.identity.Authority` for the web: the role of the person's console user counts."""

    def __init__(self, people: PeopleStore) -> None:
        self._people = people

    async def holds(self, requester: Requester, permission: str) -> bool:
        """Everybody holds "everyone"; "operator" and "owner" need that role or a higher one; unknown words nobody."""
        if permission == "everyone":
            return True
        needed = PERMISSION_ROLES.get(permission)
        if needed is None:
            return False
        role = await self._people.role(requester.person)
        return bool(role) and Role(role).rank >= needed.rank
