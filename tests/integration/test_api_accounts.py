"""Passwords, second factor, sessions, and who may manage whose login."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import httpx
import pyotp
import pytest

from antiphon.domain.identity import Role
from tests.integration.api_world import Someone, World, both_engines
from tests.integration.test_api_messages import error_of

PASSWORD = "a long enough phrase"
OTHER_PASSWORD = "quite another phrase 7"


async def a_user(world: World, name: str, role: Role) -> Someone:
    user = await world.stores.users.create(name, role)
    key, secret = await world.stores.keys.create(f"key of {name}", ["chat", "admin"], user.person)
    return Someone(user, secret, key.id)


async def with_password(world: World, who: Someone, password: str = PASSWORD) -> None:
    await world.stores.credentials.set_password(who.user.id, password)


async def try_in(
    world: World, name: str, password: str, code: str | None = None, *, peer: tuple[str, int] = ("198.51.100.1", 5)
) -> httpx.Response:
    body = {"name": name, "password": password, **({} if code is None else {"code": code})}
    async with world.client(peer=peer) as client:
        return await client.post("/api/session", json=body)


@both_engines
async def test_a_password_signs_in_and_every_wrong_one_gets_the_same_answer(world: World) -> None:
    await with_password(world, world.owner)
    good = await try_in(world, "owner", PASSWORD)
    assert (good.status_code, good.json()["role"]) == (200, "owner")
    wrong = [
        await try_in(world, name, password, peer=(f"198.51.100.{number}", 5))
        for number, (name, password) in enumerate(
            [("owner", "wrong"), ("nobody", PASSWORD), ("other", PASSWORD), ("owner", "x" * 1024)]
        )
    ]
    assert {(answer.status_code, answer.text) for answer in wrong} == {(401, wrong[0].text)}
    await world.stores.users.create("second", Role.OWNER)
    await world.stores.users.disable(world.owner.user.id)
    assert (await try_in(world, "owner", PASSWORD)).text == wrong[0].text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "owner"},
        {"password": "x"},
        {"token": "x", "name": "owner", "password": "x"},
        {"name": "owner", "password": 7},
        {"name": "owner", "password": "x\x00"},
        {"name": "owner", "password": "x" * 2000},
        {"name": "owner", "password": "x", "code": "1" * 50},
        {"name": "owner", "password": "x", "role": "owner"},
    ],
)
async def test_half_a_proof_is_refused_by_name(world: World, body: dict[str, Any]) -> None:
    async with world.client() as client:
        assert error_of(await client.post("/api/session", json=body), 422)["fields"]


@pytest.mark.parametrize("password", ["short", "password123", "123456789012", "owner1234", "", "x" * 1025])
async def test_weak_passwords_are_refused_with_the_reason(world: World, password: str) -> None:
    async with world.signed_in(world.owner) as client:
        answer = await client.post("/api/account/password", json={"password": password})
        assert "password" in error_of(answer, 422)["fields"]
        assert (await client.get("/api/account")).json()["password"] is False


@both_engines
async def test_a_new_password_needs_the_old_one_and_signs_everybody_else_out(world: World) -> None:
    async with world.signed_in(world.owner) as client, world.signed_in(world.owner) as elsewhere:
        assert (await client.post("/api/account/password", json={"password": PASSWORD})).status_code == 200
        error_of(await elsewhere.get("/api/me"), 401)
        assert (await client.get("/api/me")).status_code == 200
        change = {"password": OTHER_PASSWORD}
        assert "current" in error_of(await client.post("/api/account/password", json=change), 422)["fields"]
        answer = await client.post("/api/account/password", json={**change, "current": PASSWORD})
        assert answer.status_code == 200
    assert (await try_in(world, "owner", PASSWORD)).status_code == 401
    assert (await try_in(world, "owner", OTHER_PASSWORD)).status_code == 200


async def test_a_key_can_neither_choose_a_password_nor_see_sessions(world: World) -> None:
    async with world.client(world.owner) as client:
        for method, path in (
            ("GET", "/api/account"),
            ("POST", "/api/account/password"),
            ("POST", "/api/account/totp"),
            ("GET", "/api/sessions"),
            ("DELETE", "/api/sessions"),
        ):
            body = {"password": PASSWORD} if method == "POST" else None
            error_of(await client.request(method, path, json=body), 403)
    assert not (await world.stores.users.get(world.owner.user.id)).password


async def second_factor(world: World, client: httpx.AsyncClient) -> tuple[str, list[str]]:
    """Turn it on; the secret and the recovery codes."""
    begun = await client.post("/api/account/totp", json={"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    secret = begun.json()["secret"]
    assert begun.json()["qr"].startswith("data:image/svg+xml")
    wrong = await client.post("/api/account/totp/confirm", json={"code": "000000"})
    assert "code" in error_of(wrong, 422)["fields"]
    codes = await client.post("/api/account/totp/confirm", json={"code": pyotp.TOTP(secret).now()})
    return secret, codes.json()["recovery_codes"]


@both_engines
async def test_the_second_factor_is_asked_for_and_each_code_works_once(world: World) -> None:
    async with world.signed_in(world.owner) as client:
        error_of(await client.post("/api/account/totp", json={"password": PASSWORD}), 422)  # no password yet
        await client.post("/api/account/password", json={"password": PASSWORD})
        secret, recovery = await second_factor(world, client)
        assert len(set(recovery)) == 10
        used = pyotp.TOTP(secret).now()
        assert error_of(await try_in(world, "owner", PASSWORD), 401)["code"] == "second_factor"
        assert error_of(await try_in(world, "owner", "wrong", used), 401)["code"] == "unauthenticated"
        assert error_of(await try_in(world, "owner", PASSWORD, used), 401)["code"] == "unauthenticated"  # confirmed it
        assert error_of(await try_in(world, "owner", PASSWORD, "nonsense"), 401)["code"] == "unauthenticated"
        assert (await try_in(world, "owner", PASSWORD, recovery[0].upper())).status_code == 200
        assert (await try_in(world, "owner", PASSWORD, recovery[0])).status_code == 401
        assert (await client.get("/api/account")).json()["recovery_codes_left"] == 9
        assert (await client.post("/api/account/totp/end", json={"password": "wrong"})).status_code == 422
        assert (await client.post("/api/account/totp/end", json={"password": PASSWORD})).json()["totp"] is False
    assert (await try_in(world, "owner", PASSWORD)).status_code == 200


async def test_a_recovery_code_used_at_once_by_two_opens_for_one(world: World) -> None:
    async with world.signed_in(world.owner) as client:
        await client.post("/api/account/password", json={"password": PASSWORD})
        _, recovery = await second_factor(world, client)
    answers = await asyncio.gather(*(try_in(world, "owner", PASSWORD, recovery[0]) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_guessing_is_slowed_down_and_cannot_lock_the_owner_out(world: World) -> None:
    await with_password(world, world.owner)
    at_home = ("192.0.2.7", 5)
    assert (await try_in(world, "owner", PASSWORD, peer=at_home)).status_code == 200
    statuses = [
        (await try_in(world, "owner", "wrong", peer=(f"198.51.100.{number}", 5))).status_code for number in range(14)
    ]
    assert statuses[:10] == [401] * 10
    assert set(statuses[10:]) == {429}
    refused = await try_in(world, "owner", PASSWORD, peer=("198.51.100.99", 5))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 60
    assert (await try_in(world, "owner", PASSWORD, peer=at_home)).status_code == 200
    token = await world.stores.users.sign_in_token(world.owner.user.id, timedelta(minutes=15))
    async with world.client() as client:
        assert (await client.post("/api/session", json={"token": token})).status_code == 200


async def test_unknown_names_are_slowed_down_like_known_ones(world: World) -> None:
    statuses = [
        (await try_in(world, "nobody", "wrong", peer=(f"198.51.100.{number}", 5))).status_code for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


@both_engines
async def test_sessions_are_listed_and_ended(world: World) -> None:
    agent = {"User-Agent": "Firefox on Linux\u200b"[:16]}
    async with world.signed_in(world.owner) as here, world.signed_in(world.owner) as there:
        await there.get("/api/me", headers=agent)
        items = (await here.get("/api/sessions")).json()["items"]
        assert [item["current"] for item in items].count(True) == 1
        assert {item["address"] for item in items} == {"203.0.113.9"}
        assert not any(here.cookies["antiphon_session"] in str(item) for item in items)
        other = next(item for item in items if not item["current"])
        async with world.signed_in(world.other) as stranger:
            error_of(await stranger.delete(f"/api/sessions/{other['id']}"), 404)
        assert (await here.delete(f"/api/sessions/{other['id']}")).status_code == 204
        error_of(await there.get("/api/me"), 401)
        error_of(await here.delete(f"/api/sessions/{other['id']}"), 404)
        async with world.signed_in(world.owner) as third:
            assert (await here.delete("/api/sessions")).status_code == 204
            error_of(await third.get("/api/me"), 401)
        assert (await here.get("/api/me")).status_code == 200


@both_engines
async def test_locking_out_ends_sessions_sockets_and_keys_at_once(world: World) -> None:
    member = await a_user(world, "mallory", Role.MEMBER)
    await world.say(member, "web:mallory", "hello")
    ended: list[str] = []
    watched = contextlib.ExitStack()
    async with world.signed_in(member) as session, world.client(member) as by_key, world.client(world.owner) as owner:
        for client, headers in ((session, session.headers), (by_key, by_key.headers)):
            assert (await client.get("/api/me")).status_code == 200
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            scope = {"headers": [(b"cookie", cookie.encode())] if cookie else []}
            if "authorization" in headers:
                scope["headers"].append((b"authorization", headers["authorization"].encode()))
            identity = await world.api.state.auth.identify(scope)
            assert identity is not None
            watched.enter_context(
                world.api.state.auth.watch(identity, scope, lambda who=identity.digest: ended.append(who))
            )
        assert (await owner.patch(f"/api/users/{member.user.id}", json={"active": False})).status_code == 200
        assert len(ended) == 2
        error_of(await session.get("/api/me"), 401)
        error_of(await by_key.get("/api/me"), 401)
        assert (await owner.patch(f"/api/users/{member.user.id}", json={"active": True})).status_code == 200
        error_of(await session.get("/api/me"), 401)
        assert (await by_key.get("/api/me")).status_code == 200
    watched.close()


async def test_who_manages_whom(world: World) -> None:
    operator = await a_user(world, "olga", Role.OPERATOR)
    peer = await a_user(world, "otto", Role.OPERATOR)
    member = await a_user(world, "mia", Role.MEMBER)
    async with world.client(operator) as client:
        listed = {item["name"]: item["manageable"] for item in (await client.get("/api/users")).json()["items"]}
        assert listed == {"owner": False, "other": True, "olga": False, "otto": False, "mia": True}
        for who in (world.owner, operator, peer):
            path = f"/api/users/{who.user.id}"
            error_of(await client.patch(path, json={"active": False}), 403)
            error_of(await client.post(f"{path}/link"), 403)
            error_of(await client.post(f"{path}/reset"), 403)
        error_of(await client.patch(f"/api/users/{member.user.id}", json={"role": "operator"}), 403)
        error_of(await client.post("/api/users", json={"name": "eve", "role": "owner"}), 403)
        assert (await client.post("/api/users", json={"name": "eve", "role": "member"})).status_code == 201
        error_of(await client.post("/api/users", json={"name": "eve", "role": "member"}), 409)
    async with world.client(member) as client:  # its key carries the scope admin, its person no role
        error_of(await client.get("/api/users"), 403)
        error_of(await client.post("/api/users", json={"name": "x", "role": "member"}), 403)
        error_of(await client.get(f"/api/users/{world.owner.user.id}"), 404)
    async with world.client(world.owner) as client:
        error_of(await client.patch(f"/api/users/{world.owner.user.id}", json={"role": "member"}), 403)
        for body in ({"role": "king"}, {"active": "no"}, {"active": 1}, {"name": "x"}):
            error_of(await client.patch(f"/api/users/{member.user.id}", json=body), 422)


async def test_an_invitation_opens_the_door_once(world: World) -> None:
    async with world.signed_in(world.owner) as client:
        invited = (await client.post("/api/users", json={"name": "ines", "role": "member"})).json()
        url = invited["link"]["url"]
        assert url.startswith("http://localhost:8000/welcome/")
        await client.patch(f"/api/users/{invited['user']['id']}", json={"active": False})
        error_of(await client.post(f"/api/users/{invited['user']['id']}/link"), 409)
    async with world.client() as client:
        token = {"token": url.rpartition("/")[2]}
        error_of(await client.post("/api/session", json=token), 401)  # the link went with the login
