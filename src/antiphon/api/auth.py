"""Who is asking: an API key or a signed-in session becomes an `Identity`; streams learn when it ends.

Used by the views, the WebSockets, the admin's door and (through `principal_of`) the router that guards the pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass

import structlog
from django.http import parse_cookie

from antiphon.api import sessions
from antiphon.api.origins import Scope, header
from antiphon.domain.errors import AntiphonError
from antiphon.domain.events import KEY_REVOKED, RESET, SESSION_ENDED, Bus, BusEvent
from antiphon.domain.identity import Principal
from antiphon.domain.logins import KEY_PREFIX, Ended, KeyStore, SessionStore, UserStore
from antiphon.store.db import Database

log = structlog.stdlib.get_logger(__name__)

KEY_CACHE_SECONDS = 1.0
"""Short, because a key may be revoked on the command line, where no bus tells us of it."""
KEY_CACHE_SIZE = 10_000
RECHECK_SECONDS = 10.0
"""How often the credentials of open streams are checked again; revocations told on the bus act at once."""
SEEN_SECONDS = 60.0
"""How exactly the list of sessions says when one was last used."""
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A principal with how it was proven. `session_key` is "" for API keys; `digest` names the credential."""

    principal: Principal
    digest: str
    session_key: str = ""


class Authenticator:
    """Checks credentials. Keys are remembered for a short time; sessions are looked up each time."""

    def __init__(
        self,
        keys: KeyStore,
        users: UserStore,
        signed_in: SessionStore,
        database: Database,
        bus: Bus,
        *,
        cookie_name: str,
    ) -> None:
        self._keys = keys
        self._users = users
        self._signed_in = signed_in
        self._database = database
        self._bus = bus
        self._cookie_name = cookie_name
        self._cache: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._evictions = 0
        self._watched: dict[str, _Watched] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._noting: set[asyncio.Task[None]] = set()

    # --- checking ---------------------------------------------------------------------------------------------------

    async def identify(self, scope: Scope) -> Identity | None:
        """The identity behind a request or WebSocket, or None. A wrong key is not rescued by a good cookie."""
        authorization = header(scope, b"authorization")
        if authorization is not None:
            scheme, _, secret = authorization.partition(" ")
            return await self._by_key(secret.strip()) if scheme.lower() == "bearer" else None
        session_key = self.session_key_of(scope)
        identity = await self._by_session(session_key) if session_key else None
        if identity is not None:
            self._note_use(identity, scope)
        return identity

    async def principal_of(self, scope: Scope) -> Principal | None:
        """The principal behind an ASGI scope, or None."""
        identity = await self.identify(scope)
        return identity.principal if identity else None

    def session_key_of(self, scope: Scope) -> str:
        """The session key in the request's cookies, not checked, or ""."""
        cookies = parse_cookie("; ".join(v.decode("latin-1") for k, v in scope["headers"] if k == b"cookie"))
        value = cookies.get(self._cookie_name, "")
        return value if value.isascii() and value.isalnum() and len(value) <= 64 else ""

    async def _by_key(self, secret: str) -> Identity | None:
        if not secret.startswith(KEY_PREFIX) or not secret.isascii() or len(secret) > 256:
            return None
        digest = hashlib.sha256(secret.encode()).hexdigest()
        now = asyncio.get_running_loop().time()
        cached = self._cache.get(digest)
        if cached is not None and now < cached[0]:
            return Identity(cached[1], digest)
        self._follow()
        evictions = self._evictions
        principal = await self._keys.verify(secret)
        if principal is None:
            self._cache.pop(digest, None)
            return None
        if evictions == self._evictions:  # else it may have been revoked while we were reading
            self._cache[digest] = (now + KEY_CACHE_SECONDS, principal)
            if len(self._cache) > KEY_CACHE_SIZE:
                self._cache.popitem(last=False)
        return Identity(principal, digest)

    async def _by_session(self, session_key: str) -> Identity | None:
        user = await self._database.read(sessions.signed_in_user, session_key)
        principal = await self._users.principal(user) if user is not None else None
        if principal is None:
            return None
        return Identity(principal, sessions.session_digest(session_key), session_key)

    def _note_use(self, identity: Identity, scope: Scope) -> None:
        """Note beside the request that a session is in use, once a minute: its holder sees it in their list."""
        now = asyncio.get_running_loop().time()
        if "client" not in scope or now < self._seen.get(identity.digest, -SEEN_SECONDS) + SEEN_SECONDS:
            return
        self._seen[identity.digest] = now
        self._seen.move_to_end(identity.digest)
        if len(self._seen) > KEY_CACHE_SIZE:
            self._seen.popitem(last=False)
        task = asyncio.create_task(
            self._note(identity.session_key, address_of(scope), agent_of(scope)), context=Context()
        )
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, session_key: str, address: str, agent: str) -> None:
        with contextlib.suppress(AntiphonError):  # a label that is a minute older hurts nobody
            await self._signed_in.note(session_key, address=address, agent=agent)

    # --- ending -----------------------------------------------------------------------------------------------------

    async def key_revoked(self, key: int) -> None:
        """Tell every process that a key is no longer good."""
        self._forget_key(str(key))
        await self._bus.publish(KEY_REVOKED, KEY_REVOKED, {"key": str(key)})

    async def session_ended(self, session_key: str) -> None:
        """Tell every process that a session has ended."""
        digest = sessions.session_digest(session_key)
        self._end(digest)
        await self._bus.publish(SESSION_ENDED, SESSION_ENDED, {"session": digest})

    async def ended(self, ended: Ended) -> None:
        """Tell every process that a user was locked out."""
        for key in ended.keys:
            await self.key_revoked(key)
        for session_key in ended.sessions:
            await self.session_ended(session_key)

    @contextlib.contextmanager
    def watch(self, identity: Identity, scope: Scope, on_end: Callable[[], None]) -> Iterator[None]:
        """Call `on_end` once, within seconds, when the identity of an open stream is no longer good."""
        watched = self._watched.setdefault(identity.digest, _Watched(identity, _credentials_only(scope)))
        entry = object()
        watched.listeners[entry] = on_end
        self._follow()
        try:
            yield
        finally:
            watched.listeners.pop(entry, None)
            if not watched.listeners and self._watched.get(identity.digest) is watched:
                del self._watched[identity.digest]

    async def aclose(self) -> None:
        """Stop following the bus."""
        tasks, self._tasks = [*self._tasks, *self._noting], []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _follow(self) -> None:
        """Start the two background tasks, once, outside of the request that happens to be first."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(self._follow_bus(), name="api-credentials-bus", context=Context()),
                loop.create_task(self._recheck_forever(), name="api-credentials-recheck", context=Context()),
            ]

    async def _follow_bus(self) -> None:
        while True:
            try:
                async with self._bus.subscribe(KEY_REVOKED, SESSION_ENDED) as events:
                    self._forget_everything()
                    async for event in events:
                        await self._handle(event)
            except Exception as error:  # whatever the bus meets, revocations must be followed again
                log.warning("api.credentials_unfollowed", error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _handle(self, event: BusEvent) -> None:
        if event.name == RESET:
            self._forget_everything()
            await self._recheck()
        elif event.name == KEY_REVOKED:
            self._forget_key(str(event.payload.get("key")))
        elif event.name == SESSION_ENDED:
            self._end(str(event.payload.get("session")))

    def _forget_everything(self) -> None:
        self._evictions += 1
        self._cache.clear()

    def _forget_key(self, key: str) -> None:
        self._evictions += 1
        for digest in [digest for digest, (_, principal) in self._cache.items() if str(principal.key) == key]:
            del self._cache[digest]
        for watched in [watched for watched in self._watched.values() if str(watched.identity.principal.key) == key]:
            self._end(watched.identity.digest)

    def _end(self, digest: str) -> None:
        watched = self._watched.pop(digest, None)
        if watched is not None:
            listeners, watched.listeners = watched.listeners, {}
            for on_end in listeners.values():
                on_end()

    async def _recheck_forever(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            await self._recheck()

    async def _recheck(self) -> None:
        for digest, watched in list(self._watched.items()):
            self._cache.pop(digest, None)
            try:
                identity = await self.identify(watched.scope)
            except AntiphonError as error:  # the database is away: nothing can be said, ask again next time
                log.warning("api.recheck_failed", error=error.code)
                return
            if identity is None or identity.principal != watched.identity.principal:
                self._end(digest)


class _Watched:
    """A credential with open streams."""

    def __init__(self, identity: Identity, scope: Scope) -> None:
        self.identity = identity
        self.scope = scope
        self.listeners: dict[object, Callable[[], None]] = {}


def address_of(scope: Scope) -> str:
    """The address a request comes from, or ""."""
    client = scope.get("client")
    return client[0] if client else ""


def agent_of(scope: Scope) -> str:
    """What the browser calls itself, printable, or ""."""
    return "".join(char for char in header(scope, b"user-agent") or "" if char.isprintable())


def _credentials_only(scope: Scope) -> Scope:
    """The part of a scope that proves an identity, so that a watch does not keep the whole request alive."""
    return {"headers": [(name, value) for name, value in scope["headers"] if name in (b"authorization", b"cookie")]}


def credential_of(scope: Scope) -> list[tuple[str, str]]:
    """What of a request proves an identity, to be kept and asked about later. Secret."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in _credentials_only(scope)["headers"]]


def scope_with(credential: Sequence[tuple[str, str]]) -> Scope:
    """A scope that proves what that of `credential_of` did."""
    return {"headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in credential]}
