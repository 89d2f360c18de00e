"""The control over plain HTTP on loopback, for pages and other processes.

    GET  world                          everything there is
    GET  channels/{id or name}/messages ?as=NAME&limit=N, oldest first, with what NAME alone sees
    GET  log                            ?kind=K&after=N, the server's own record
    GET  events                         server-sent events: every change, numbered; `Last-Event-ID` resumes
    POST do/{action}                    a JSON object with the fields of the action (`actions.py`)

The address holds a secret, so that pages of other origins cannot use it, and answers no other host name (against DNS
rebinding). Pages on loopback may read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from antiphon.sim.discord.control.actions import act
from antiphon.sim.discord.control.control import Control
from antiphon.sim.discord.control.views import dispatch_view, messages_view, world_view
from antiphon.sim.discord.errors import Refused
from antiphon.sim.discord.world.dispatch import Dispatch

_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_KEPT = 2000
_ALIVE = 15.0
"""Seconds after which an idle stream says that it is still there."""


class ControlServer:
    def __init__(self, control: Control) -> None:
        self._control = control
        self._secret = secrets.token_urlsafe(24)
        self._events: deque[tuple[int, Dispatch]] = deque(maxlen=_KEPT)
        self._number = 0
        self._readers: set[asyncio.Event] = set()
        self._runner: web.AppRunner | None = None
        self._stopping = False
        self.url = ""
        control.world.listen(self._on_dispatch)

    async def start(self, port: int = 0) -> None:
        application = web.Application(middlewares=[self._guard], client_max_size=64 * 1024 * 1024)
        base = f"/{self._secret}"
        application.router.add_get(f"{base}/world", self._world)
        application.router.add_get(f"{base}/channels/{{channel}}/messages", self._messages)
        application.router.add_get(f"{base}/log", self._log)
        application.router.add_get(f"{base}/events", self._stream)
        application.router.add_post(f"{base}/do/{{action}}", self._do)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{base}"

    async def stop(self) -> None:
        self._stopping = True
        for reader in self._readers:
            reader.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if urlsplit(f"//{request.host}").hostname not in _HOSTS:
            return web.Response(status=421, text="this host is not served here")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).hostname not in _HOSTS:
            return web.Response(status=403, text="this origin may not control the simulation")
        headers = _cors(request)
        if request.method == "OPTIONS":
            return web.Response(status=204, headers={**headers, "Access-Control-Allow-Methods": "GET, POST"})
        try:
            response = await handler(request)
        except Refused as refusal:
            response = _failed(refusal.status, "refused", refusal.message, discord=refusal.body())
        except LookupError as error:
            response = _failed(404, "unknown", str(error.args[0] if error.args else error))
        except (ValueError, TypeError) as error:  # pydantic's too
            response = _failed(422, "invalid", str(error))
        if not response.prepared:
            response.headers.update(headers)
        return response

    async def _world(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({**world_view(self._control), "event": self._number})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        channel = self._control.channel(request.match_info["channel"])
        name = request.query.get("as")
        user = self._control.user(name).user if name else None
        limit = max(1, min(int(request.query.get("limit", "100")), 1000))
        return web.json_response({"items": messages_view(self._control, channel, user, limit), "event": self._number})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        after, kind = int(request.query.get("after", "0")), request.query.get("kind")
        entries = self._control.log(kind, after=after)[:10_000]
        return web.json_response({"items": entries, "counts": self._control.journal.counts})

    async def _do(self, request: web.Request) -> web.StreamResponse:
        fields = await request.json() if request.can_read_body else {}
        if not isinstance(fields, dict):
            raise ValueError("The request must be a JSON object.")
        return web.json_response({"result": await act(self._control, request.match_info["action"], fields)})

    # Events

    def _on_dispatch(self, dispatch: Dispatch) -> None:
        self._number += 1
        self._events.append((self._number, dispatch))
        for reader in self._readers:
            reader.set()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        last = int(request.headers.get("Last-Event-ID") or request.query.get("after") or self._number)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", **_cors(request)}
        )
        await response.prepare(request)
        reader = asyncio.Event()
        self._readers.add(reader)
        try:
            await response.write(b": here\n\n")
            while not self._stopping:
                if self._events and self._events[0][0] > last + 1:
                    await response.write(f"event: reset\nid: {self._events[0][0] - 1}\ndata: {{}}\n\n".encode())
                    last = self._events[0][0] - 1
                for number, dispatch in [entry for entry in self._events if entry[0] > last]:
                    text = json.dumps(dispatch_view(dispatch), separators=(",", ":"))
                    await response.write(f"id: {number}\ndata: {text}\n\n".encode())
                    last = number
                reader.clear()
                if self._number == last and not self._stopping:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_ALIVE):
                            await reader.wait()
                    if self._number == last:
                        await response.write(b": alive\n\n")
        except ConnectionError:
            pass
        finally:
            self._readers.discard(reader)
        return response


def _failed(status: int, code: str, message: str, **more: Any) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, **more}}, status=status)


def _cors(request: web.Request) -> dict[str, str]:
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Headers": "Content-Type", "Vary": "Origin"}
