"""Replies on Discord: implements `domain.platforms.Platform` over REST. Called by the outbox and by drafts
of any worker.

A message of ours mentions nobody by itself, keeps the reference to what it answers, and carries a nonce, by which
Discord refuses a second one within minutes. Beyond that, `find` reads the channel: what answers a message refers to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from antiphon.domain.approvals import Approval, ApprovalStore
from antiphon.domain.errors import DeliveryUnsettled
from antiphon.domain.platforms import PlatformLimits, PlatformStore
from antiphon.domain.replies import Delivery, ReplyKind
from antiphon.platforms.discord import rest
from antiphon.platforms.discord.errors import DiscordAway, DiscordRefused, as_delivery_error
from antiphon.platforms.discord.ids import MESSAGE_CHARS, channel_id, is_snowflake, snowflake_at
from antiphon.platforms.discord.rest import DiscordRest, Json, Upload
from antiphon.threads.splitting import split_text

log = structlog.stdlib.get_logger(__name__)

NO_MENTIONS = {"parse": [], "replied_user": False}
MOST_PARTS = 5
"""Messages of one answer; a longer one comes as a file with its beginning above it."""
FILE_NAME = "answer.md"
_BEGINNING = 600
_DRAFT_PATIENCE = 1.0
_PAGES = 20
_SKEW = timedelta(minutes=5)
"""How far Discord's clock and ours may lie apart."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """`patience`: seconds a delivery waits for its turn before it is put off."""

    patience: float = 5.0
    draft_delay: float = 0.8
    draft_interval: float = 1.5


class DiscordPlatform:
    """The delivering half of Discord."""

    name = "discord"

    def __init__(
        self, api: DiscordRest, store: PlatformStore, approvals: ApprovalStore, options: DeliveryOptions | None = None
    ) -> None:
        self._api = api
        self._store = store
        self._approvals = approvals
        self._options = options or DeliveryOptions()
        self.limits = PlatformLimits(
            text=MESSAGE_CHARS,
            parts=MOST_PARTS,
            drafts=True,
            draft_delay=self._options.draft_delay,
            draft_interval=self._options.draft_interval,
            typing_interval=8.0,
            reconciles=True,
            nonce_window=timedelta(minutes=2),
        )

    async def send(self, delivery: Delivery) -> str:
        """Post a reply and return its id. Raises `DeliveryError` or `DeliveryRetry`."""
        channel = channel_id(delivery.channel)
        body: Json = {**_text_of(delivery), "nonce": delivery.nonce, "enforce_nonce": True}
        if _refers(delivery):
            body["message_reference"] = {"message_id": delivery.reply_to, "fail_if_not_exists": False}
        if delivery.kind is ReplyKind.NOTICE:
            body["components"] = buttons_of(await self._asked_for(delivery))
        try:
            answer = await self._api.call(
                rest.SEND, body=body, files=_files_of(delivery), patience=self._options.patience, channel=channel
            )
        except (DiscordRefused, DiscordAway) as error:
            raise as_delivery_error(error) from error
        await self._clean_up(delivery)
        return str(answer["id"])

    async def edit(self, delivery: Delivery) -> None:
        """Replace the text of a reply. Doing it twice is harmless."""
        final = delivery.message is not None
        body = _text_of(delivery)
        if final and delivery.kind is ReplyKind.NOTICE:
            body["components"] = buttons_of(await self._asked_for(delivery))
        try:
            await self._api.call(
                rest.EDIT,
                body=body,
                files=_files_of(delivery),
                patience=self._options.patience if final else _DRAFT_PATIENCE,
                channel=channel_id(delivery.channel),
                message=delivery.native_id,
            )
        except (DiscordRefused, DiscordAway) as error:
            raise as_delivery_error(error) from error
        if final:
            await self._clean_up(delivery)

    async def find(self, delivery: Delivery) -> str | None:
        """Read the channel from when the reply was made on; None when it is not there.

        Ours is what refers to the same message and is no other reply of ours, or says the same words. Where more was
        said since than is read here, `DeliveryUnsettled`.
        """
        channel = channel_id(delivery.channel)
        created = delivery.created_at
        start = snowflake_at(created - _SKEW) if created else "0"
        if _refers(delivery):
            start = max(start, delivery.reply_to, key=int)
        try:
            me = str((await self._api.me())["id"])
            own: list[Json] = []
            whole = True
            for _ in range(_PAGES):
                page: list[Json] = await self._api.call(
                    rest.MESSAGES, query={"after": start, "limit": "100"}, channel=channel
                )
                page.sort(key=lambda message: int(message["id"]))
                own += [message for message in page if message["author"]["id"] == me]
                if len(page) < 100:
                    break
                start = str(page[-1]["id"])
            else:
                whole = False
        except (DiscordRefused, DiscordAway) as error:
            raise as_delivery_error(error) from error
        known = set(await self._store.delivered(delivery.channel, [str(message["id"]) for message in own]))
        found = _same(delivery, [message for message in own if str(message["id"]) not in known])
        if found is None and not whole:
            raise DeliveryUnsettled(
                f"It is not among the {_PAGES * 100} messages after it was made; I looked no further."
            )
        return found

    async def working(self, channel: str) -> None:
        """Discord shows for ten seconds that the bot is typing."""
        try:
            await self._api.call(rest.TYPING, patience=0.0, channel=channel_id(channel))
        except (DiscordRefused, DiscordAway) as error:
            log.debug("discord.not_typing", reason=str(error))

    async def _asked_for(self, delivery: Delivery) -> Sequence[Approval]:
        return [one for one in await self._approvals.pending(delivery.channel) if one.task == delivery.task]

    async def _clean_up(self, delivery: Delivery) -> None:
        """An answer after a question: take the buttons of the question away, whoever answered it, wherever."""
        if delivery.kind is not ReplyKind.ANSWER or delivery.part or delivery.turn_attempt < 2:
            return
        try:
            for notice in await self._store.notices(delivery.task):
                await self._api.call(
                    rest.EDIT,
                    body={"components": []},
                    patience=_DRAFT_PATIENCE,
                    channel=channel_id(delivery.channel),
                    message=notice,
                )
        except (DiscordRefused, DiscordAway) as error:
            log.info("discord.buttons_left", reason=str(error))


def buttons_of(approvals: Sequence[Approval]) -> list[Json]:
    """A row of two buttons for each approval that is asked for."""
    several = len(approvals) > 1
    return [
        {
            "type": 1,
            "components": [
                _button(f"approve:{one.id}", "Approve" + (f" {number}" if several else ""), 3),
                _button(f"deny:{one.id}", "Refuse" + (f" {number}" if several else ""), 4),
            ],
        }
        for number, one in enumerate(approvals[:5], 1)
    ]


def _button(custom_id: str, label: str, style: int) -> Json:
    return {"type": 2, "style": style, "label": label, "custom_id": custom_id}


def shown_text(text: str) -> str:
    """What stands in the message itself: all of it, or the beginning of what comes as a file."""
    if len(text) <= MESSAGE_CHARS:
        return text
    return f"{split_text(text, _BEGINNING)[0]}\n\n*The whole answer is in the file.*"


def _text_of(delivery: Delivery) -> Json:
    return {"content": shown_text(delivery.text), "allowed_mentions": NO_MENTIONS}


def _files_of(delivery: Delivery) -> Sequence[Upload]:
    if len(delivery.text) <= MESSAGE_CHARS:
        return ()
    return (Upload(FILE_NAME, delivery.text.encode(), "text/markdown; charset=utf-8"),)


def _refers(delivery: Delivery) -> bool:
    """Whether a message can be answered by reference; that from which a thread was made stands in another channel."""
    return is_snowflake(delivery.reply_to) and delivery.reply_to != channel_id(delivery.channel)


def _same(delivery: Delivery, candidates: Sequence[Any]) -> str | None:
    text = shown_text(delivery.text).strip()
    if _refers(delivery):
        candidates = [one for one in candidates if _reference(one) == delivery.reply_to]
    same = [one for one in candidates if one.get("nonce") == delivery.nonce or one["content"].strip() == text]
    # The first part may stand there as a draft, with other words than it ends with.
    if not same and _refers(delivery) and delivery.part == 0:
        same = list(candidates)
    return str(same[0]["id"]) if same else None


def _reference(message: Any) -> str:
    reference = message.get("message_reference") or {}
    return str(reference.get("message_id", ""))
