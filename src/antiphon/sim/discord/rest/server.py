"""From an HTTP request to a route's handler and back.

The order is Discord's: address banned, version, token, global limit, route's bucket, body, permissions. Discord's
quirks that clients rely on are kept: `application/json` without a charset, `Via` on a 429 of the API's own.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

from aiohttp import BodyPartReader, hdrs, web

from antiphon.sim.discord.errors import Refused, refused, unauthorized
from antiphon.sim.discord.faults import Faults
from antiphon.sim.discord.journal import Journal
from antiphon.sim.discord.rest.call import Call, Reply, Route, Router
from antiphon.sim.discord.rest.limiter import Bucket, Limiter, retry_after
from antiphon.sim.discord.rest.routes import ROUTES
from antiphon.sim.discord.rules.uploads import Upload
from antiphon.sim.discord.world.users import Application
from antiphon.sim.discord.world.world import World

_PATH = re.compile(r"^/api(?:/v(\d+))?(/.*)$")
_FILE = re.compile(r"^files?\[?(\d+)?\]?$")
_VIA = {"Via": "1.1 google"}


class RestServer:
    def __init__(self, world: World, faults: Faults, journal: Journal) -> None:
        self.world, self.faults, self.journal = world, faults, journal
        self.limiter = Limiter(world.clock, world.limits)
        self._router = Router(ROUTES)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        matched = _PATH.match(request.raw_path.partition("?")[0])
        if matched is None:
            return web.Response(status=404, text="Not Found")
        name = f"{request.method} {matched.group(2)}"
        about: dict[str, str] = {}
        response = await self._answer(request, matched.group(1), matched.group(2), name, about)
        scope = response.headers.get("X-RateLimit-Scope")
        if response.status in (401, 403) or (response.status == 429 and scope != "shared"):
            self.limiter.count_invalid()
        self.journal.add(
            "rest",
            route=name,
            status=response.status,
            ms=round((time.perf_counter() - started) * 1000, 3),
            **about,
        )
        return response

    async def _answer(
        self, request: web.Request, version: str | None, path: str, name: str, about: dict[str, str]
    ) -> web.Response:
        """Source: docs, Reference, "API Versioning", "User Agent", "Authentication"."""
        if self.limiter.banned():
            return web.Response(status=429, text="error code: 1015", headers={"Retry-After": "600"})
        if version not in ("9", "10"):
            return _error(refused(400, 50041, "Invalid API version provided."))
        if self.faults.take("lost_request", route=name) is not None:
            return self._cut(request)
        if (fault := self.faults.take("latency", route=name)) is not None:
            await asyncio.sleep(fault.get("seconds", 1.0))
        found = self._router.find(request.method, path)
        if isinstance(found, set):
            if found:
                return _error(refused(405, 0, "405: Method Not Allowed"))
            return _error(refused(404, 0, "404: Not Found"))
        route, parameters = found
        if not route.public and not request.headers.get(hdrs.USER_AGENT, "").startswith("DiscordBot ("):
            # Routes with a token of their own are not held to it: the common libraries call them without.
            return _error(refused(403, 40333, "internal network error"))
        try:
            application = self._authenticated(request, route)
        except Refused as refusal:
            return _error(refusal)
        if application is not None:
            about["bot"] = str(application.id)
        caller = str(application.id) if application else "-"
        bucket = self.limiter.bucket(route, parameters, caller)
        if (limited := self._limited(route, bucket, caller, name)) is not None:
            return limited
        if (fault := self.faults.take("status", route=name)) is not None:
            status = int(fault.get("status", 500))
            text = fault.get("message", f"{status}: {'Internal Server Error' if status == 500 else 'Fault'}")
            return _error(refused(status, int(fault.get("code", 0)), text))
        response = await self._run(request, route, parameters, application, about)
        response.headers.update(bucket.headers(self.world.clock.now()))
        if (fault := self.faults.take("slow_answer", route=name)) is not None:
            await asyncio.sleep(fault.get("seconds", 1.0))
        if self.faults.take("lost_answer", route=name) is not None:
            return self._cut(request)
        return response

    def _authenticated(self, request: web.Request, route: Route) -> Application | None:
        header = request.headers.get(hdrs.AUTHORIZATION, "")
        scheme, _, token = header.partition(" ")
        application = self.world.tokens.get(token) if scheme == "Bot" else None
        if application is None and not route.public:
            raise unauthorized()
        return application

    def _limited(self, route: Route, bucket: Bucket, caller: str, name: str) -> web.Response | None:
        fault = self.faults.take("rate_limit", route=name)
        now = self.world.clock.now()
        if fault is not None:
            return _too_many(float(fault.get("retry_after", 1.0)), str(fault.get("scope", "user")), bucket, now)
        if not route.interaction and (wait := self.limiter.everything(caller)):
            return _too_many(wait, "global", None, now)
        if wait := bucket.take(now):
            return _too_many(wait, "user", bucket, now)
        return None

    async def _run(
        self,
        request: web.Request,
        route: Route,
        parameters: dict[str, str],
        application: Application | None,
        about: dict[str, str],
    ) -> web.Response:
        try:
            body, uploads = await self._body(request)
            call = Call(self.world, parameters, request.query, body, uploads, application, request.headers)
            result = route.handler(call)
        except Refused as refusal:
            return _error(refusal)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # A field of a kind that no rule asks about: Discord refuses the form, and so do we.
            return _error(refused(400, 50035, f"Invalid Form Body ({type(error).__name__}: {error})"))
        reply = result if isinstance(result, Reply) else Reply(result, 204 if result is None else 200)
        for action in call.after:
            asyncio.get_running_loop().call_soon(action)
        if reply.body is None:
            return web.Response(status=reply.status if reply.status != 200 else 204)
        if isinstance(reply.body, dict) and "id" in reply.body:
            about["result"] = str(reply.body["id"])
        return _json(reply.body, reply.status)

    async def _body(self, request: web.Request) -> tuple[Any, list[Upload]]:
        """JSON, or a form with `payload_json` and files. Source: docs, Reference, "Uploading Files"."""
        kind = request.content_type
        if kind == "multipart/form-data":
            return await self._form(request)
        raw = await request.read()
        if not raw:
            return None, []
        if kind != "application/json":
            raise refused(400, 50035, "Expected \"Content-Type\" header to be one of {'application/json'}.")
        return _parsed(raw), []

    async def _form(self, request: web.Request) -> tuple[Any, list[Upload]]:
        body: Any = {}
        uploads: list[Upload] = []
        size = 0
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            content = bytes(await part.read(decode=True))
            size += len(content)
            if size > self.world.limits.request:
                raise refused(413, 40005, "Request entity too large")
            field = part.name or ""
            if field == "payload_json":
                body = _parsed(content)
            elif part.filename is not None and (numbered := _FILE.match(field)):
                index = int(numbered.group(1) or len(uploads))
                kind = part.headers.get(hdrs.CONTENT_TYPE, "")
                uploads.append(Upload(index, part.filename, content, kind.partition(";")[0]))
            else:
                body[field] = content.decode("utf-8", "replace")
        return body, uploads

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        """Break the connection; what is returned is not sent."""
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=499)


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise refused(400, 50109, "The request body contains invalid JSON.") from None


def _json(data: Any, status: int = 200) -> web.Response:
    raw = json.dumps(data, separators=(",", ":")).encode()
    return web.Response(body=raw, status=status, headers={hdrs.CONTENT_TYPE: "application/json"})


def _error(refusal: Refused) -> web.Response:
    response = _json(refusal.body(), refusal.status)
    if refusal.status == 429:
        response.headers.update(_VIA)
        response.headers[hdrs.RETRY_AFTER] = retry_after(float(refusal.extra.get("retry_after", 1)))
    return response


def _too_many(seconds: float, scope: str, bucket: Bucket | None, now: float) -> web.Response:
    """Source: docs, Rate Limits, "Exceeding a Rate Limit" (body, `X-RateLimit-Global`, `X-RateLimit-Scope`)."""
    everything = scope == "global"
    body = {"message": "You are being rate limited.", "retry_after": round(seconds, 3), "global": everything}
    response = _json(body, 429)
    response.headers.update({**_VIA, hdrs.RETRY_AFTER: retry_after(seconds), "X-RateLimit-Scope": scope})
    if everything:
        response.headers["X-RateLimit-Global"] = "true"
    elif bucket is not None:
        response.headers.update(bucket.headers(now))
        response.headers["X-RateLimit-Remaining"] = "0"
        response.headers["X-RateLimit-Reset-After"] = f"{seconds:.3f}"
    return response
