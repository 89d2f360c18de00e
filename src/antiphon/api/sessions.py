"""Django's sessions as the API uses them: who is signed in, signing in and out, and the token against CSRF.

The CSRF token is a keyed hash of the session key, so it needs no cookie of its own, another site cannot plant it, and
it changes with each sign-in. Called by `auth` and the session view. Functions that take
a `Tx` run on a database thread.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, get_user_model, login, logout
from django.contrib.auth import SESSION_KEY as USER_IN_SESSION
from django.http import HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from antiphon.domain.errors import Unauthenticated
from antiphon.store.db import Tx

_CSRF_SALT = "antiphon.api.csrf"


def session_digest(session_key: str) -> str:
    """A name for a session that may travel on the bus and lie in memory: the key cannot be had from it."""
    return hashlib.sha256(session_key.encode()).hexdigest()


def csrf_token(session_key: str) -> str:
    """The token that unsafe requests of this session must send as X-CSRFToken."""
    return salted_hmac(_CSRF_SALT, session_key, algorithm="sha256").hexdigest()


def csrf_matches(session_key: str, token: str) -> bool:
    """Whether a request's token belongs to its session. Compares in constant time."""
    return constant_time_compare(csrf_token(session_key), token)


def signed_in_user(_tx: Tx, session_key: str) -> int | None:
    """The user of a live session, or None when it is unknown, expired, ended or its user is disabled."""
    session = _store(session_key)
    user_id = session.get(USER_IN_SESSION)
    if user_id is None:
        return None
    # Not Django's own get_user: that one throws a session with an old password away, and this only reads.
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first()
    if user is None or not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    return user.pk


def sign_in(_tx: Tx, user_id: int, old_session_key: str, *, now: datetime, address: str, agent: str) -> str:
    """Start a session for a user who just proved to be it; returns its key. `address` and `agent` are shown to them.

    The key is always a new one, whatever session the browser came with, and that one ends. Sessions that ran out are
    thrown away on the way: nothing else would.
    """
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise Unauthenticated("This login is disabled.")
    if old_session_key:
        _store(old_session_key).flush()
    request = _request_with(None)
    request.session.clear_expired()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")  # pyright: ignore[reportArgumentType]
    request.session.save()
    key = request.session.session_key
    _rows().begin(key, user_id, now=now, address=address, agent=agent)
    return key


def sign_out(_tx: Tx, session_key: str) -> None:
    """End a session. Doing it twice is harmless."""
    logout(_request_with(session_key))  # pyright: ignore[reportArgumentType]
    _rows().forget(session_key)


def set_session_cookie(response: HttpResponse, session_key: str, *, secure: bool) -> None:
    """Give the browser its session. `secure`: people reach this server by https, so it is never sent without."""
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        session_key,
        max_age=settings.SESSION_COOKIE_AGE,
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


def clear_session_cookie(response: HttpResponse) -> None:
    """Take the session from the browser."""
    response.delete_cookie(settings.SESSION_COOKIE_NAME, path="/", samesite="Lax")


def _rows() -> Any:
    return import_module("antiphon.store.sessions")  # late: models need a configured Django


def _store(session_key: str | None) -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore(session_key)


def _request_with(session_key: str | None) -> Any:
    """What Django's sign-in functions need of a request."""
    return SimpleNamespace(session=_store(session_key), META={}, user=None)
