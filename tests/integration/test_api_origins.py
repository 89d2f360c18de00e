"""Which origins the API answers with CORS headers, which it lets act, and whose forwarded headers it believes."""

from __future__ import annotations

import pytest

from antiphon.config import ConsoleSettings, HttpSettings, Settings, load_settings
from antiphon.console.api_address import api_for
from antiphon.domain.errors import ConfigError
from antiphon.run.pages import api_address, build_console_alone
from tests.integration.api_world import World, a_world

CONSOLE = "https://chat.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "x-csrftoken"}


def apart(settings: Settings, **http: object) -> Settings:
    """The settings of an API whose console is elsewhere."""
    values = {"public_url": "https://api.example.org", "trusted_proxies": ("10.0.0.1",), **http}
    return settings.model_copy(update={"http": HttpSettings(**values)})  # type: ignore[arg-type]


async def test_cors_is_for_the_configured_origins_and_below_api_only(world_settings: Settings) -> None:
    settings = apart(world_settings, allowed_origins=(CONSOLE, "http://127.0.0.1:5173"))
    async with a_world(settings) as world, world.client(world.owner) as client:
        for origin in (CONSOLE, "http://127.0.0.1:5173", "http://localhost:5173"):
            asked = await client.options("/api/me", headers={"Origin": origin, **PREFLIGHT})
            assert asked.status_code == 204
            assert asked.headers["access-control-allow-origin"] == origin
            assert asked.headers["access-control-allow-credentials"] == "true"
            assert "PATCH" in asked.headers["access-control-allow-methods"]
            assert "x-csrftoken" in asked.headers["access-control-allow-headers"]
            answer = await client.get("/api/me", headers={"Origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin
            assert "origin" in answer.headers["vary"].lower()
            failed = await client.get("/api/nothing", headers={"Origin": origin})  # errors must be readable too
            assert (failed.status_code, failed.headers["access-control-allow-origin"]) == (404, origin)
        for origin in (
            "http://chat.example.org",
            "https://chat.example.org.evil.example",
            "https://chat.example.org:8443",
            "https://evil.example",
            "http://localhost:5174",
            "null",
            "*",
            "",
            "http://[",
            "https://api.example.org",  # its own origin needs none
        ):
            for path in ("/api/me", "/health"):
                answer = await client.get(path, headers={"Origin": origin})
                assert not [name for name in answer.headers if name.startswith("access-control")], origin
            asked = await client.options("/api/me", headers={"Origin": origin, **PREFLIGHT})
            assert "access-control-allow-origin" not in asked.headers
        for path in ("/health", "/metrics", "/admin/", "/static/admin/css/base.css"):
            assert "access-control-allow-origin" not in (await client.get(path, headers={"Origin": CONSOLE})).headers


async def test_without_the_setting_nobody_is_let_in(world: World) -> None:
    async with world.client(world.owner) as client:
        for origin in ("http://127.0.0.1:5173", "http://localhost:8000", CONSOLE):
            answer = await client.get("/api/me", headers={"Origin": origin})
            assert "access-control-allow-origin" not in answer.headers


async def test_the_consoles_public_address_is_an_origin_and_may_act(world_settings: Settings) -> None:
    settings = apart(world_settings).model_copy(update={"console": ConsoleSettings(public_url=f"{CONSOLE}/")})
    async with a_world(settings) as world, world.signed_in(world.owner, "https://api.example.org") as client:
        here = {"Origin": CONSOLE}
        assert (await client.patch("/api/me", json={"name": "Wren"}, headers=here)).status_code == 200
        client.headers["X-CSRFToken"] = "0" * 64
        assert (await client.patch("/api/me", json={"name": "Eve"}, headers=here)).status_code == 403
    assert settings.sign_in_url == CONSOLE


@pytest.mark.parametrize(
    ("url", "host", "found"),
    [
        ("", "127.0.0.1:5173", ""),
        ("http://127.0.0.1:8000", "127.0.0.1:5173", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "localhost:5173", "http://localhost:8000"),
        ("http://127.0.0.1:8000", "[::1]:5173", "http://[::1]:8000"),
        ("http://127.0.0.1:8000", "192.168.1.9:5173", "http://127.0.0.1:8000"),
        ("https://api.example.org", "localhost:5173", "https://api.example.org"),
        ("http://localhost:8000", "[", "http://localhost:8000"),
    ],
)
def test_pages_call_this_machine_by_the_name_they_were_opened_under(url: str, host: str, found: str) -> None:
    assert api_for(url, host).url == found


def test_a_console_alone_must_know_where_its_api_is() -> None:
    assert api_address(Settings()) == "http://127.0.0.1:8000"
    assert api_address(Settings(http=HttpSettings(public_url="https://a.example"))) == "https://a.example"
    with pytest.raises(ConfigError, match=r"console\.api_url"):
        build_console_alone(Settings(http=HttpSettings(port=0)))


@pytest.mark.parametrize(
    "origin", ["https://a.example/", "a.example", "https://a.example/path", "*", "ftp://a.example"]
)
def test_what_is_no_origin_is_refused(origin: str, tmp_path: object) -> None:
    with pytest.raises(ConfigError, match="is not an origin"):
        load_settings({"ANTIPHON_HTTP__ALLOWED_ORIGINS": origin})
