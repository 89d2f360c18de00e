"""The console as an ASGI application: beside the API in one process (`wiring`), or alone in its own (`roles`).

Alone it has no database and no bus: its pages are shells without anything personal, so whoever asks may have them; what
stands in them comes from the API, which checks every request of their scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from antiphon.config import Settings
from antiphon.domain.errors import ConfigError
from antiphon.domain.health import PartHealth
from antiphon.run.asgi import AsgiApp
from antiphon.run.probe_routes import build_probes


def build_pages(
    settings: Settings, *, api_url: str = "", livekit_url: Callable[[], str] | None = None, demo: bool = False
) -> AsgiApp:
    """The Flask pages. `api_url` is where their scripts find the API; empty: on the pages' own origin.

    `livekit_url` tells where the voice page finds LiveKit, once that may change; else it is where `settings` say.
    """
    from a2wsgi import WSGIMiddleware

    from antiphon.console.app import ConsoleConfig, create_console

    flask = create_console(
        ConsoleConfig(
            message_chars=settings.limits.message_chars,
            idle_minutes=settings.threads.idle_minutes,
            api_url=api_url,
            demo=demo,
            livekit_url=livekit_url or (lambda: settings.livekit.browser_url),
        )
    )
    return WSGIMiddleware(flask, workers=4)  # pyright: ignore[reportReturnType, reportArgumentType] - plain dicts


def settings_alone(settings: Settings) -> Settings:
    """The settings as the process of a console alone uses them: the port and the public address are its own."""
    http = settings.http.model_copy(
        update={"port": settings.console.port, "public_url": settings.console.public_url, "allowed_origins": ()}
    )
    return settings.model_copy(update={"http": http})


def api_address(settings: Settings) -> str:
    """Where browsers reach the API of a console alone. Raises `ConfigError` when nobody can know."""
    if settings.console.api_url:
        return settings.console.api_url
    if not settings.http.public_url and not settings.http.port:
        raise ConfigError(
            source="settings",
            key="console.api_url",
            problem="is empty, and http.port is chosen by the system, so the pages cannot know where the API is",
            remedy="set console.api_url to the address of the API",
        )
    return settings.http.url


def build_console_alone(settings: Settings) -> AsgiApp:
    """Everything a console alone answers: its pages and files, `/health`, and `/metrics` to this machine."""
    pages = build_pages(settings, api_url=api_address(settings))
    return build_probes(settings_alone(settings), _no_parts, pages)


def console_announcement(settings: Settings, address: str) -> str:
    """The start-up text of a console alone: where it is, where its API is, and what that must be told."""
    api = api_address(settings)
    lines = [f"Antiphon console at {address}, for the API at {api}"]
    if not api.startswith(f"{address}/") and api != address:
        lines += [
            "",
            f'The API must know this address: ANTIPHON_HTTP__ALLOWED_ORIGINS="{address}" where it runs',
            f'(http.allowed_origins = ["{address}"] in its file, or console.public_url).',
        ]
    return "\n".join([*lines, "Stop with Ctrl+C"])


async def _no_parts() -> Sequence[PartHealth]:
    return ()
