"""The OpenAPI description: valid 3.1, complete both ways, and true: real answers match what it says."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from pyotp.totp import TOTP

from antiphon.domain.identity import Role
from antiphon.domain.memories import MemoryScope
from antiphon.domain.voice import EndReason
from tests.integration.api_world import World, both_engines
from tests.integration.test_api_access import api_routes, filled, something_of_everything
from tests.integration.test_api_messages import error_of


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """The description, built once for the tests of this module."""
    return {}


async def description(world: World, documents: dict[str, Any]) -> dict[str, Any]:
    if not documents:
        async with world.client(world.other) as client:
            answer = await client.get("/api/schema")
            assert answer.status_code == 200
            documents.update(answer.json())
    return documents


def template(route: str) -> str:
    """A route of the resolver as OpenAPI writes it."""
    return re.sub(r"<str:(\w+)>", r"{\1}", route)


ROOMS = ("/api/voice/session", "/api/voice/token")
"""What they name stands in the query or in the body, and may be somebody else's."""


async def test_it_is_an_openapi_3_1_document(
    world: World, documents: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    documents.clear()
    document = await description(world, documents)
    assert "Warning" not in capsys.readouterr().err  # the generator complains there about what it had to guess
    assert document["openapi"].startswith("3.1.")
    text = json.dumps(document)
    assert "nullable" not in text  # a word of 3.0 that 3.1 does not know
    assert set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', text)) <= set(document["components"]["schemas"])
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]


async def test_every_route_is_described_and_everything_described_is_a_route(
    world: World, documents: dict[str, Any]
) -> None:
    document = await description(world, documents)
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    real = {
        (method, template(route))
        for route, view in api_routes(world)
        for method in view().allowed_methods
        if method not in ("OPTIONS", "HEAD") and not route.startswith("/^")
    }
    assert described == real | {("GET", "/health"), ("GET", "/metrics")}


async def test_every_operation_names_its_errors_and_its_parameters(world: World, documents: dict[str, Any]) -> None:
    document = await description(world, documents)
    for path, methods in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        for method, operation in methods.items():
            responses = operation["responses"]
            assert {"400", "401", "403", "406", "413", "500", "503"} <= set(responses), (method, path)
            assert ("404" in responses) == ("{" in path or path in ROOMS or path.startswith("/api/demo"))
            assert ("415" in responses) == ("requestBody" in operation)
            for status, response in responses.items():
                if int(status) >= 400:
                    (content,) = response["content"].values()
                    assert content["schema"] == {"$ref": "#/components/schemas/Error"}
            named = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
            public = (method, path) == ("post", "/api/session")
            assert bool(operation["security"]) != public


def matches(document: dict[str, Any], answer: httpx.Response, method: str, path: str) -> None:
    """Check an answer against the description of its operation; unknown properties are mistakes too."""
    response = document["paths"][path][method.lower()]["responses"].get(str(answer.status_code))
    assert response is not None, (method, path, answer.status_code, answer.text)
    if "content" not in response:
        assert answer.content == b"", (method, path)
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    content = response["content"]
    schema = (content.get(media_type) or content["*/*"])["schema"]
    if media_type != "application/json":
        return
    closed = closed_schemas(document["components"]["schemas"])
    validator = Draft202012Validator({**schema, "components": {"schemas": closed}})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer.json())]
    assert errors == [], (method, path, answer.text)


def closed_schemas(schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**schema, "additionalProperties": False}
        if schema.get("type") == "object" and "properties" in schema
        else schema
        for name, schema in schemas.items()
    }


BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/channels/{key}/messages"): {"text": "once more"},
    ("PATCH", "/api/channels/{key}"): {"title": "a title"},
    ("PATCH", "/api/me"): {"name": "Wren"},
    ("POST", "/api/keys"): {"name": "another", "scopes": ["chat"]},
    ("POST", "/api/messages/{id}/feedback"): {"value": 1},
    ("POST", "/api/reminders"): {"channel": "web:theirs", "due_at": "2030-01-01T09:00:00Z", "rule": "FREQ=DAILY"},
    ("POST", "/api/session"): {"token": "x"},
    ("PATCH", "/api/settings"): {"values": {"system_prompt": "Be kind."}},
    ("POST", "/api/setup/test"): {"kind": "storage"},
    ("POST", "/api/me/erase"): {"confirm": "erase everything about me"},
    ("PATCH", "/api/channels/{key}/settings"): {"persona": "a pirate"},
    ("PATCH", "/api/servers/{id}"): {"persona": "a pirate"},
    ("PATCH", "/api/servers/{id}/discord"): {"prefix": "?", "names": ["dex"], "threads": True},
    ("POST", "/api/channels/{key}/attachments"): {"any": "bytes"},
}


DEMO = {f"/api/demo{rest}" for rest in ("", "/say", "/press", "/form", "/voice", "/people")}
"""Only there in a demo: test_demo asks them."""


@both_engines
async def test_real_answers_are_as_described(world: World, documents: dict[str, Any]) -> None:
    """Every operation, asked with something real there: first its good answer, then what a stranger gets."""
    document = await description(world, documents)
    ids = await something_of_everything(world, world.owner)
    spare_key, _ = await world.stores.keys.create("spare", ["chat"], world.owner.person)
    ids["keys"] = str(spare_key.id)
    good: set[tuple[str, str]] = set()
    async with world.client(world.owner) as client, world.client() as stranger:
        for route, view in api_routes(world):
            path = template(route)
            if path.startswith("/^") or path.endswith(("/events", "/stream")):
                continue
            for method in sorted(set(view().allowed_methods) - {"OPTIONS", "HEAD"}):  # DELETE comes first
                body = BODIES.get((method, path))
                for asking in (stranger, client):
                    answer = await asking.request(method, filled(route, ids), json=body)
                    matches(document, answer, method, path)
                    if answer.status_code < 300:
                        good.add((method, path))
        good |= await again_with_fresh_ones(world, client, document)
        good |= await aloud(world, client, document)
    good |= await as_a_signed_in_owner(world, document)
    described = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/") and not path.endswith(("/events", "/stream")) and path not in DEMO
    }
    # signing in needs a link and signing out a session: test_api_session has both
    assert described - good == {("POST", "/api/session"), ("DELETE", "/api/session")}


async def again_with_fresh_ones(
    world: World, client: httpx.AsyncClient, document: dict[str, Any]
) -> set[tuple[str, str]]:
    """Operations whose object was used up or in the wrong state during the walk."""
    good = set()
    receipt = await world.say(world.owner, "api:again", "hello")
    for verb in ("cancel", "retry"):
        answer = await client.post(f"/api/tasks/{receipt['task']}/{verb}")
        matches(document, answer, "POST", f"/api/tasks/{{id}}/{verb}")
        if answer.status_code == 200:
            good.add(("POST", f"/api/tasks/{{id}}/{verb}"))
    file = await client.post("/api/channels/api:again/attachments", content=b"\x89PNG\r\n\x1a\n")
    answer = await client.get(f"/api/attachments/{file.json()['id']}")
    matches(document, answer, "GET", "/api/attachments/{id}")
    if answer.status_code == 200:
        good.add(("GET", "/api/attachments/{id}"))
    talk = await world.say(world.owner, "api:moving", "hello")
    await client.post(f"/api/tasks/{talk['task']}/cancel")
    exported = await client.get(f"/api/threads/{talk['thread']}/export")
    matches(document, exported, "GET", "/api/threads/{id}/export")
    answer = await client.post("/api/threads/import", json=exported.json())
    matches(document, answer, "POST", "/api/threads/import")
    if (exported.status_code, answer.status_code) == (200, 201):
        good |= {("GET", "/api/threads/{id}/export"), ("POST", "/api/threads/import")}
    made = await client.post("/api/reminders", json={"channel": "api:again", "due_at": "2030-01-01T09:00:00Z"})
    answer = await client.patch(f"/api/reminders/{made.json()['id']}", json={"text": "stretch", "rule": "FREQ=DAILY"})
    matches(document, answer, "PATCH", "/api/reminders/{id}")
    if answer.status_code == 200:
        good.add(("PATCH", "/api/reminders/{id}"))
    memory = await world.stores.memories.remember(
        MemoryScope.PERSON, world.owner.person, "a desk", author=world.owner.person, channel="api:again", origin="again"
    )
    forgotten = await client.delete(f"/api/memories/{memory.id}")
    answer = await client.post("/api/memories/restore", json={"undo": forgotten.json()["undo"]})
    matches(document, answer, "POST", "/api/memories/restore")
    if answer.status_code == 200:
        good.add(("POST", "/api/memories/restore"))
    leaving = await world.stores.users.create("leaving", Role.MEMBER)
    _, secret = await world.stores.keys.create("leaving", ["chat"], leaving.person)
    for verb, body in (("export", None), ("erase", {"confirm": "erase everything about me"})):
        as_leaving = {"Authorization": f"Bearer {secret}"}
        answer = await client.post(f"/api/me/{verb}", json=body, headers=as_leaving)
        matches(document, answer, "POST", f"/api/me/{verb}")
        if answer.status_code == 200:
            good.add(("POST", f"/api/me/{verb}"))
    for verb in ("accept", "deny"):
        asked = await world.stores.proposals.propose(world.owner.person, verb, channel="api:again", origin=verb)
        answer = await client.post(f"/api/proposals/{asked.id}/{verb}")
        matches(document, answer, "POST", f"/api/proposals/{{id}}/{verb}")
        if answer.status_code == 200:
            good.add(("POST", f"/api/proposals/{{id}}/{verb}"))
    from tests.integration.test_api_objects import ApproverRule, ask_approval

    await client.post(f"/api/tasks/{receipt['task']}/cancel")
    for verb in ("approve", "deny"):
        approval = await ask_approval(world, world.owner, ApproverRule())
        answer = await client.post(f"/api/approvals/{approval}/{verb}")
        matches(document, answer, "POST", f"/api/approvals/{{id}}/{verb}")
        if answer.status_code == 200:
            good.add(("POST", f"/api/approvals/{{id}}/{verb}"))
    return good


async def aloud(world: World, client: httpx.AsyncClient, document: dict[str, Any]) -> set[tuple[str, str]]:
    """A spoken session from its beginning to its end, by the routes at the root and by those below /api."""
    good: set[tuple[str, str]] = set()

    async def ask(method: str, path: str, body: object = None, **query: str) -> Any:
        address = path.replace("{id}", query.pop("id", ""))
        answer = await client.request(method, address, json=body, params=query or None)
        matches(document, answer, method, path)
        assert answer.status_code < 300, answer.text
        good.add((method, path))
        return answer.json() if answer.headers.get("content-type") == "application/json" else None

    for root in ("", "/api/voice"):
        assert (await ask("GET", f"{root}/token", room="r", identity="me"))["token"]
        session = (await ask("POST", f"{root}/session", {"room": "r", "identity": "me"}))["session_id"]
        assert await ask("DELETE", f"{root}/session/{{id}}", id=session) == {"stopped": True}
        assert (await ask("GET", f"{root}/transcripts/{{id}}", id=session))["segments"] == []
    await world.stores.voice.end(session, EndReason.STOPPED, recording=True)
    path = world.services.voice.recordings.path(session)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF")
    await world.stores.database.run(lambda tx: tx.execute("UPDATE antiphon_voicesession SET recording = %s", True))
    assert (await ask("GET", "/api/voice/sessions"))["items"][0]["recording"]
    await ask("GET", "/api/voice/sessions/{id}/recording", id=session)
    await ask("GET", "/api/voice/sessions/{id}", id=session)
    await ask("DELETE", "/api/voice/sessions/{id}", id=session)
    assert not path.exists()
    return good


async def as_a_signed_in_owner(world: World, document: dict[str, Any]) -> set[tuple[str, str]]:
    """Operations that are for signed-in people, or for the logins of others."""
    good = set()
    password = {"password": "a long enough phrase"}
    async with world.signed_in(world.owner) as client, world.signed_in(world.owner):

        async def ask(method: str, path: str, body: object = None, **ids: str) -> Any:
            answer = await client.request(method, path.format(**ids), json=body)
            matches(document, answer, method, path)
            assert answer.status_code < 300, answer.text
            good.add((method, path))
            return answer.json() if answer.content else None

        await ask("GET", "/api/account")
        await ask("POST", "/api/account/password", password)
        totp = await ask("POST", "/api/account/totp", password)
        await ask("POST", "/api/account/totp/confirm", {"code": TOTP(totp["secret"]).now()})
        await ask("POST", "/api/account/totp/end", password)
        await ask("GET", "/api/sessions")
        async with world.signed_in(world.owner):
            sessions = (await ask("GET", "/api/sessions"))["items"]
            await ask("DELETE", "/api/sessions/{id}", id=next(one["id"] for one in sessions if not one["current"]))
        await ask("DELETE", "/api/sessions")
        await ask("GET", "/api/users")
        user = (await ask("POST", "/api/users", {"name": "invited", "role": "member"}))["user"]["id"]
        await ask("PATCH", "/api/users/{id}", {"role": "operator"}, id=user)
        await ask("POST", "/api/users/{id}/link", id=user)
        await ask("POST", "/api/users/{id}/reset", id=user)
    return good


async def test_the_docs_page_uses_our_own_files_only_under_a_strict_policy(world: World) -> None:
    async with world.client(world.other) as client:
        page = await client.get("/api/docs")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert all(file.startswith("/") and not file.startswith("//") for file in files)
        for file in files:
            assert (await client.get(file)).status_code == 200, file
        assert re.search(r"<script(?![^>]*src=)", page.text) is None
        assert "<style" not in page.text
    async with world.client() as client:
        error_of(await client.get("/api/docs"), 401)
        error_of(await client.get("/api/schema"), 401)
