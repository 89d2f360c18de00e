"""Whatever is sent, the answer is a 4xx in the one error shape, never a 500: generated input on every route."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.api_world import World
from tests.integration.test_api_access import api_routes, something_of_everything

FIELDS = ["text", "id", "token", "name", "scopes", "title", "value", "timezone", "language", "persona", "attachments"]
FIELD = st.sampled_from(FIELDS) | st.text(max_size=5)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()))
    | st.sampled_from(["", "chat", "\x00", "\ud800", "1", "x" * 300, "web:x", "2024-01-01"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELD, inner, max_size=5),
    max_leaves=12,
)
SEGMENT = st.sampled_from(
    ["web:x", "1", "0", "-1", "9" * 25, "..", "%2e%2e", "%00", "%ff", "%2f", "a b", "web:%F0", "'"]
)
QUERY = st.dictionaries(
    st.sampled_from(["limit", "cursor", "state", "channel", "after", "format", "lang"]) | st.text(max_size=4),
    st.text(max_size=20) | st.sampled_from(["1", "-1", "W10", "W1swXV0", "xml"]),
    max_size=3,
)


def check(answer: httpx.Response, what: Any) -> None:
    """Not a failure of ours, and an error in the one shape."""
    assert answer.status_code < 500, (what, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/json", what
        assert set(answer.json()) == {"error"}, what
        assert {"code", "message"} <= set(answer.json()["error"]) <= {"code", "message", "fields"}


async def generated(examples: Callable[[Callable[[Coroutine[Any, Any, None]], None]], None]) -> None:
    """Run a Hypothesis test, which is synchronous, in a thread; what it asks for runs on this loop."""
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(examples, lambda asked: asyncio.run_coroutine_threadsafe(asked, loop).result(30))


@pytest.mark.timeout(110)
async def test_generated_bodies_on_every_route(world: World) -> None:
    routes = [(route, view) for route, view in api_routes(world) if not route.startswith("/^")]
    writing = [(m, r) for r, view in routes for m in view().allowed_methods if m in ("POST", "PATCH", "DELETE", "PUT")]
    writing = [(m, r) for m, r in writing if (m, r) != ("DELETE", "/api/keys/<str:id>")]  # it would revoke our own key

    async def ask(method: str, path: str, body: bytes, content_type: str) -> None:
        async with world.client(world.owner, raises=False) as client:
            answer = await client.request(method, path, content=body, headers={"Content-Type": content_type})
        check(answer, (method, path, body))

    def examples(run: Any) -> None:
        @settings(max_examples=600, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(
            route=st.sampled_from(writing),
            segment=SEGMENT,
            body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
            content_type=st.sampled_from(
                ["application/json"] * 8 + ["", "text/plain", "application/json;charset=\x00", "/"]
            ),
        )
        def every_one(route: tuple[str, str], segment: str, body: bytes, content_type: str) -> None:
            path = route[1].replace("<str:id>", segment).replace("<str:key>", segment)
            run(ask(route[0], path, body, content_type))

        every_one()

    await generated(examples)


@pytest.mark.timeout(110)
async def test_generated_addresses_and_queries(world: World) -> None:
    await something_of_everything(world, world.owner)
    readable = [
        route
        for route, _ in api_routes(world)
        if not route.startswith("/^") and not route.endswith(("events", "stream"))
    ]

    async def ask(path: str, query: dict[str, str], accept: str) -> None:
        async with world.client(world.owner, raises=False) as client:
            check(await client.get(path, params=query, headers={"Accept": accept}), (path, query))

    def examples(run: Any) -> None:
        @settings(max_examples=600, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(
            route=st.sampled_from(readable),
            segment=SEGMENT,
            query=QUERY,
            accept=st.sampled_from(["*/*"] * 5 + ["", ";", ",,,", "application/json;q=x", "a/b", "text/html", "\x7f"]),
        )
        def every_one(route: str, segment: str, query: dict[str, str], accept: str) -> None:
            run(ask(route.replace("<str:id>", segment).replace("<str:key>", segment), query, accept))

        every_one()

    await generated(examples)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Padding": "x" * 40_000}, 431),
        ({f"X-{n}": "y" * 100 for n in range(400)}, 431),
        ({"Cookie": "a=" + "b" * 33_000}, 431),
        ({"Content-Length": "99999999999999999999999999"}, 413),
        ({"X-Request-Id": "x" * 5000}, 200),
        ({"Accept-Language": "\x7f" * 200, "Range": "bytes=0-1", "Expect": "x", "If-None-Match": "*"}, 200),
        ({"X-HTTP-Method-Override": "DELETE"}, 200),
    ],
)
async def test_odd_headers(world: World, headers: dict[str, str], status: int) -> None:
    async with world.client(world.owner, raises=False, headers=headers) as client:
        answer = await client.get("/api/me")
    check(answer, headers)
    assert answer.status_code == status


async def test_a_long_address_is_refused(world: World) -> None:
    async with world.client(world.owner, raises=False) as client:
        for path in ("/api/" + "x" * 9000, "/api/tasks?cursor=" + "x" * 9000):
            answer = await client.get(path)
            check(answer, path)
            assert answer.status_code == 414


@pytest.mark.parametrize("path", ["/api", "/api/", "/api//me", "/api/me/", "/API/me", "/api/tasks/1/x", "/x"])
async def test_addresses_that_are_not_there(world: World, path: str) -> None:
    async with world.client(world.owner, raises=False) as client:
        for method in ("GET", "POST", "DELETE"):
            answer = await client.request(method, path)
            check(answer, (method, path))
            assert answer.status_code in (404, 405), answer.text


async def test_random_bytes_on_the_port_leave_the_server_well(world: World) -> None:
    """Below HTTP it is the server's parser that answers; ours is to be alive afterwards."""
    chance = random.Random(7)
    async with world.served() as address:
        host, port = address.split(":")
        for attempt in range(40):
            reader, writer = await asyncio.open_connection(host, int(port))
            noise = chance.randbytes(chance.randrange(1, 3000))
            start = b"POST /api/me HTTP/1.1\r\nHost: localhost\r\n" if attempt % 2 else b""
            with contextlib.suppress(ConnectionError):
                writer.write(start + noise + b"\r\n\r\n")
                await writer.drain()
                writer.write_eof()
                async with asyncio.timeout(5):
                    answer = await reader.read()
                assert not answer.startswith(b"HTTP/1.1 5")
            writer.close()
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{address}") as client:
            assert (await client.get("/health")).json() == {"status": "ok"}


async def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(world: World) -> None:
    async with world.served() as address:
        host, port = address.split(":")
        for _ in range(5):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"POST /api/channels/web:x/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n"
                b"Content-Type: application/json\r\nAuthorization: Bearer " + world.owner.key.encode() + b"\r\n\r\n{"
            )
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with httpx.AsyncClient(
            trust_env=False, base_url=f"http://{address}", headers=world.owner.bearer
        ) as client:
            assert (await client.get("/api/channels")).json()["items"] == []


@pytest.mark.parametrize("framing", [b"Content-Length: 30000000", b"Transfer-Encoding: chunked"])
async def test_a_body_over_the_limit_is_taken_in_so_that_the_refusal_arrives(world: World, framing: bytes) -> None:
    """A connection that is reset under a sender makes a proxy say 502, and a plain client see no answer at all."""
    async with world.served() as address:
        reader, writer = await _begin_a_post(world, address, framing)
        writer.write(b"1c9c380\r\n" if b"chunked" in framing else b"")
        for _ in range(30):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
        writer.write(b"\r\n0\r\n\r\n" if b"chunked" in framing else b"")
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in answer


async def test_a_refused_client_is_not_listened_to_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.api.edge.LINGER_SECONDS", 0.3)
    async with world.served() as address, asyncio.timeout(5):
        reader, writer = await _begin_a_post(world, address, b"Content-Length: 30000000")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")  # while its body is still awaited
        await reader.read()  # to the end: closed by the server
        writer.close()
        reader, writer = await _begin_a_post(world, address, b"Content-Length: 30000000\r\nExpect: 100-continue")
        assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def _begin_a_post(
    world: World, address: str, framing: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/channels/web:x/messages HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer " + world.owner.key.encode() + b"\r\n" + framing
    )
    writer.write(b"\r\n\r\n")
    await writer.drain()
    return reader, writer
