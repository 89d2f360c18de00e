"""Discord's REST API without a gateway: any process with the token can deliver, read and act.

Every request of ours goes through `DiscordRest.call`, which keeps to the rate budget, counts, retries what may be
retried, and turns answers into `DiscordRefused` (asking again changes nothing) or `DiscordAway` (later).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlsplit

import aiohttp
import structlog

from antiphon import __version__
from antiphon.domain.events import DISCORD_API, Bus
from antiphon.platforms.discord.budget import RateBudget
from antiphon.platforms.discord.errors import DiscordAway, DiscordRefused, TokenRefused
from antiphon.telemetry import metrics

log = structlog.stdlib.get_logger(__name__)

PATIENCE = 10.0
"""Seconds a request waits for its turn; what would take longer is for the caller to plan."""
REQUEST_SECONDS = 15.0
FILE_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
"""Where Discord keeps the files of messages."""
_TRIES = 3
_REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that goes with a request."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request. `path` has its ids in braces; the first of channel, guild or webhook has its own limits."""

    method: str
    path: str
    exempt: bool = False
    """Whether the limit of all requests together does not count it (interactions)."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class DiscordRest:
    """One bot's requests. `aclose` it."""

    def __init__(
        self, token: str, api_url: str, *, connector: aiohttp.BaseConnector, budget: RateBudget, bus: Bus | None = None
    ) -> None:
        self._token = token
        self._api_url = api_url.rstrip("/")
        self.budget = budget
        self._bus = bus
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            headers={"User-Agent": f"DiscordBot (https://example.org/antiphon, {__version__})"},
        )
        self._me: Json | None = None

    async def aclose(self) -> None:
        """End every connection."""
        await self._session.close()

    async def me(self) -> Json:
        """The bot's own user; asked once."""
        if self._me is None:
            self._me = cast("Json", await self.call(ME))
        return self._me

    async def call(
        self,
        route: Route,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        files: Sequence[Upload] = (),
        reason: str = "",
        patience: float = PATIENCE,
        **ids: str,
    ) -> Any:
        """Make a request and return what was answered, None for an empty answer.

        Raises `DiscordRefused` (`TokenRefused`) or `DiscordAway`.
        """
        url = self._api_url + route.path.format(**{name: quote(value, safe="@") for name, value in ids.items()})
        major = next((ids[name] for name in ("channel", "guild", "webhook", "interaction") if name in ids), "")
        for attempt in range(1, _TRIES + 1):
            last = attempt == _TRIES or route.method not in _REPEATABLE
            try:
                return await self._once(route, url, major, body, query, files, reason, patience)
            except DiscordAway as error:
                if last or error.retry_after is not None:
                    raise
                await asyncio.sleep(0.25 * 2**attempt)
        raise AssertionError("unreachable")

    async def _once(
        self,
        route: Route,
        url: str,
        major: str,
        body: object,
        query: Mapping[str, str] | None,
        files: Sequence[Upload],
        reason: str,
        patience: float,
    ) -> Any:
        if self._session.closed:
            raise DiscordAway("The bot is being disconnected.", retry_after=1.0)  # settings changed, or it ends
        if self.budget.stopped:
            raise DiscordAway("Discord refused too much lately; the bot pauses.", retry_after=60.0)
        name = str(route)
        if not route.exempt and (wait := await self.budget.take(name, major, patience)):
            raise DiscordAway("Discord's rate limit asks to wait.", retry_after=wait)
        status, headers, answer, asked = 0, cast("Mapping[str, str]", {}), None, True
        try:
            headers_out = {"Authorization": f"Bot {self._token}"}
            if reason:
                headers_out["X-Audit-Log-Reason"] = quote(reason[:512], safe="/ ")
            async with self._session.request(
                route.method, url, params=query, headers=headers_out, **_content(body, files)
            ) as response:
                status, headers = response.status, response.headers
                answer = _read(await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            metrics.DISCORD_CALLS.labels(route=name, status="lost").inc()
            # A connection that was never made has brought nothing there.
            asked = not isinstance(error, aiohttp.ClientConnectorError)
            raise DiscordAway(f"Discord did not answer ({type(error).__name__}).", maybe_done=asked) from error
        finally:
            if not route.exempt:
                if status:
                    self.budget.answered(name, major, status, headers, _retry_after(answer, headers))
                elif asked:
                    self.budget.lost(name, major)
                else:
                    self.budget.unasked(name, major)
        metrics.DISCORD_CALLS.labels(route=name, status=str(status)).inc()
        await self._tell(name, status, headers)
        return self._judge(name, status, headers, answer)

    def _judge(self, route: str, status: int, headers: Mapping[str, str], answer: object) -> Any:
        if status < 300:
            return answer
        code = answer.get("code") if isinstance(answer, dict) else None
        code = code if isinstance(code, int) else 0
        if status == 429:
            log.warning("discord.rate_limited", route=route, scope=headers.get("X-RateLimit-Scope", ""))
            raise DiscordAway("Discord's rate limit asks to wait.", retry_after=_retry_after(answer, headers))
        if status >= 500:
            raise DiscordAway(f"Discord failed ({status}).", maybe_done=True)
        log.info("discord.refused", route=route, status=status, code=code)
        if status == 401:
            raise TokenRefused(status, code, route)
        raise DiscordRefused(status, code, route)

    async def _tell(self, route: str, status: int, headers: Mapping[str, str]) -> None:
        if self._bus is None:
            return
        remaining, limit = headers.get("X-RateLimit-Remaining", ""), headers.get("X-RateLimit-Limit", "")
        reset = headers.get("X-RateLimit-Reset-After", "")
        await self._bus.publish(
            DISCORD_API,
            "call",
            {
                "route": route,
                "status": status,
                "remaining": int(remaining) if remaining.isdigit() else None,
                "limit": int(limit) if limit.isdigit() else None,
                "reset_after": float(reset) if reset.replace(".", "", 1).isdigit() else None,
                "global": "X-RateLimit-Global" in headers,
            },
        )

    async def download(self, url: str, most: int) -> bytes:
        """A file that came with a message, up to `most` bytes. Raises `DiscordRefused` or `DiscordAway`."""
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname not in FILE_HOSTS or parts.port not in (None, 443):
            raise DiscordRefused(403, 0, "GET file")  # an address somebody made up
        if self._session.closed:
            raise DiscordAway("The bot is being disconnected.", retry_after=1.0)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    if response.status >= 500:
                        raise DiscordAway(f"Discord failed ({response.status}).")
                    raise DiscordRefused(response.status, 0, "GET file")
                content = bytearray()
                async for chunk in response.content.iter_chunked(65_536):
                    content += chunk
                    if len(content) > most:
                        raise DiscordRefused(413, 40005, "GET file")
                return bytes(content)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DiscordAway(f"Discord did not answer ({type(error).__name__}).") from error


def _content(body: object, files: Sequence[Upload]) -> dict[str, Any]:
    if not files:
        return {} if body is None else {"json": body}
    form = aiohttp.FormData()
    form.add_field("payload_json", json.dumps(body), content_type="application/json")
    for number, file in enumerate(files):
        form.add_field(f"files[{number}]", file.content, filename=file.name, content_type=file.media_type)
    return {"data": form}


def _read(content: bytes) -> object:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None  # a proxy's page of an error


def _retry_after(answer: object, headers: Mapping[str, str]) -> float:
    told = answer.get("retry_after") if isinstance(answer, dict) else None
    if isinstance(told, int | float) and told >= 0:
        return min(float(told), 3600.0)
    try:
        return min(max(0.0, float(headers.get("Retry-After", "1"))), 3600.0)
    except ValueError:
        return 1.0


ME = Route("GET", "/users/@me")
APPLICATION = Route("GET", "/applications/@me")
GATEWAY = Route("GET", "/gateway/bot")
DIRECT = Route("POST", "/users/@me/channels")
CHANNEL = Route("GET", "/channels/{channel}")
MESSAGES = Route("GET", "/channels/{channel}/messages")
MESSAGE = Route("GET", "/channels/{channel}/messages/{message}")
SEND = Route("POST", "/channels/{channel}/messages")
EDIT = Route("PATCH", "/channels/{channel}/messages/{message}")
DELETE = Route("DELETE", "/channels/{channel}/messages/{message}")
TYPING = Route("POST", "/channels/{channel}/typing")
THREAD = Route("POST", "/channels/{channel}/messages/{message}/threads")
GUILD = Route("GET", "/guilds/{guild}")
CHANNELS = Route("GET", "/guilds/{guild}/channels")
MAKE_CHANNEL = Route("POST", "/guilds/{guild}/channels")
MEMBER = Route("GET", "/guilds/{guild}/members/{user}")
COMMANDS = Route("GET", "/applications/{application}/commands")
SET_COMMANDS = Route("PUT", "/applications/{application}/commands")
ANSWER = Route("POST", "/interactions/{interaction}/{token}/callback", exempt=True)
ANSWER_EDIT = Route("PATCH", "/webhooks/{webhook}/{token}/messages/@original", exempt=True)
FOLLOW_UP = Route("POST", "/webhooks/{webhook}/{token}", exempt=True)
