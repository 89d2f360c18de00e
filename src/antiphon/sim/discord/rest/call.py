"""One request to a route, as its handler sees it, and what a handler may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from antiphon.sim.discord.errors import Form, refused, unauthorized
from antiphon.sim.discord.rules.uploads import Upload
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import Application, User
from antiphon.sim.discord.world.world import World


@dataclass(slots=True)
class Call:
    world: World
    parameters: dict[str, str]
    query: Mapping[str, str]
    json: Any
    uploads: list[Upload]
    application: Application | None
    """None on routes that carry a token of their own."""
    headers: Mapping[str, str]
    after: list[Callable[[], None]] = field(default_factory=list)
    """Called once the answer is on its way."""

    @property
    def bot(self) -> Application:
        """Whose token was sent. Raises 401 when there was none."""
        if self.application is None:
            raise unauthorized()
        return self.application

    @property
    def actor(self) -> User:
        return self.bot.user

    @property
    def body(self) -> dict[str, Any]:
        """Raises 50109 when the request carries no JSON object."""
        if not isinstance(self.json, dict):
            raise refused(400, 50109, "The request body contains invalid JSON.")
        return self.json

    @property
    def reason(self) -> str | None:
        """Source: docs, Audit Log, "Reason": URL-encoded, 1 to 512 characters."""
        text = unquote(self.headers.get("X-Audit-Log-Reason", "")) or None
        if text is not None and len(text) > 512:
            form = Form()
            form.text("reason", text, most=512)
            form.check()
        return text

    def id(self, name: str) -> int:
        """A number of the path. Anything else is not a snowflake (50035)."""
        form = Form()
        number = form.snowflake(name, self.parameters[name])
        form.check()
        return number or 0

    def user_id(self, name: str = "user_id") -> int:
        """Also `@me`."""
        return self.actor.id if self.parameters[name] == "@me" else self.id(name)

    def guild(self) -> Guild:
        return self.world.guild(self.id("guild_id"), self.actor)

    def channel(self) -> Channel:
        return self.world.channel(self.id("channel_id"), self.actor)

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A number of the query."""
        form = Form()
        number = form.number(name, self.query.get(name), least=least, most=most)
        form.check()
        return default if number is None else number


@dataclass(slots=True)
class Reply:
    """A status with a body; None means 204."""

    body: Any = None
    status: int = 200


Handler = Callable[[Call], Any]
"""Answers a `Reply`, or just its body; None is 204."""


@dataclass(slots=True, frozen=True)
class Route:
    method: str
    template: str
    """As the docs write it, with `{names}`."""
    handler: Handler
    public: bool = False
    """Carries its own token, or needs none."""
    interaction: bool = False
    """Not bound to the global limit. Source: docs, Receiving and Responding, "Endpoints"."""

    @property
    def key(self) -> str:
        """`METHOD /path/{}` as `limits` names it."""
        parts = ("{}" if part.startswith("{") else part for part in self.template.split("/"))
        return f"{self.method} {'/'.join(parts)}"


MAJOR = ("channel_id", "guild_id", "webhook_id")
"""Source: docs, Rate Limits: buckets of a route are apart for these (webhooks with their token)."""


class Router:
    """Finds a route by its path: one step per segment."""

    def __init__(self, routes: list[Route]) -> None:
        self._tree: dict[str, Any] = {}
        for route in routes:
            node = self._tree
            for part in route.template.strip("/").split("/"):
                node = node.setdefault("{}" if part.startswith("{") else part, {})
            node.setdefault("", {})[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | set[str]:
        """The route with its parameters, or the methods that the path does have (none: 404)."""
        parts = path.strip("/").split("/")
        node = self._walk(self._tree, parts)
        if node is None:
            return set()
        route: Route | None = node[""].get(method)
        if route is None:
            return set(node[""])
        names = route.template.strip("/").split("/")
        values = {name[1:-1]: unquote(part) for name, part in zip(names, parts, strict=True) if name.startswith("{")}
        return route, values

    def _walk(self, node: dict[str, Any], parts: list[str]) -> dict[str, Any] | None:
        if not parts:
            return node if "" in node else None
        for name in (parts[0], "{}"):
            if name in node and (found := self._walk(node[name], parts[1:])) is not None:
                return found
        return None
