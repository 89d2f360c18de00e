"""Settings over the API, and trying things out against fakes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import pytest

from antiphon.config import Settings
from antiphon.config.settings import DiscordSettings, LiveKitSettings, TelegramSettings
from antiphon.domain.identity import Role
from antiphon.run.probes.discord import INTENTS, PERMISSION_INTEGER
from antiphon.run.probes.outside import REFUSED, ask
from tests.integration.api_world import World, a_world
from tests.integration.test_api_accounts import a_user
from tests.integration.test_api_messages import error_of

Answer = tuple[int, object]
SECRET = "do-not-show-me-1234567890"


@contextlib.asynccontextmanager
async def a_server(answer: Callable[[str, dict[str, str]], Answer | bytes]) -> AsyncIterator[str]:
    """An HTTP server on loopback; `answer(path, headers)` gives status and document, or the raw bytes to send."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            given = answer(lines[0].split(" ")[1], headers)
            if not isinstance(given, bytes):
                body = json.dumps(given[1]).encode()
                head = f"HTTP/1.1 {given[0]} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                given = head.encode() + body
            writer.write(given)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def tried(world: World, kind: str, **given: str) -> dict[str, Any]:
    async with world.client(world.owner) as client:
        answer = await client.post("/api/setup/test", json={"kind": kind, "given": given})
        assert answer.status_code == 200, answer.text
        return answer.json()


async def test_settings_are_for_owners_and_operators(world: World) -> None:
    operator = await a_user(world, "olga", Role.OPERATOR)
    member = await a_user(world, "mia", Role.MEMBER)
    routes = [
        ("GET", "/api/settings"),
        ("PATCH", "/api/settings"),
        ("POST", "/api/setup/test"),
        ("GET", "/api/backups"),
    ]
    async with world.client(member) as client:  # its key carries the scope admin
        for method, path in routes:
            error_of(await client.request(method, path, json={} if method != "GET" else None), 403)
    async with world.client(operator) as client:
        tree = (await client.get("/api/settings")).json()
        locked = {item["key"] for item in tree["items"] if item["locked"]}
        assert {"http.port", "data_dir", "redis_url"} <= locked
        assert "system_prompt" not in locked
        error_of(await client.patch("/api/settings", json={"values": {"http.port": 9000}}), 403)
        answer = await client.patch("/api/settings", json={"values": {"system_prompt": "Be kind."}})
        assert answer.status_code == 200


async def test_a_change_is_seen_with_its_place_and_a_secret_never_is(world: World) -> None:
    values = {"discord.token": SECRET, "limits.messages_per_minute": 2, "http.port": 9000}
    async with world.client(world.owner) as client:
        tree = (await client.patch("/api/settings", json={"values": values})).json()
        items = {item["key"]: item for item in tree["items"]}
        assert items["discord.token"]["is_set"]
        assert items["discord.token"]["value"] is None
        assert SECRET not in json.dumps(tree)
        assert tree["file"] == str(world.settings.data_dir / "settings.toml")
        assert SECRET not in (world.settings.data_dir / "settings.toml").read_text()
        assert (world.settings.data_dir / "secrets" / "discord_token").read_text().strip() == SECRET
        assert items["http.port"]["pending"]
        assert (items["http.port"]["restart"], items["limits.messages_per_minute"]["restart"]) == (True, False)
    await world.say(world.owner, "web:x", "one")
    await world.say(world.owner, "web:x", "two")
    async with world.client(world.owner) as client:
        error_of(await client.post("/api/channels/web:x/messages", json={"text": "three"}), 429)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"values": {}},
        {"values": []},
        {"values": {"model": "x"}},
        {"values": {"model": {"a": 1}}},
        {"values": {"limits.turn_requests": "3"}},
        {"values": {"../x": 1}},
        {"values": {"experts": [[]]}},
        {"values": {"experts": [{"name": "a", "model": "ollama:x", "zzz": 1}]}},
        {"values": {"log.level": "loud"}},
        {"values": {"system_prompt": "\ud800"}},
        {"file": "x"},
    ],
)
async def test_garbage_changes_nothing(world: World, body: object) -> None:
    async with world.client(world.owner) as client:
        raw = json.dumps(body).encode()
        answer = await client.patch("/api/settings", content=raw, headers={"Content-Type": "application/json"})
        assert error_of(answer, 422)["fields"]
    assert not (world.settings.data_dir / "settings.toml").exists()


def discord(flags: int, permissions: int) -> Callable[[str, dict[str, str]], Answer]:
    def answer(path: str, headers: dict[str, str]) -> Answer:
        if headers.get("authorization") != "Bot good.token":
            return 401, {"message": SECRET}
        return {
            "/users/@me": (200, {"id": "42", "username": "wren\u202e"}),
            "/applications/@me": (200, {"id": "4242", "flags": flags}),
            "/users/@me/guilds": (200, [{"id": "1", "name": "Nest", "permissions": str(permissions)}]),
        }[path]

    return answer


@pytest.mark.parametrize(("good", "permissions"), [(True, 8), (False, 1 << 11)])
async def test_a_discord_token_shows_identity_intents_permissions_and_the_invitation(
    world_settings: Settings, good: bool, permissions: int
) -> None:
    flags = INTENTS["Server Members"][0] | (INTENTS["Message Content"][1] if good else 0)
    async with a_server(discord(flags, permissions)) as url:
        settings = world_settings.model_copy(update={"discord": DiscordSettings(api_url=url)})
        async with a_world(settings) as world:
            found = await tried(world, "discord", token="good.token")
            refused = await tried(world, "discord", token="bad.token")
    facts = {fact["label"]: fact["value"] for fact in found["facts"]}
    assert (found["state"], facts["Bot"]) == ("ok" if good else "degraded", "wren")
    query = f"client_id=4242&scope=bot+applications.commands&permissions={PERMISSION_INTEGER}"
    assert found["link"] == f"https://discord.com/oauth2/authorize?{query}"
    assert ("Message Content" in facts["Intents"]) == ("lacks" in facts["Nest"]) == (not good)
    assert refused["state"] == "degraded"
    assert SECRET not in json.dumps(refused)


async def test_a_telegram_token_shows_who_it_is(world_settings: Settings) -> None:
    token = "123456:abcdefghijklmnop"

    def answer(path: str, headers: dict[str, str]) -> Answer:
        good = path == f"/bot{token}/getMe"
        bot = {"username": "wren_bot", "can_join_groups": True, "can_read_all_group_messages": False}
        return (200, {"ok": True, "result": bot}) if good else (401, {"ok": False})

    async with a_server(answer) as url:
        settings = world_settings.model_copy(update={"telegram": TelegramSettings(api_url=url)})
        async with a_world(settings) as world:
            found = await tried(world, "telegram", token=token)
            assert (found["state"], found["link"]) == ("ok", "https://t.me/wren_bot")
            assert "setprivacy" in found["remedy"]
            assert (await tried(world, "telegram", token="1:bbbbbbbbbbbb"))["state"] == "degraded"
            assert (await tried(world, "telegram", token="../../x"))["detail"] == "This is not a token."
            assert (await tried(world, "telegram"))["state"] == "off"


async def test_livekit_is_asked_with_a_token_of_its_key(world: World) -> None:
    secret = "s" * 32

    def answer(path: str, headers: dict[str, str]) -> Answer:
        try:
            claims = jwt.decode(headers["authorization"].removeprefix("Bearer "), secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return 401, {}
        return (200, {"rooms": []}) if claims["iss"] == "key" else (401, {})

    async with a_server(answer) as url:
        given = {"url": url.replace("http", "ws"), "key": "key"}
        assert (await tried(world, "livekit", **given, secret=secret))["state"] == "ok"
        assert (await tried(world, "livekit", **given, secret="x" * 32))["state"] == "degraded"
        assert (await tried(world, "livekit", **given))["state"] == "off"


async def test_a_stored_secret_goes_to_the_stored_address_only(world_settings: Settings) -> None:
    seen: list[str] = []

    def answer(path: str, headers: dict[str, str]) -> Answer:
        seen.append(headers.get("authorization", ""))
        return 200, {"object": "list", "data": []}

    async with a_server(answer) as url:
        livekit = LiveKitSettings(url="http://127.0.0.1:9", api_key="key", api_secret="s" * 32)  # type: ignore[arg-type]
        settings = world_settings.model_copy(
            update={"model": "openai:x", "openai_api_key": type(livekit.api_secret)(SECRET), "livekit": livekit}
        )
        async with a_world(settings) as world:
            await tried(world, "model", model="openai:x", url=f"{url}/v1")
            assert (await tried(world, "livekit", url=url))["state"] == "off"
    assert seen
    assert not any(SECRET in one for one in seen)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:a9fe:a9fe::1]/",
        "http://[fd00:ec2::254]/latest/meta-data",
        "http://100.100.100.200/latest/meta-data",
        "http://0.0.0.0:80/",
        "http://224.0.0.1/",
        "ftp://127.0.0.1/",
        "http://",
        "http://[/",
        "file:///etc/passwd",
        "http://no-such-name.invalid/",
    ],
)
async def test_addresses_of_clouds_and_nonsense_are_not_asked(url: str) -> None:
    asked = await ask("GET", url)
    assert (asked.status, asked.document) == (0, {})
    assert asked.why


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("model", {"model": "openai:x", "url": "http://169.254.169.254/v1"}),
        ("model", {"model": "openai:", "url": "http://0.0.0.0:9/v1"}),
        ("livekit", {"url": "ws://[fe80::1]", "key": "key", "secret": "s" * 32}),
        ("redis", {"url": "redis://[::ffff:169.254.169.254]:80/0"}),
    ],
)
async def test_no_kind_of_trial_asks_such_addresses(world: World, kind: str, given: dict[str, str]) -> None:
    found = await tried(world, kind, **given)
    assert (found["state"], found["detail"]) == ("degraded", REFUSED)


async def test_this_machine_is_asked_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "localhost" is ::1 and 127.0.0.1 on most machines, and many servers listen on one of them."""

    async def two(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ("::1", port, 0, 0)), (0, 0, 0, "", ("127.0.0.1", port))]

    async with a_server(lambda path, headers: (200, {"rooms": []})) as url:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
        assert (await ask("GET", url.replace("127.0.0.1", "localhost"))).status == 200


async def test_redirects_long_answers_and_silence_are_survived() -> None:
    follow = b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with a_server(lambda path, headers: follow) as url:
        assert (await ask("GET", url)).status == 302
    endless = b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n" + b'["' + b"x" * 1_000_000
    async with a_server(lambda path, headers: endless) as url:
        assert (await ask("GET", url)).why == "Its answer is too long."
    async with a_server(lambda path, headers: b"\x00\xff nonsense\r\n\r\n") as url:
        assert (await ask("GET", url)).status == 0

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side has had enough
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        assert "within" in (await ask("GET", f"http://127.0.0.1:{port}/", seconds=0.2)).why
        await asyncio.sleep(0.05)


async def test_storage_is_measured_and_backed_up(world: World) -> None:
    await world.say(world.owner, "web:x", "keep me")
    async with world.client(world.owner) as client:
        assert (await client.get("/api/backups")).json() == {"items": [], "next": None}
        made = await client.post("/api/backups")
        assert made.status_code == 201, made.text
        assert (await client.get("/api/backups")).json()["items"] == [made.json()]
    file = world.settings.data_dir / "backups" / made.json()["name"]
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    facts = {fact["label"]: fact["value"] for fact in (await tried(world, "storage"))["facts"]}
    assert "UTC" in facts["Last backup"]


@pytest.mark.parametrize(
    "body", [{}, {"kind": "x"}, {"kind": "redis", "given": {"host": "x"}}, {"kind": "redis", "given": {"url": 7}}]
)
async def test_what_cannot_be_tried_is_refused(world: World, body: object) -> None:
    async with world.client(world.owner) as client:
        error_of(await client.post("/api/setup/test", json=body), 422)


async def test_redis_that_is_not_there_says_so_without_the_password(world: World) -> None:
    found = await tried(world, "redis", url=f"redis://:{SECRET}@127.0.0.1:1/0")
    assert found["state"] == "degraded"
    assert SECRET not in json.dumps(found)
    speech = await tried(world, "speech")
    assert (speech["state"], speech["detail"][:15]) == ("ok", "It speaks and h")
