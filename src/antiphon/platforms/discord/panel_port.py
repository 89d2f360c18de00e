"""What the dashboards need of Discord, over its REST API: `panels.PanelPort`. Made by `assembly`.

Which servers want panels is said by the setting `discord.log_channel` and by what each server set for itself. The Logs
panel tells of the whole program, so it is posted only where the operator's own setting leads: into the server whose
channel is named by its id, or into the only server there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from antiphon.domain.errors import StoreUnavailable
from antiphon.domain.platforms import PlatformStore
from antiphon.platforms.discord import rest
from antiphon.platforms.discord.delivery import NO_MENTIONS
from antiphon.platforms.discord.errors import UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, DiscordAway, DiscordRefused
from antiphon.platforms.discord.panel_embeds import Drawn, panel_of
from antiphon.platforms.discord.panels import PanelPlace, PanelsAway, PanelsGone, PanelsRefused
from antiphon.platforms.discord.permissions import PERMISSIONS
from antiphon.platforms.discord.reading import Json

_TEXT = 0
_READ_BACK = 100
_PATIENCE = 2.0
"""Seconds an edit waits for its turn; a later one shows more."""
_TOPIC = "Antiphon's dashboards. The bot keeps these messages up to date."
_OWN = ("view_channel", "send_messages", "embed_links", "read_message_history")


class Guild(Protocol):
    """A server as the library knows it."""

    @property
    def id(self) -> int:
        """Its id."""
        ...

    def get_channel(self, channel_id: int, /) -> object | None:
        """A channel of it."""
        ...


class Connected(Protocol):
    """The gateway's client."""

    @property
    def guilds(self) -> Sequence[Guild]:
        """The servers it is in."""
        ...

    @property
    def whole(self) -> bool:
        """Whether these are all servers of the bot."""
        ...

    def is_ready(self) -> bool:
        """Whether the servers are known."""
        ...


class RestPanelPort:
    """Implements `panels.PanelPort`. `client` gives the connected client, or None."""

    def __init__(
        self, api: rest.DiscordRest, store: PlatformStore, client: Callable[[], Connected | None], log_channel: str
    ) -> None:
        self._api = api
        self._store = store
        self._client = client
        self._log_channel = log_channel

    async def places(self) -> Sequence[PanelPlace] | None:
        """The servers that want panels; None while that is not known."""
        client = self._client()
        if client is None or not client.is_ready() or not client.guilds:
            return None
        found: list[PanelPlace] = []
        for guild in list(client.guilds):
            server = str(guild.id)
            try:
                own = (await self._store.discord_of(server)).log_channel
            except StoreUnavailable:
                return None
            wanted = own or self._log_channel
            by_id = wanted.isdigit()
            if not wanted or (by_id and guild.get_channel(int(wanted)) is None):
                continue
            found.append(
                PanelPlace(server, wanted, logs=not own and (by_id or (client.whole and len(client.guilds) == 1)))
            )
        return found

    async def channel(self, place: PanelPlace) -> str:
        """The channel that is named, or a new one that only the bot and the server's administrators see."""
        if place.channel.isdigit():
            there: Json = await self._call(rest.CHANNEL, channel=place.channel)
            if str(there.get("guild_id")) != place.server:
                raise PanelsRefused("the log channel belongs to another server")
            return place.channel
        name = place.channel.lower().replace(" ", "-")
        for one in cast("list[Json]", await self._call(rest.CHANNELS, guild=place.server)):
            if one.get("type") == _TEXT and one.get("name") == name:
                return str(one["id"])
        me = str((await self._call_me())["id"])
        allowed = str(sum(PERMISSIONS[permission] for permission in _OWN))
        made: Json = await self._call(
            rest.MAKE_CHANNEL,
            body={
                "name": name,
                "type": _TEXT,
                "topic": _TOPIC,
                "permission_overwrites": [
                    {"id": place.server, "type": 0, "allow": "0", "deny": str(PERMISSIONS["view_channel"])},
                    {"id": me, "type": 1, "allow": allowed, "deny": "0"},
                ],
            },
            reason="the dashboards of the bot",
            guild=place.server,
        )
        return str(made["id"])

    async def own_panels(self, channel: str) -> Sequence[tuple[str, str]]:
        """Our own panels among the last messages."""
        me = str((await self._call_me())["id"])
        messages = cast(
            "list[Json]", await self._call(rest.MESSAGES, query={"limit": str(_READ_BACK)}, channel=channel)
        )
        found: list[tuple[str, str]] = []
        for message in messages:
            embeds = message.get("embeds") or []
            footer = str(((embeds[0] if embeds else {}).get("footer") or {}).get("text") or "")
            if str((message.get("author") or {}).get("id")) == me and (name := panel_of(footer)):
                found.append((name, str(message["id"])))
        return found

    async def post(self, channel: str, drawn: Drawn) -> str:
        """A new message without a sound."""
        body = {**_body(drawn), "flags": 1 << 12}
        message: Json = await self._call(rest.SEND, body=body, channel=channel)
        return str(message["id"])

    async def edit(self, channel: str, message: str, drawn: Drawn) -> None:
        """Change a message of ours."""
        await self._call(rest.EDIT, body=_body(drawn), patience=_PATIENCE, channel=channel, message=message)

    async def delete(self, channel: str, message: str) -> None:
        """Delete a message of ours; one that is gone already is fine."""
        try:
            await self._call(rest.DELETE, channel=channel, message=message)
        except PanelsGone:
            return

    async def _call_me(self) -> Json:
        try:
            return await self._api.me()
        except (DiscordRefused, DiscordAway) as error:
            raise _as_ours(error) from error

    async def _call(self, route: rest.Route, **arguments: Any) -> Any:
        try:
            return await self._api.call(route, **arguments)
        except (DiscordRefused, DiscordAway) as error:
            raise _as_ours(error) from error


def _as_ours(error: DiscordRefused | DiscordAway) -> Exception:
    if isinstance(error, DiscordAway):
        return PanelsAway(error.message)
    if error.code in (UNKNOWN_CHANNEL, UNKNOWN_MESSAGE):
        return PanelsGone(error.reason)
    return PanelsRefused(error.reason)


def _body(drawn: Drawn) -> Json:
    return {"embeds": [drawn.embed], "components": list(drawn.components), "allowed_mentions": NO_MENTIONS}
