"""Conversations: the list, one of them, its messages and its threads."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request

from antiphon.api import reads, request_shapes, shapes, wire
from antiphon.api.access import CREATABLE, no_such_channel, owned_channel
from antiphon.api.paging import MAX_ID, envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.domain.conversation import Attachment, InboundMessage, check_channel_key, platform_of
from antiphon.domain.errors import InvalidInput
from antiphon.domain.identity import Sender

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_TOO_FAST = "You are sending messages faster than they are taken. Nothing was lost: send this one again in a moment."


class ChannelsView(ApiView):
    """`/api/channels`."""

    @describe(
        summary="My conversations",
        description="The one last spoken in first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.ChannelItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of the person's own channels."""
        page = page_of(request.GET, keys=2)
        rows = await self.stores.database.read(reads.channels, self.person, page)
        return json_answer(envelope(rows, page, wire.channel, lambda row: (row.last, row.id)))


class ChannelView(ApiView):
    """`/api/channels/{key}`."""

    @describe(summary="One conversation", responses={200: shapes.ChannelItem})
    async def get(self, request: Request, key: str) -> HttpResponse:
        """As in the list."""
        return await self._answer(key)

    @describe(
        summary="Rename a conversation", request=request_shapes.ChannelChange, responses={200: shapes.ChannelItem}
    )
    async def patch(self, request: Request, key: str) -> HttpResponse:
        """Give it another title."""
        await owned_channel(self.stores.database, key, self.person)
        await self.stores.threads.rename(key, self.body(request_shapes.ChannelChange)["title"])
        return await self._answer(key)

    async def _answer(self, key: str) -> HttpResponse:
        check_channel_key(key)
        row = await self.stores.database.read(reads.channel_row, key, self.person)
        if row is None:
            raise no_such_channel()
        return json_answer(wire.channel(row))


class MessagesView(ApiView):
    """`/api/channels/{key}/messages`."""

    @describe(
        summary="What was said",
        description="Newest first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.MessageItem)},
    )
    async def get(self, request: Request, key: str) -> HttpResponse:
        """A page of the messages of one of the person's channels."""
        page = page_of(request.GET)
        channel = await owned_channel(self.stores.database, key, self.person)
        rows = await self.stores.database.read(reads.messages, channel.pk, page)
        return json_answer(envelope(rows, page, wire.message, lambda row: (row.id,)))

    @describe(
        summary="Say something",
        description="The answer comes as an event and as a message. A first message to a `web:` or `api:` key makes "
        "the conversation yours. Once this is answered the message survives anything.",
        request=request_shapes.NewMessage,
        responses={
            202: OpenApiResponse(shapes.Receipt, description="Accepted."),
            200: OpenApiResponse(shapes.Receipt, description="This `id` was accepted before; the same numbers."),
        },
        also=(409, 429),
    )
    async def post(self, request: Request, key: str) -> HttpResponse:
        """Accept a message, once per client id."""
        check_channel_key(key)
        if not key.startswith(CREATABLE):
            raise no_such_channel()
        body = self.body(request_shapes.NewMessage)
        files = self._attachments(body.get("attachments", ()))
        self.state.messages.take(self.person, _TOO_FAST)
        name = await self.stores.database.read(reads.name_of, self.person)
        receipt = await self.services.receive(
            InboundMessage(
                platform=platform_of(key),
                channel=key,
                native_id=native_id(body.get("id")),
                sender=Sender(native_id=str(self.person), name=name),
                text=body["text"],
                at=self.services.clock.now(),
                person=self.person,
                attachments=files,
            )
        )
        return json_answer(wire.receipt(receipt), 202 if receipt.created else 200)

    def _attachments(self, given: Sequence[str]) -> tuple[Attachment, ...]:
        """The uploads a message names. Whether they are there and the person's is looked at when it is stored."""
        most = self.services.settings.attachments.per_message
        if len(given) > most:
            raise InvalidInput(f"A message carries up to {most} files.", fields={"attachments": f"more than {most}"})
        if len(set(given)) != len(given) or not all(
            text.isascii() and text.isdigit() and 0 < int(text) <= MAX_ID for text in given
        ):
            raise InvalidInput("Attachments are named by their ids, each once.", fields={"attachments": "not ids"})
        return tuple(Attachment(name="", media_type="", size=0, id=int(text)) for text in given)


def native_id(given: str | None) -> str:
    """The id under which a message is deduplicated: the client's, or a new one.

    A dedupe key joins channel and id with colons, and a channel key may hold colons too. So an id with anything beyond
    plain characters is replaced by its hash; the mark in front is not a plain character, so the two never meet.
    """
    if given is None:
        return uuid.uuid4().hex
    if _PLAIN_ID.fullmatch(given):
        return given
    return "~" + hashlib.sha256(given.encode()).hexdigest()


class ChannelThreadsView(ApiView):
    """`/api/channels/{key}/threads`."""

    @describe(
        summary="Threads of a conversation",
        description="Newest first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.ThreadItem)},
    )
    async def get(self, request: Request, key: str) -> HttpResponse:
        """A page of the task threads of one of the person's channels."""
        page = page_of(request.GET)
        await owned_channel(self.stores.database, key, self.person)
        rows = await self.stores.database.read(reads.threads, self.person, key, page)
        return json_answer(envelope(rows, page, wire.thread, lambda row: (row.pk,)))
