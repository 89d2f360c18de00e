"""The history: search over everything a person may look into, and the surroundings of one message; and who is known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.http import HttpResponse, QueryDict
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import history_rows, shapes, wire
from antiphon.api.history_rows import Search
from antiphon.api.paging import cursor_of, envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.conversation import Author, check_channel_key
from antiphon.domain.errors import InvalidInput, NotFound

LONGEST_QUERY = 200
_AUTHORS = [author.value for author in Author]
_ORDERS = ["newest", "oldest"]


class HistoryView(ApiView):
    """`/api/history`."""

    @describe(
        summary="Search what was said",
        description="One's own conversations; with the scope `admin` also the places of servers. Newest first.",
        parameters=[
            OpenApiParameter("q", str, description="Words that stand in the message as they are written here."),
            OpenApiParameter("channel", str, description="Only this conversation."),
            OpenApiParameter("person", int, description="Only what this person said."),
            OpenApiParameter("author", str, enum=_AUTHORS, description="Only people, or only the agent."),
            OpenApiParameter("from", datetime, description="Not before this time."),
            OpenApiParameter("to", datetime, description="Before this time."),
            OpenApiParameter("order", str, enum=_ORDERS, description="`oldest` reads forwards."),
            *PAGING,
        ],
        responses={200: shapes.page_shape(shapes.SaidItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of what was found."""
        page = page_of(request.GET)
        asked = _search(request.GET)
        rows = await self.stores.database.read(history_rows.search, await self.reader(), asked, page)
        return json_answer(envelope(rows, page, wire.said, lambda row: (row.id,)))


class AroundView(ApiView):
    """`/api/history/{id}`."""

    @describe(
        summary="A message with what was said around it",
        description="Oldest first. `older` and `newer` are cursors for `/api/history?channel=` (with `order=oldest` "
        "for the newer ones), or null.",
        responses={200: shapes.Around},
    )
    async def get(self, request: Request, id: str) -> HttpResponse:
        """Some messages before it, the message, some after it."""
        found = await self.stores.database.read(history_rows.around, await self.reader(), row_id(id, "message"))
        if found is None:
            raise NotFound("There is no such message.")
        rows, older, newer = found
        return json_answer(
            {
                "items": [wire.said(row) for row in rows],
                "older": cursor_of((rows[0].id,)) if older else None,
                "newer": cursor_of((rows[-1].id,)) if newer else None,
            }
        )


class PeopleView(ApiView):
    """`/api/people`."""

    needs: ClassVar[str | None] = "admin"

    @describe(
        summary="Everybody who is known",
        description="People who said something on any platform, with their accounts. Newest first.",
        parameters=[
            OpenApiParameter("q", str, description="Part of a name, or the platform's id of an account."),
            OpenApiParameter("platform", str, description="Only people with an account there."),
            *PAGING,
        ],
        responses={200: shapes.page_shape(shapes.PersonItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        await self.operator()
        page = page_of(request.GET)
        text, platform = _words(request.GET), request.GET.get("platform")
        rows = await self.stores.database.read(history_rows.people, text, platform, page)
        return json_answer(envelope(rows, page, wire.known, lambda row: (row.id,)))


def _search(query: QueryDict) -> Search:
    channel, person = query.get("channel"), query.get("person")
    if channel is not None:
        check_channel_key(channel)
    return Search(
        text=_words(query),
        channel=channel,
        person=None if person is None else _number(person),
        author=_one_of(query, "author", _AUTHORS, Author),
        since=_time(query, "from"),
        until=_time(query, "to"),
        oldest_first=_one_of(query, "order", _ORDERS, str) == "oldest",
    )


def _words(query: QueryDict) -> str:
    text = query.get("q", "").strip()
    if len(text) > LONGEST_QUERY or "\0" in text:
        raise InvalidInput(f"Search for at most {LONGEST_QUERY} characters.", fields={"q": "too long, or holds a NUL"})
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput("person is the id of a person.", fields={"person": "not an id"})
    return int(text)


def _one_of(query: QueryDict, name: str, allowed: list[str], kind: Any) -> Any:
    value = query.get(name)
    if value is None:
        return None
    if value not in allowed:
        raise InvalidInput(f"{name} is one of {', '.join(allowed)}.", fields={name: "not one of them"})
    return kind(value)


def _time(query: QueryDict, name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        at = parse_datetime(text.replace(" ", "+"))  # a plus sign that was not encoded arrives as a space
        at = at and (at if at.tzinfo else at.replace(tzinfo=UTC))
        if at is not None and at.timestamp() >= 0:
            return at
    except (ValueError, OverflowError):
        pass
    raise InvalidInput(f"{name} is a time such as 2026-05-03T00:00:00Z.", fields={name: "not a time"})
