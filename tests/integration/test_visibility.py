"""Who sees what: two members, an operator and the owner, on every route, socket and page, as one table.

Ada has one of everything, most of it holding the word "heron". The lines of `ROUTES` say for every route and method
what the others get. A route without a line fails: decide who may see it, and add its line. The same for pages.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from antiphon.console.navigation import PAGES
from antiphon.domain.identity import Role
from antiphon.run.asgi import Door
from antiphon.run.pages import build_pages
from tests.integration.api_world import FAR_AWAY, ORIGIN, Someone, World
from tests.integration.test_api_access import api_routes, filled, something_of_everything, ws_code

WORD = "heron"

# What Ben (member), Olga (operator) and the owner get: "word", an answer with Ada's word in it; "own", one without it
# (about themself, or about Ada what is nobody's secret); "none", 404 as if it were not there; "no", 403; "unread", 422
# for an empty body, looked at before anything else. The owner does no deeds here: an owner may end what they want.
SELF = ("own", "own", "own")
HIDDEN = ("none", "none", "none")
LISTED = ("own", "word", "word")
WATCHED = ("none", "word", "word")
FOLLOWED = ("none", "own", "own")
OPERATORS = ("no", "own", "own")
OPERATORS_SELF = ("no", "none", "none")
OPERATORS_UNREAD = ("no", "unread", "unread")
WATCHED_UNREAD = ("none", "unread", "unread")
UNREAD = ("unread", "unread", "unread")

ROUTES: dict[tuple[str, str], tuple[str, str, str]] = {
    ("GET", "/api/health"): SELF,
    ("GET", "/api/session"): SELF,
    ("GET", "/api/me"): SELF,
    ("GET", "/api/account"): SELF,
    ("GET", "/api/sessions"): SELF,
    ("GET", "/api/users"): OPERATORS,
    ("GET", "/api/users/<str:id>"): OPERATORS,
    ("GET", "/api/keys"): OPERATORS,
    ("GET", "/api/channels"): SELF,
    ("GET", "/api/channels/<str:key>"): HIDDEN,
    ("GET", "/api/channels/<str:key>/messages"): HIDDEN,
    ("GET", "/api/channels/<str:key>/events"): HIDDEN,
    ("GET", "/api/attachments/<str:id>"): HIDDEN,
    ("GET", "/api/channels/<str:key>/threads"): HIDDEN,
    ("GET", "/api/history"): LISTED,
    ("GET", "/api/history/<str:id>"): HIDDEN,
    ("GET", "/api/people"): OPERATORS,
    ("GET", "/api/threads"): SELF,
    ("GET", "/api/threads/<str:id>/export"): HIDDEN,
    ("POST", "/api/threads/import"): UNREAD,
    ("GET", "/api/tasks/<str:id>/turns"): FOLLOWED,
    ("GET", "/api/usage"): SELF,
    ("GET", "/api/settings"): OPERATORS,
    ("PATCH", "/api/settings"): OPERATORS_UNREAD,
    ("GET", "/api/backups"): OPERATORS,
    ("POST", "/api/backups"): OPERATORS,
    ("POST", "/api/setup/test"): OPERATORS_UNREAD,
    ("GET", "/api/events"): OPERATORS,
    ("GET", "/api/events/stream"): OPERATORS,
    ("GET", "/api/logs"): OPERATORS,
    ("GET", "/api/logs/stream"): OPERATORS,
    ("GET", "/api/demo"): OPERATORS_SELF,
    ("GET", "/api/demo/stream"): OPERATORS_SELF,
    ("POST", "/api/demo/say"): OPERATORS_SELF,
    ("POST", "/api/demo/press"): OPERATORS_SELF,
    ("POST", "/api/demo/form"): OPERATORS_SELF,
    ("POST", "/api/demo/voice"): OPERATORS_SELF,
    ("POST", "/api/demo/people"): OPERATORS_SELF,
    ("GET", "/api/panels"): LISTED,
    ("GET", "/api/panels/stream"): SELF,
    ("GET", "/api/panels/<str:name>"): WATCHED,
    ("GET", "/api/threads/<str:id>"): HIDDEN,
    ("GET", "/api/tasks"): SELF,
    ("GET", "/api/tasks/<str:id>"): FOLLOWED,
    ("GET", "/api/approvals"): SELF,
    ("GET", "/api/approvals/<str:id>"): HIDDEN,
    ("GET", "/api/reminders"): SELF,
    ("GET", "/api/memories"): SELF,
    ("GET", "/api/feedback"): SELF,
    ("GET", "/api/proposals"): SELF,
    ("GET", "/api/channels/<str:key>/settings"): HIDDEN,
    ("GET", "/api/servers"): LISTED,
    ("GET", "/api/servers/<str:id>"): WATCHED,
    ("GET", "/api/servers/<str:id>/discord"): FOLLOWED,
    ("GET", "/api/voice/options"): SELF,
    ("GET", "/api/voice/sessions"): SELF,
    ("GET", "/api/voice/sessions/<str:id>"): HIDDEN,
    ("DELETE", "/api/voice/sessions/<str:id>"): HIDDEN,
    ("GET", "/api/voice/sessions/<str:id>/recording"): HIDDEN,
    ("GET", "/token"): UNREAD,
    ("GET", "/api/voice/token"): UNREAD,
    ("POST", "/session"): UNREAD,
    ("POST", "/api/voice/session"): UNREAD,
    ("DELETE", "/session/<str:id>"): HIDDEN,
    ("DELETE", "/api/voice/session/<str:id>"): HIDDEN,
    ("GET", "/transcripts/<str:id>"): HIDDEN,
    ("GET", "/api/voice/transcripts/<str:id>"): HIDDEN,
    ("GET", "/api/docs"): SELF,
    ("GET", "/api/schema"): SELF,
    ("GET", "/^api(?:/.*)?$"): HIDDEN,
    ("POST", "/api/session"): UNREAD,
    ("PATCH", "/api/me"): SELF,
    ("POST", "/api/me/export"): SELF,
    ("POST", "/api/me/erase"): UNREAD,
    ("POST", "/api/account/password"): UNREAD,
    ("POST", "/api/account/totp"): UNREAD,
    ("POST", "/api/account/totp/confirm"): UNREAD,
    ("POST", "/api/account/totp/end"): UNREAD,
    ("DELETE", "/api/sessions/<str:id>"): HIDDEN,
    ("POST", "/api/users"): OPERATORS_UNREAD,
    ("PATCH", "/api/users/<str:id>"): OPERATORS,
    ("POST", "/api/users/<str:id>/link"): OPERATORS,
    ("POST", "/api/users/<str:id>/reset"): OPERATORS,
    ("POST", "/api/keys"): OPERATORS_UNREAD,
    ("DELETE", "/api/keys/<str:id>"): OPERATORS_SELF,
    ("PATCH", "/api/channels/<str:key>"): HIDDEN,
    ("POST", "/api/channels/<str:key>/messages"): UNREAD,
    ("POST", "/api/channels/<str:key>/attachments"): HIDDEN,
    ("DELETE", "/api/attachments/<str:id>"): HIDDEN,
    ("POST", "/api/threads/<str:id>/close"): HIDDEN,
    ("POST", "/api/tasks/<str:id>/cancel"): FOLLOWED,
    ("POST", "/api/tasks/<str:id>/retry"): FOLLOWED,
    ("POST", "/api/approvals/<str:id>/approve"): HIDDEN,
    ("POST", "/api/approvals/<str:id>/deny"): HIDDEN,
    ("POST", "/api/reminders"): UNREAD,
    ("PATCH", "/api/reminders/<str:id>"): HIDDEN,
    ("DELETE", "/api/reminders/<str:id>"): HIDDEN,
    ("POST", "/api/memories/restore"): UNREAD,
    ("DELETE", "/api/memories/<str:id>"): HIDDEN,
    ("DELETE", "/api/feedback/<str:id>"): HIDDEN,
    ("POST", "/api/proposals/<str:id>/accept"): HIDDEN,
    ("POST", "/api/proposals/<str:id>/deny"): HIDDEN,
    ("PATCH", "/api/channels/<str:key>/settings"): HIDDEN,
    ("PATCH", "/api/servers/<str:id>"): WATCHED_UNREAD,
    ("PATCH", "/api/servers/<str:id>/discord"): FOLLOWED,
    ("POST", "/api/messages/<str:id>/feedback"): HIDDEN,
    ("POST", "/^api(?:/.*)?$"): HIDDEN,
    ("PUT", "/^api(?:/.*)?$"): HIDDEN,
    ("PATCH", "/^api(?:/.*)?$"): HIDDEN,
    ("DELETE", "/^api(?:/.*)?$"): HIDDEN,
}
ENDS_THE_VISIT = {("DELETE", "/api/session"), ("DELETE", "/api/sessions")}
"""Only ever about the visitor's own sessions; asked by the tests of sessions."""

ENDLESS = "/stream"
"""The end of routes that answer for ever: only those who are refused get to the end of an answer here."""

PAGE_ROLES: dict[str, str] = {
    "/": "member",
    "/c/<channel>": "member",
    "/voice": "member",
    "/voice/past": "member",
    "/voice/past/<session>": "member",
    "/approvals": "member",
    "/history": "member",
    "/history/<channel>": "member",
    "/tasks": "member",
    "/tasks/<int:id>": "member",
    "/threads": "member",
    "/dashboard": "member",
    "/reminders": "member",
    "/memories": "member",
    "/usage": "member",
    "/status": "member",
    "/account": "member",
    "/people": "operator",
    "/users": "operator",
    "/keys": "operator",
    "/settings": "operator",
    "/setup": "operator",
    "/events": "operator",
    "/logs": "operator",
    "/admin/": "owner",
    "/api/docs": "owner",
}
"""The least role that gets a page. A page without a line fails."""


@contextlib.asynccontextmanager
async def visitors(world: World) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """The browsers of Ben, Olga and the owner."""
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for name, role in (("ben", Role.MEMBER), ("olga", Role.OPERATOR), ("owner", None)):
            user = world.owner.user if role is None else await world.stores.users.create(name, role)
            found[name] = await stack.enter_async_context(world.signed_in(Someone(user, "", 0)))
        yield found


def outcome(answer: httpx.Response) -> str:
    """The word of an answer, as in the table."""
    if answer.is_success:
        return "word" if WORD in answer.text else "own"
    return {403: "no", 404: "none", 422: "unread"}.get(answer.status_code, str(answer.status_code))


def lines_of(world: World) -> set[tuple[str, str]]:
    """Every route with its methods, as the resolver has them."""
    return {(method, route) for route, view in api_routes(world) for method in view().allowed_methods} - {
        ("OPTIONS", route) for route, _ in api_routes(world)
    }


async def test_every_route_has_its_line_and_no_line_is_without_a_route(world: World) -> None:
    assert lines_of(world) - ROUTES.keys() - ENDS_THE_VISIT == set(), "add the line: who may see it?"
    assert ROUTES.keys() - lines_of(world) == set()


async def everything_of(world: World, who: Someone, ids: dict[str, str]) -> dict[str, str]:
    """What `who` finds on every route that reads, without the times that move by themselves."""
    found = {}
    async with world.client(who) as client:
        for method, route in sorted(ROUTES):
            if method == "GET" and not route.endswith(("/events", ENDLESS, "/health", "/schema", "/sessions")):
                found[route] = (await client.get(filled(route, ids))).text
    return found


async def test_the_matrix_of_who_reads_what(world: World) -> None:
    ids = await something_of_everything(world, world.other)
    wrong = {}
    async with visitors(world) as browsers:
        for (method, route), expected in ROUTES.items():
            if method == "GET":
                for browser, word in zip(browsers.values(), expected, strict=True):
                    if route.endswith(ENDLESS) and word not in ("no", "none"):
                        continue
                    if (got := outcome(await browser.get(filled(route, ids)))) != word:
                        wrong[route] = (got, expected)
    assert wrong == {}
    mine = await everything_of(world, world.other, ids)
    assert sum(WORD in text for text in mine.values()) >= 12, "Ada herself sees what the others do not"


@pytest.mark.parametrize(("name", "column"), [("ben", 0), ("olga", 1)])
async def test_the_matrix_of_who_does_what(world: World, name: str, column: int) -> None:
    """Refused deeds leave everything of Ada's as it was."""
    ids = await something_of_everything(world, world.other)
    wrong = {}
    async with visitors(world) as browsers:
        before = await everything_of(world, world.other, ids)
        for (method, route), expected in ROUTES.items():
            if method == "GET" or expected[column] == "own":
                continue
            body = {"text": "forged"} if route.endswith("/messages") else {}
            got = outcome(await browsers[name].request(method, filled(route, ids), json=body))
            if got != (expected[column] if not body else "none"):
                wrong[method, route] = (got, expected[column])
        assert wrong == {}
        assert await everything_of(world, world.other, ids) == before
        for (method, route), expected in ROUTES.items():  # last: what they may do changes things
            if method != "GET" and expected[column] == "own":
                answer = await browsers[name].request(method, filled(route, ids), json={})
                assert outcome(answer) == "own", (method, route, answer.text)


async def test_nobody_else_listens(world: World) -> None:
    await something_of_everything(world, world.other)
    async with visitors(world) as browsers, world.served() as address:
        for browser in browsers.values():
            cookie = {"Cookie": f"antiphon_session={browser.cookies['antiphon_session']}"}
            assert await ws_code(address, "/ws/channels/web:theirs", additional_headers=cookie) == 4404


async def test_every_page_has_its_role(world: World) -> None:
    """Through the door and the pages as the program has them; what stands in a page comes from the routes above."""
    assert {page.path for page in PAGES} == PAGE_ROLES.keys(), "add the line: who may see the page?"
    app = world.api.edge_around(Door(build_pages(world.settings), world.api.principal_of))
    transport = httpx.ASGITransport(app=app, client=FAR_AWAY)
    async with visitors(world) as browsers, httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        for page in PAGES:
            assert page.role == PAGE_ROLES[page.path], page.path
            if not page.template:
                continue  # answered by the API, which has its own line or its own test
            path = page.path.replace("<channel>", "web:theirs").replace("<int:id>", "1")
            path = path.replace("<session>", "s1")
            stranger = await client.get(path)
            assert (stranger.status_code, stranger.headers["location"][:8]) == (303, "/sign-in"), path
            for name, role in (("ben", Role.MEMBER), ("olga", Role.OPERATOR), ("owner", Role.OWNER)):
                cookie = {"Cookie": f"antiphon_session={browsers[name].cookies['antiphon_session']}"}
                answer = await client.get(path, headers=cookie)
                may = role.rank >= page.role.rank
                assert answer.status_code == (200 if may else 404), (path, name)
                assert WORD not in answer.text
