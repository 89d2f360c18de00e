"""Signing in by link, what the session may do, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import httpx
import pytest

from antiphon.config import HttpSettings, Settings
from tests.integration.api_world import ORIGIN, Someone, World, a_world, both_engines
from tests.integration.test_api_messages import error_of


async def link_token(world: World, who: Someone) -> str:
    return await world.stores.users.sign_in_token(who.user.id, timedelta(minutes=15))


def session_cookie(answer: httpx.Response) -> SimpleCookie:
    (line,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith("antiphon_session=")]
    return SimpleCookie(line)


@both_engines
async def test_a_link_signs_in_once(world: World) -> None:
    token = await link_token(world, world.owner)
    async with world.client() as client:
        answer = await client.post("/api/session", json={"token": token})
        assert answer.status_code == 200
        me = answer.json()
        assert me == {
            "user": str(world.owner.user.id),
            "person": str(world.owner.person),
            "role": "owner",
            "csrf": me["csrf"],
        }
        assert (await client.get("/api/session")).json() == me
        assert (await client.get("/api/me")).json()["scopes"] == ["admin", "chat", "metrics"]
    async with world.client() as client:
        error_of(await client.post("/api/session", json={"token": token}), 401)
        assert "antiphon_session" not in client.cookies


async def test_the_cookie_cannot_be_read_by_scripts_nor_sent_by_other_sites(world: World) -> None:
    token = await link_token(world, world.owner)
    async with world.client() as client:
        morsel = session_cookie(await client.post("/api/session", json={"token": token}))["antiphon_session"]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/")


async def test_every_bad_link_gets_the_same_answer(world: World) -> None:
    expired = await world.stores.users.sign_in_token(world.owner.user.id, timedelta(seconds=-1))
    answers = set()
    async with world.client() as client:
        for token in ("x", "", "' OR 1=1 --", expired, "ä" * 200):
            answer = await client.post("/api/session", json={"token": token})
            if token == "":
                error_of(answer, 422)
            else:
                error_of(answer, 401)
                answers.add(answer.text)
    assert len(answers) == 1


async def test_signing_in_never_continues_an_existing_session(world: World) -> None:
    """Session fixation: a key planted in the browser before must be worth nothing afterwards."""
    async with world.signed_in(world.other) as client:
        planted = client.cookies["antiphon_session"]
        token = await link_token(world, world.owner)
        answer = await client.post("/api/session", json={"token": token})
        assert session_cookie(answer)["antiphon_session"].value != planted
    async with world.client(cookies={"antiphon_session": planted}) as client:
        error_of(await client.get("/api/me"), 401)
    async with world.client(cookies={"antiphon_session": "a" * 32}) as client:
        answer = await client.post("/api/session", json={"token": await link_token(world, world.owner)})
        assert session_cookie(answer)["antiphon_session"].value != "a" * 32


async def test_another_site_cannot_sign_the_visitor_in(world: World) -> None:
    token = await link_token(world, world.owner)
    async with world.client(headers={"Origin": "https://evil.example"}) as client:
        error_of(await client.post("/api/session", json={"token": token}), 403)
        form = {"Content-Type": "text/plain"}
        error_of(await client.post("/api/session", content=f'{{"token": "{token}"}}', headers=form), 403)
    async with world.client() as client:
        error_of(await client.post("/api/session", content=f'{{"token": "{token}"}}', headers=form), 415)
        assert (await client.post("/api/session", json={"token": token})).status_code == 200


@both_engines
async def test_guessing_links_is_slowed_down_per_address(world: World) -> None:
    async with world.client() as client:
        answers = [await client.post("/api/session", json={"token": f"guess-{n}"}) for n in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
    async with world.client(peer=("198.51.100.7", 1)) as client:
        error_of(await client.post("/api/session", json={"token": "guess"}), 401)


async def test_unsafe_requests_of_a_session_need_its_token(world: World) -> None:
    async with world.signed_in(world.owner) as client, world.signed_in(world.other) as other:
        good, foreign = client.headers["X-CSRFToken"], other.headers["X-CSRFToken"]
        for token in (None, "", "x", foreign, good[:-1], good.upper() + "x"):
            headers = {"X-CSRFToken": token} if token is not None else {}
            del client.headers["X-CSRFToken"]
            error_of(await client.patch("/api/me", json={"name": "Wren"}, headers=headers), 403)
            error_of(await client.delete("/api/session", headers=headers), 403)
            assert (await client.get("/api/me")).status_code == 200
            client.headers["X-CSRFToken"] = good
        assert (await client.patch("/api/me", json={"name": "Wren"})).status_code == 200


async def test_unsafe_requests_of_a_session_must_come_from_our_own_pages(world: World) -> None:
    async with world.signed_in(world.owner) as client:
        for origin in ("https://evil.example", "null", "http://localhost:9999", "https://localhost:8000", ""):
            error_of(await client.patch("/api/me", json={"name": "x"}, headers={"Origin": origin}), 403)
        assert (await client.patch("/api/me", json={"name": "Wren"}, headers={"Origin": ORIGIN})).status_code == 200


async def test_keys_need_no_csrf_token_and_no_origin(world: World) -> None:
    async with world.client(world.owner, headers={"Origin": "https://my-own-tool.example"}) as client:
        assert (await client.patch("/api/me", json={"name": "Wren"})).status_code == 200


@both_engines
async def test_signing_out_ends_the_session_at_once(world: World) -> None:
    async with world.signed_in(world.owner) as client:
        cookie = client.cookies["antiphon_session"]
        answer = await client.delete("/api/session")
        assert answer.status_code == 204
        assert session_cookie(answer)["antiphon_session"].value == ""
    async with world.client(cookies={"antiphon_session": cookie}) as client:
        error_of(await client.get("/api/me"), 401)


async def test_a_key_cannot_sign_out(world: World) -> None:
    async with world.client(world.owner) as client:
        assert (await client.get("/api/session")).json()["csrf"] is None
        error_of(await client.delete("/api/session"), 403)


async def test_sessions_that_ran_out_are_worth_nothing_and_are_thrown_away(world: World) -> None:
    from django.contrib.sessions.models import Session

    async with world.signed_in(world.other) as client:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await world.stores.database.run(lambda _tx: Session.objects.update(expire_date=past))
        error_of(await client.get("/api/me"), 401)
    async with world.signed_in(world.owner):
        assert await world.stores.database.read(lambda _tx: Session.objects.count()) == 1


async def test_a_disabled_login_is_out_at_once(world: World) -> None:
    from antiphon.store.models import User

    async with world.signed_in(world.other) as client:
        assert (await client.get("/api/me")).status_code == 200
        disable = lambda _tx: User.objects.filter(pk=world.other.user.id).update(is_active=False)  # noqa: E731
        await world.stores.database.run(disable)
        error_of(await client.get("/api/me"), 401)


@pytest.mark.parametrize("cookie", ["", "x", "a" * 32, "a" * 5000, "é", "'; DROP TABLE", '"a;b"', "=", "\x7f"])
async def test_a_cookie_that_is_no_session_is_nobody(world: World, cookie: str) -> None:
    async with world.client(headers={"Cookie": f"bad:name=1; antiphon_session={cookie}".encode()}) as client:
        error_of(await client.get("/api/me"), 401)


async def test_other_cookies_of_the_host_do_not_hide_the_session(world: World) -> None:
    """Cookies are shared by every port of a host, and other programs set odd ones."""
    async with world.signed_in(world.owner) as client:
        cookie = client.cookies["antiphon_session"]
    odd = f'a:b[c]=1; x="un; {{}}; antiphon_session={cookie}; ,=;;z'
    async with world.client(headers={"Cookie": odd}) as client:
        assert (await client.get("/api/me")).status_code == 200


async def test_the_answers_of_two_signed_in_tabs_agree(world: World) -> None:
    async with world.signed_in(world.owner) as one, world.client(cookies=dict(one.cookies)) as two:
        assert (await two.get("/api/session")).json()["csrf"] == one.headers["X-CSRFToken"]


async def test_over_https_the_cookie_is_secure(world_settings: Settings) -> None:
    http = HttpSettings(public_url="https://chat.example.org", trusted_proxies=("10.0.0.1",))
    async with (
        a_world(world_settings.model_copy(update={"http": http})) as world,
        world.client(headers={"Host": "chat.example.org"}) as client,
    ):
        answer = await client.post("/api/session", json={"token": await link_token(world, world.owner)})
    assert session_cookie(answer)["antiphon_session"]["secure"] is True
