"""`antiphon events tail`: print events as they happen, from Redis, or from a running server through its API.

Redis carries everything that is published, of all people and between processes; through the API a key sees the
conversations of its own person and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, cast
from urllib.parse import quote

import httpx2 as httpx

from antiphon.domain.errors import AntiphonError, Unauthenticated, Unavailable
from antiphon.domain.events import BusEvent, turn_topic

RETRY_SECONDS = 1.0
LOOK_SECONDS = 2.0
"""How often the API is asked for conversations that are new."""
MOST_CHANNELS = 50
_SILENCE = 40.0
"""A stream says something every 15 seconds; longer silence means that it is dead."""


@dataclass(frozen=True, slots=True)
class TailOptions:
    """What is printed. `topics` are patterns (`turn.web:*`), none means all; `count` ends it after so many events."""

    topics: Sequence[str] = ()
    as_json: bool = False
    count: int = 0

    def wants(self, topic: str) -> bool:
        """Whether events of this topic are printed."""
        return not self.topics or any(fnmatchcase(topic, pattern) for pattern in self.topics)


async def tail(
    source: Callable[[], AsyncGenerator[BusEvent, None]], options: TailOptions, write: Callable[[str], None]
) -> None:
    """Print what `source` gives. A source that breaks off is opened again; what came meanwhile is not seen."""
    printed = 0
    while True:
        try:
            async with aclosing(source()) as events:
                async for event in events:
                    if options.wants(event.topic):
                        write(_line(event, options.as_json))
                        printed += 1
                        if options.count and printed >= options.count:
                            return
        except (OSError, httpx.HTTPError, Unavailable) as error:
            print(f"antiphon: not connected ({type(error).__name__}), trying again", file=sys.stderr)  # noqa: T201
        await asyncio.sleep(RETRY_SECONDS)


def from_redis(url: str) -> Callable[[], AsyncGenerator[BusEvent, None]]:
    """Everything on the bus of that server."""

    async def source() -> AsyncGenerator[BusEvent, None]:
        from redis.exceptions import RedisError

        from antiphon.bus.tail import tail_redis

        try:
            async with aclosing(tail_redis(url)) as events:
                async for event in events:
                    yield event
        except RedisError as error:
            raise Unavailable("Redis does not answer.") from error

    return source


def from_api(url: str, key: str, options: TailOptions) -> Callable[[], AsyncGenerator[BusEvent, None]]:
    """The conversations of the key's person, also those that begin later (the `MOST_CHANNELS` last spoken in)."""

    async def source() -> AsyncGenerator[BusEvent, None]:
        events: asyncio.Queue[BusEvent | Exception] = asyncio.Queue(1000)
        following: dict[str, asyncio.Task[None]] = {}
        headers = {"Authorization": f"Bearer {key}"}
        timeout = httpx.Timeout(10, read=_SILENCE)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout) as client:

            async def look() -> None:
                try:
                    while True:
                        for channel in await _channels(client):
                            if channel not in following and options.wants(turn_topic(channel)):
                                following[channel] = asyncio.create_task(follow(channel))
                        await asyncio.sleep(LOOK_SECONDS)
                except Exception as error:
                    await events.put(error)

            async def follow(channel: str) -> None:
                try:
                    async for event in _stream(client, channel):
                        await events.put(event)
                    raise Unavailable("The stream ended.")
                except Exception as error:
                    await events.put(error)

            looking = asyncio.create_task(look())
            try:
                while True:
                    found = await events.get()
                    if isinstance(found, Exception):
                        raise found
                    yield found
            finally:
                for task in (looking, *following.values()):
                    task.cancel()
                await asyncio.gather(looking, *following.values(), return_exceptions=True)

    return source


async def _channels(client: httpx.AsyncClient) -> list[str]:
    answer = await client.get("/api/channels", params={"limit": MOST_CHANNELS})
    _check(answer)
    return [item["key"] for item in answer.json()["items"]]


async def _stream(client: httpx.AsyncClient, channel: str) -> AsyncGenerator[BusEvent, None]:
    async with client.stream("GET", f"/api/channels/{quote(channel, safe='')}/events") as answer:
        _check(answer)
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, colon, value = line.partition(":")
            if name and colon:
                fields[name] = value.removeprefix(" ")
            elif not line and "event" in fields:
                payload = cast("dict[str, Any]", json.loads(fields.get("data") or "{}"))
                number = int(fields.get("id") or 0)
                yield BusEvent(turn_topic(channel), number, fields["event"], payload, datetime.now(UTC))
                fields = {}


def _check(answer: httpx.Response) -> None:
    if answer.status_code in (401, 403):
        raise Unauthenticated("The key is not accepted; it needs the scope chat.")
    if answer.status_code >= 500:
        raise Unavailable("The server cannot answer now.")
    if not answer.is_success:
        raise AntiphonError(f"The server answered {answer.status_code}; is this the address of Antiphon?")


def _line(event: BusEvent, as_json: bool) -> str:
    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if as_json:
        record = {"topic": event.topic, "id": event.id, "name": event.name, "payload": event.payload, "at": at}
        return json.dumps(record, ensure_ascii=False)
    shown = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in event.payload.items())
    # What people say may hold anything: nothing of it may steer the terminal.
    return "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in f"{at} {event.topic} {event.name} {shown}"
    )
