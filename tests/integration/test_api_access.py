"""Nobody gets at anything without a credential, with a wrong one, without the scope, or as somebody else.

The tests walk the routes as the resolver knows them, so a new route is covered the moment it exists.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.config import HttpSettings, Settings
from antiphon.domain.approvals import ApproverRule, PauseRequest
from antiphon.domain.conversation import Author, InboundMessage, ServerRef
from antiphon.domain.events import DISCORD_GATEWAY
from antiphon.domain.health import PartHealth, PartState
from antiphon.domain.identity import Role, Sender
from antiphon.domain.memories import MemoryScope
from antiphon.domain.schedule import EntryKind, NewEntry
from antiphon.domain.voice import EndReason, NewVoiceSession, Segment
from antiphon.domain.work import Pause
from tests.integration.api_world import Someone, World, a_world, both_engines
from tests.integration.test_api_messages import error_of

PUBLIC = {("GET", "/health"), ("POST", "/api/session")}


def api_routes(world: World) -> Iterator[tuple[str, Any]]:
    """Every route below /api with its view class, as the resolver has them."""
    from antiphon.api.urls import build_urlpatterns

    for pattern in build_urlpatterns(world.api.state):
        view: Any = pattern.callback  # type: ignore[union-attr]
        yield "/" + str(pattern.pattern), view.cls


def filled(route: str, ids: dict[str, str]) -> str:
    """A route with real ids of things in it."""
    if route.startswith("/^"):
        return "/api/no/such/route"
    noun = "voice" if "/api" not in route else route.split("/")[2]
    return re.sub(r"<str:(\w+)>", lambda match: ids["channel" if match[1] == "key" else noun], route)


async def something_of_everything(world: World, who: Someone) -> dict[str, str]:
    """One of each kind of object, all of them `who`'s. Noun of the route -> id."""
    now = datetime.now(UTC)
    receipt = await world.say(who, "web:theirs", "the secret word is heron")
    (work,) = await world.stores.tasks.claim("tester", 1, 30)
    request = PauseRequest(
        "call-1", "memory.forget_all", {}, "0" * 64, "Forget?", ApproverRule(), now + timedelta(hours=1)
    )
    (approval,) = await world.stores.tasks.pause(work.lease, Pause(b"{}", (request,), "heron", ("heron",)))
    await world.say(who, "web:theirs", "and another")
    lease = await world.answer("heron it is")
    entry = await world.stores.schedule.add(
        NewEntry(EntryKind.REMINDER, now + timedelta(hours=1), "web:theirs", who.person, "origin-1", "heron")
    )
    memory = await world.stores.memories.remember(
        MemoryScope.PERSON, who.person, "heron", author=who.person, channel="web:theirs", origin="origin-1"
    )
    async with world.client(who) as client:
        file = await client.post("/api/channels/web:theirs/attachments?name=heron.txt", content=b"heron")
        said = (await client.get("/api/channels/web:theirs/messages")).json()["items"]
    proposal = await world.stores.proposals.propose(who.person, "heron", channel="web:theirs", origin="origin-2")
    answer = next(item for item in said if item["task"] == str(lease.task) and item["author"] == "agent")
    await world.stores.feedback.rate(int(answer["id"]), who.person, -1, "heron")
    async with world.client(who) as client:
        (opinion,) = (await client.get("/api/feedback")).json()["items"]
    await world.bus.publish(
        DISCORD_GATEWAY,
        "gateway",
        {
            "event": "GUILD_MEMBER_ADD",
            "server": "",
            "channel": "",
            "place": "",
            "person": "1",
            "name": "heron",
            "detail": "",
        },
    )
    return {
        "channel": "web:theirs",
        "panels": "events",
        "channels": "web:theirs",
        "threads": receipt["thread"],
        "tasks": receipt["task"],
        "approvals": str(approval.id),
        "reminders": str(entry.id),
        "memories": str(memory.id),
        "messages": answer["id"],
        "attachments": file.json()["id"],
        "proposals": str(proposal.id),
        "feedback": opinion["id"],
        "servers": await a_server(world),
        "history": answer["id"],
        "keys": str(who.key_id),
        "users": str(who.user.id),
        "sessions": str(await a_session(world, who)),
        "voice": await a_spoken_session(world, who),
    }


async def a_spoken_session(world: World, who: Someone) -> str:
    """One of the past, with something said in it."""
    store = world.stores.voice
    new = NewVoiceSession("a" * 24, "heron", who.person, "heron", "web:voice:heron", "embedded")
    session = (await store.begin(new)).session
    await store.add_segment(session.key, Segment(1, Author.PERSON, "heron", "heron", datetime.now(UTC)))
    await store.end(session.key, EndReason.STOPPED, recording=False)
    return session.key


async def a_session(world: World, who: Someone) -> int:
    """A browser that is signed in as `who`."""
    async with world.signed_in(who) as client:
        items = (await client.get("/api/sessions")).json()["items"]
        return int(next(item["id"] for item in items if item["current"]))


async def a_server(world: World) -> str:
    """A platform's server that has been heard of."""
    await world.stores.inbox.receive(
        InboundMessage(
            "discord", "discord:77", "1", Sender("9", "Mallory"), "hello", datetime.now(UTC),
            server=ServerRef("discord", "7", "heron's guild"),
        )
    )  # fmt: skip
    channel = await world.stores.threads.channel("discord:77")
    return str(channel.server)


async def walk(world: World, client: httpx.AsyncClient, ids: dict[str, str]) -> dict[tuple[str, str], httpx.Response]:
    """Ask every route with every method it has, bodies included."""
    answers = {}
    for route, view in api_routes(world):
        for method in view().allowed_methods:
            if endless := method == "GET" and route.endswith("/stream"):
                world.stopping.append(True)  # whoever may listen is let go at once
            answers[method, route] = await client.request(
                method, filled(route, ids), json={} if method != "GET" else None
            )
            if endless:
                world.stopping.clear()
    return answers


async def test_without_a_credential_every_route_says_401_except_the_public_ones(world: World) -> None:
    ids = await something_of_everything(world, world.owner)
    async with world.client() as client:
        answers = await walk(world, client, ids)
        public = {key for key, answer in answers.items() if answer.status_code != 401}
        for key in answers.keys() - public:
            assert error_of(answers[key], 401)["code"] == "unauthenticated", key
        assert error_of(await client.get("/metrics"), 401)
        assert (await client.get("/health")).status_code == 200
        admin = await client.get("/admin/")
        assert (admin.status_code, admin.headers["location"]) == (303, "/sign-in?next=%2Fadmin%2F")
    assert len(answers) > 40
    assert public == {("POST", "/api/session")}


@pytest.mark.parametrize(
    "authorization",
    ["Bearer ant_wrong", "Bearer ", "Bearer", "", "Basic YTpi", "ant_x", "Bearer \u00e9", "bearer ant_" + "x" * 5000],
)
async def test_a_wrong_credential_opens_nothing(world: World, authorization: str) -> None:
    ids = await something_of_everything(world, world.owner)
    async with world.signed_in(world.owner) as client:  # a good cookie does not rescue a wrong key
        client.headers = httpx.Headers([*client.headers.raw, (b"Authorization", authorization.encode("latin-1"))])
        answers = await walk(world, client, ids)
    assert {key for key, answer in answers.items() if answer.status_code != 401} == {("POST", "/api/session")}


async def test_a_key_without_the_scope_is_refused_by_every_route_that_needs_one(world: World) -> None:
    ids = await something_of_everything(world, world.owner)
    _, secret = await world.stores.keys.create("figures", ["metrics"], world.owner.person)
    async with world.client(headers={"Authorization": f"Bearer {secret}"}) as client:
        answers = await walk(world, client, ids)
        assert (await client.get("/metrics")).status_code == 200
    needing = {(m, r): a for (m, r), a in answers.items() if dict(api_routes(world))[r].needs is not None}
    assert {error_of(answer, 403)["code"] for answer in needing.values()} == {"forbidden"}
    open_routes = {route for _, route in answers.keys() - needing.keys()}
    assert open_routes == {"/api/health", "/api/session", "/api/docs", "/api/schema", "/^api(?:/.*)?$"}


async def test_the_chat_scope_does_not_open_the_routes_for_keys(world: World) -> None:
    async with world.client(world.other) as client:
        error_of(await client.get("/api/keys"), 403)
        error_of(await client.post("/api/keys", json={"name": "x", "scopes": ["chat"]}), 403)
        error_of(await client.delete(f"/api/keys/{world.owner.key_id}"), 403)
        error_of(await client.get("/metrics"), 403)


@both_engines
async def test_another_person_finds_nothing_of_mine_on_any_route(world: World) -> None:
    """Every route with an id in it is 404 for somebody else, even one who may do everything; lists are empty."""
    ids = await something_of_everything(world, world.owner)
    intruder = await world.stores.users.create("intruder", Role.MEMBER)
    _, secret = await world.stores.keys.create("all", ["chat", "admin", "metrics"], intruder.person)
    async with world.client(headers={"Authorization": f"Bearer {secret}"}) as client:
        answers = await walk(world, client, ids)
        for (method, route), answer in answers.items():
            assert "heron" not in answer.text, (method, route)
            if "<" in route and method != "OPTIONS":
                expected = {404, 422} if method in ("PATCH", "POST") else {404}
                assert answer.status_code in expected, (method, route, answer.text)
        for noun in (
            "channels",
            "threads",
            "tasks",
            "approvals",
            "reminders",
            "memories",
            "feedback",
            "proposals",
            "servers",
        ):
            assert (await client.get(f"/api/{noun}")).json() == {"items": [], "next": None}
        assert [key["name"] for key in (await client.get("/api/keys")).json()["items"]] == ["all"]
        posted = {
            "/api/channels/web:theirs/messages": {"text": "hi"},
            f"/api/messages/{ids['messages']}/feedback": {"value": 1},
        }
        for path, body in posted.items():
            error_of(await client.post(path, json=body), 404)
        error_of(await client.patch("/api/channels/web:theirs", json={"title": "mine now"}), 404)
    async with world.client(world.owner) as client:
        assert (await client.get(f"/api/tasks/{ids['tasks']}")).json()["state"] == "waiting"
        assert (await client.get(f"/api/approvals/{ids['approvals']}")).json()["state"] == "pending"
        assert len((await client.get("/api/memories")).json()["items"]) == 1
        assert len((await client.get("/api/reminders")).json()["items"]) == 1


async def test_what_is_not_there_looks_like_what_is_somebody_elses(world: World) -> None:
    ids = await something_of_everything(world, world.owner)
    async with world.client(world.other) as client:
        for noun in ("threads", "tasks", "approvals"):
            foreign = await client.get(f"/api/{noun}/{ids[noun]}")
            for missing in ("999999999", "0", "-1", "x", "9" * 30, "1e3", "\u0661"):
                answer = await client.get(f"/api/{noun}/{missing}")
                assert (answer.status_code, answer.text) == (foreign.status_code, foreign.text)


async def ws_code(address: str, path: str, **kwargs: Any) -> int:
    """The close code of a WebSocket, or the HTTP status of a refused handshake."""
    try:
        async with connect(f"ws://{address}{path}", **kwargs) as socket:
            async with asyncio.timeout(5):
                while True:
                    await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_web_sockets_refuse_with_a_code_the_client_can_see(world: World) -> None:
    await world.say(world.owner, "web:theirs", "hello")
    _, figures = await world.stores.keys.create("figures", ["metrics"], world.owner.person)
    path = "/ws/channels/web:theirs"
    async with world.served() as address:
        assert await ws_code(address, path) == 4401
        assert await ws_code(address, path, additional_headers={"Authorization": "Bearer ant_no"}) == 4401
        assert await ws_code(address, path, additional_headers={"Authorization": f"Bearer {figures}"}) == 4403
        assert await ws_code(address, path, additional_headers=world.other.bearer) == 4404
        assert await ws_code(address, "/ws/channels/discord:1", additional_headers=world.owner.bearer) == 4404
        assert await ws_code(address, "/ws/channels/what", additional_headers=world.owner.bearer) == 4400
        assert await ws_code(address, path + "?after=x", additional_headers=world.owner.bearer) == 4400
        for unknown in ("/ws", "/ws/", "/ws/other", "/ws/channels/", "/ws/channels/a/b", "/", "/api/me"):
            assert await ws_code(address, unknown, additional_headers=world.owner.bearer) == 4404
            assert await ws_code(address, unknown) == 4404


async def test_a_web_socket_of_another_origin_is_refused_even_with_the_cookie(world: World) -> None:
    await world.say(world.owner, "web:theirs", "hello")
    async with world.signed_in(world.owner) as client:
        cookie = f"antiphon_session={client.cookies['antiphon_session']}"
    async with world.served() as address:
        path = "/ws/channels/web:theirs"
        for origin in ("http://evil.example", "null", f"https://{address}", "http://localhost"):
            headers = {"Cookie": cookie, "Origin": origin}
            assert await ws_code(address, path, additional_headers=headers) == 403
        async with connect(
            f"ws://{address}{path}", additional_headers={"Cookie": cookie, "Origin": f"http://{address}"}
        ):
            pass


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", "localhost.evil.example", "192.168.1.9", "[", "a@b:x"]
)
async def test_another_host_name_is_refused(world: World, host: str) -> None:
    """DNS rebinding: a foreign name that resolves to this machine must not reach the API or the figures."""
    async with world.client(world.owner, peer=("127.0.0.1", 5)) as client:
        for path in ("/api/me", "/metrics", "/admin/", "/api/session"):
            assert error_of(await client.get(path, headers={"Host": host}), 400)["code"] == "unknown_host"
        assert (await client.get("/health", headers={"Host": host})).status_code == 200


async def test_the_public_url_is_a_host_and_an_origin(world_settings: Settings) -> None:
    http = HttpSettings(public_url="https://chat.example.org", trusted_proxies=("10.0.0.1",))
    async with (
        a_world(world_settings.model_copy(update={"http": http})) as world,
        world.signed_in(world.owner, "https://chat.example.org") as client,
    ):
        assert (await client.patch("/api/me", json={"name": "Wren"})).status_code == 200
        other = {"Origin": "https://other.example.org"}
        error_of(await client.patch("/api/me", json={"name": "Wren"}, headers=other), 403)


async def test_a_public_bind_is_reached_by_its_address_but_not_by_any_name(world_settings: Settings) -> None:
    http = HttpSettings(host="0.0.0.0", tls="self")
    async with a_world(world_settings.model_copy(update={"http": http})) as world, world.client(world.owner) as client:
        for host in ("192.168.1.9:8000", "[2001:db8::1]:8000", "localhost"):
            assert (await client.get("/api/me", headers={"Host": host})).status_code == 200
        assert (await client.get("/api/me", headers={"Host": "evil.example"})).status_code == 400


async def test_health_is_exact_and_follows_the_parts(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("/health")
        assert (answer.status_code, answer.content) == (200, b'{"status":"ok"}')
        assert (await client.head("/health")).status_code == 200
        assert error_of(await client.post("/health"), 405)
        world.parts.append(PartHealth("bus", PartState.DEGRADED, "Redis does not answer", "start it"))
        world.parts.append(PartHealth("discord", PartState.OFF))
        await asyncio.sleep(1.05)  # the answer is kept for a second
        answer = await client.get("/health")
        assert (answer.status_code, answer.content) == (503, b'{"status":"degraded"}')
    async with world.client(world.other) as client:
        detail = (await client.get("/api/health")).json()
    assert detail["status"] == "degraded"
    assert detail["parts"][1] == {
        "name": "bus",
        "state": "degraded",
        "detail": "Redis does not answer",
        "remedy": "start it",
    }


async def test_figures_are_for_this_machine_or_the_scope(world: World) -> None:
    async with world.client(peer=("127.0.0.1", 5)) as client:
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert "antiphon_http_requests_total{" in answer.text
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):  # a proxy on this machine is not this machine
            error_of(await client.get("/metrics", headers={name: "127.0.0.1"}), 401)
    async with world.client(headers={"X-Forwarded-For": "127.0.0.1"}) as client:
        error_of(await client.get("/metrics"), 401)
    async with world.client(world.owner) as client:
        assert (await client.get("/metrics")).status_code == 200
    for peer in ("::1", "::ffff:127.0.0.1"):
        async with world.client(peer=(peer, 5)) as client:
            assert (await client.get("/metrics")).status_code == 200


async def test_requests_are_counted_by_route_and_never_by_what_is_in_them(world: World) -> None:
    async with world.client(world.owner) as client:
        await client.get("/api/tasks/123456")
        await client.get("/api/no-such-thing")
        figures = (await client.get("/metrics")).text
    assert 'antiphon_http_requests_total{route="/api/tasks/<str:id>",status="404"}' in figures
    assert "123456" not in figures
    assert "no-such-thing" not in figures


async def test_every_answer_carries_the_security_headers_and_a_request_id(world: World) -> None:
    async with world.client(world.owner) as client:
        for path in ("/health", "/api/me", "/api/nothing", "/metrics", "/admin/", "/static/nothing", "/api/docs"):
            answer = await client.get(path)
            headers = answer.headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert headers["referrer-policy"] == "same-origin"
            assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])
            assert len(headers.get_list("x-request-id")) == 1
        given = await client.get("/api/me", headers={"X-Request-Id": "from-the-proxy.1"})
        assert given.headers["x-request-id"] == "from-the-proxy.1"
        forged = await client.get("/api/me", headers={"X-Request-Id": "a b\tc"})
        assert re.fullmatch(r"[0-9a-f]{32}", forged.headers["x-request-id"])


async def test_what_nobody_expected_is_a_bare_500_with_the_request_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: object, person: int) -> None:
        raise RuntimeError("the password is heron")

    monkeypatch.setattr(type(world.stores.people), "person", broken)
    async with world.client(world.owner) as client:
        answer = await client.get("/api/me")
    error = error_of(answer, 500)
    assert error["code"] == "internal"
    assert "heron" not in answer.text
    assert answer.headers["x-request-id"] in error["message"]


@both_engines
async def test_the_admin_is_for_the_owner_through_our_session_only(world: World) -> None:
    async with world.client(world.owner) as client:  # a key is no way in
        assert (await client.get("/admin/")).status_code == 303
    async with world.signed_in(world.other) as client:
        error_of(await client.get("/admin/"), 403)
    async with world.signed_in(world.owner) as client:
        assert (await client.get("/admin")).headers["location"] == "/admin/"
        page = await client.get("/admin/")
        assert page.status_code == 200
        assert "text/html" in page.headers["content-type"]
        assert (await client.get("/admin/login/")).headers["location"] == "/sign-in?next=%2Fadmin%2F"
        posted = await client.post("/admin/login/", data={"username": "owner", "password": "x"})
        assert posted.status_code == 303
        assert (await client.get("/admin/nothing/")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/static/admin/css/base.css", "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css"]
)
async def test_files_of_the_admin_and_the_docs_are_public(world: World, path: str) -> None:
    async with world.client() as client:
        answer = await client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/css")
        again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/admin",
        "/static/../asgi.py",
        "/static/%2e%2e/%2e%2e/asgi.py",
        "/static//etc/passwd",
        "/static/a%00b",
    ],
)
async def test_files_outside_are_not_served(world: World, path: str) -> None:
    async with world.client() as client:
        assert (await client.get(path)).status_code in (404, 401)
