"""Configures Django from our Settings. `run/wiring.py` (and the test fixtures) call `configure` once, before models.

Nothing happens at import. There is no settings module and no DEBUG: a page must not show code to anybody, ever.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from antiphon.config import Settings
from antiphon.store.database_url import database_settings
from antiphon.store.lock import make_folder

API_URLS = "antiphon.api.urls"
_LAPIS = {
    "50": "#eef0ff",
    "100": "#e0e4ff",
    "200": "#c6ccfe",
    "300": "#a5adfb",
    "400": "#8391ff",
    "500": "#5a68e2",
    "600": "#3d4bc9",
    "700": "#333ea6",
    "800": "#2c3686",
    "900": "#27306b",
    "950": "#181d42",
}
_VALIDATORS = "django.contrib.auth.password_validation"
_SESSION_SECONDS = 30 * 24 * 3600


def configure(settings: Settings, *, urlconf: str = API_URLS, extra: Mapping[str, Any] | None = None) -> None:
    """Configure and set up Django for `settings`, with `extra` merged over our values.

    Calling it again is harmless: it points Django at the database of the given settings (tests use several in one
    process) and applies `extra`. Raises `ConfigError` when the database address cannot be used.
    """
    import django
    from django.conf import settings as django_settings

    database = database_settings(settings)
    if not django_settings.configured:
        make_folder(settings.data_dir)
        values = _values(settings, urlconf)
        values.update(extra or {})
        django_settings.configure(DATABASES={"default": database}, **values)
        # Fields that no model of ours has. Others import them where they can, and psycopg (9 MB) with them.
        sys.modules.setdefault("django.contrib.postgres", None)  # pyright: ignore[reportArgumentType]
        django.setup()
        return
    _point_at(database)
    _apply(extra or {})


def _point_at(database: dict[str, Any]) -> None:
    """Make every thread open its next connection to `database`."""
    from asgiref.local import Local
    from django.contrib.contenttypes.models import ContentType
    from django.db import connections

    current = connections.settings["default"]
    if all(current.get(name) == value for name, value in database.items()):
        return
    connections.close_all()
    connections.settings = connections.configure_settings({"default": database})
    connections._connections = Local(connections.thread_critical)
    ContentType.objects.clear_cache()


def _apply(extra: Mapping[str, Any]) -> None:
    """Change settings after set-up, telling those who keep copies of them."""
    from django.conf import settings as django_settings
    from django.core.signals import setting_changed

    for name, value in extra.items():
        if getattr(django_settings, name, None) != value:
            setattr(django_settings, name, value)
            setting_changed.send(sender=configure, setting=name, value=value, enter=True)


def secret_key(data_dir: Path) -> str:
    """The key that signs sessions: generated once into `<data_dir>/secret_key`, readable by us alone."""
    path = data_dir / "secret_key"
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    draft = path.with_name(f".secret_key.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(64))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: then theirs is the key
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_text()


def _values(settings: Settings, urlconf: str) -> dict[str, Any]:
    http = settings.http
    public = urlsplit(http.public_url)
    secure = http.secure or public.scheme == "https"
    return {
        "DEBUG": False,
        "SECRET_KEY": secret_key(settings.data_dir),
        "ALLOWED_HOSTS": _allowed_hosts(http.host, public.hostname),
        "CSRF_TRUSTED_ORIGINS": [f"{public.scheme}://{public.netloc}"] if public.netloc else [],
        "ROOT_URLCONF": urlconf,
        "INSTALLED_APPS": [
            "unfold",  # before the admin, whose templates it replaces
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "rest_framework",
            "drf_spectacular",
            "drf_spectacular_sidecar",
            "antiphon.store",
        ],
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "AUTH_USER_MODEL": "antiphon.User",
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.Argon2PasswordHasher"],
        "AUTH_PASSWORD_VALIDATORS": [
            {
                "NAME": f"{_VALIDATORS}.UserAttributeSimilarityValidator",
                "OPTIONS": {"user_attributes": ("name",)},  # our users have no other
            },
            {"NAME": f"{_VALIDATORS}.MinimumLengthValidator"},
            {"NAME": f"{_VALIDATORS}.CommonPasswordValidator"},
            {"NAME": f"{_VALIDATORS}.NumericPasswordValidator"},
        ],
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "LANGUAGE_CODE": "en",
        "STATIC_URL": "/static/",
        "LOGIN_URL": "/sign-in",
        "LOGGING_CONFIG": None,  # telemetry owns logging
        "DATA_UPLOAD_MAX_MEMORY_SIZE": settings.limits.body_bytes,
        "APPEND_SLASH": False,
        "SESSION_COOKIE_NAME": "antiphon_session",
        "SESSION_COOKIE_AGE": _SESSION_SECONDS,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": secure,
        "CSRF_COOKIE_NAME": "antiphon_csrf",
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_SECURE": secure,
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
        "SECURE_REFERRER_POLICY": "same-origin",
        "X_FRAME_OPTIONS": "DENY",
        "UNFOLD": {
            "SITE_TITLE": "Antiphon",
            "SITE_HEADER": "Antiphon",
            "SITE_SYMBOL": "forum",
            "SHOW_VIEW_ON_SITE": False,
            "COLORS": {"primary": _LAPIS},  # the agent's colour, as on every page of ours
        },
    }


def _allowed_hosts(host: str, public: str | None) -> list[str]:
    """The Host headers answered: a page on a foreign name must not reach a server on loopback (DNS rebinding)."""
    if host in ("0.0.0.0", "::", "") and public is None:  # noqa: S104 - a comparison, not a bind
        return ["*"]  # a public bind without a name of its own: TLS or a trusted proxy is in front (config checks it)
    bound = [] if host in ("0.0.0.0", "::", "") else [host]  # noqa: S104 - the same
    return ["localhost", "127.0.0.1", "[::1]", *bound, *([public] if public else [])]
