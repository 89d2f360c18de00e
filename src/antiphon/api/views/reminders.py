"""Reminders and timers of a person: listed, made, changed and cancelled; the tools do the same in words."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpResponse
from rest_framework.request import Request

from antiphon.api import reads, request_shapes, shapes, wire
from antiphon.api.access import owned_channel
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.base import ApiView, json_answer, row_id
from antiphon.domain.errors import Conflict, InvalidInput, NotFound
from antiphon.domain.schedule import Entry, EntryKind, NewEntry, Recurrence, Timing
from antiphon.tools.builtin.reminders import FARTHEST, MOST_OPEN
from antiphon.tools.recurrence import BadRule, checked_rule, first_firing


class _ReminderRoute(ApiView):
    def _timing(self, due: datetime, rule: str, zone: str) -> Timing:
        """When an entry is due first and how it repeats. Raises `InvalidInput` naming the field."""
        now = self.services.clock.now()
        if rule:
            local = due.astimezone(_zone(zone)).replace(tzinfo=None)
            return _repeating(Recurrence(_rule(rule), local, zone), now)
        if due <= now:
            raise InvalidInput("due_at is already over.", fields={"due_at": "in the past"})
        if due - now > FARTHEST:
            raise InvalidInput("due_at is more than five years away.", fields={"due_at": "too far away"})
        return Timing(due)


class RemindersView(_ReminderRoute):
    """`/api/reminders`."""

    @describe(
        summary="My open reminders and timers",
        description="Newest first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(shapes.ReminderItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        page = page_of(request.GET)
        rows = await self.stores.database.read(reads.reminders, self.person, page)
        return json_answer(envelope(rows, page, wire.reminder, lambda row: (row.pk,)))

    @describe(
        summary="Make a reminder",
        description="Once at `due_at`, or by `rule` from then on. The same `id` again gives the first reminder.",
        request=request_shapes.NewReminder,
        responses={201: shapes.ReminderItem},
        also=(409,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Store it."""
        body = self.body(request_shapes.NewReminder)
        try:
            await owned_channel(self.stores.database, body["channel"], self.person)
        except NotFound as error:
            raise InvalidInput(error.message, fields={"channel": "no such conversation"}) from None
        zone = body.get("timezone") or (await self.stores.people.person(self.person)).timezone
        timing = self._timing(body["due_at"], body.get("rule", ""), zone)
        if len(await self.stores.schedule.pending(self.person)) >= MOST_OPEN:
            raise Conflict(f"{MOST_OPEN} reminders and timers are open, which is the most. Cancel some first.")
        entry = await self.stores.schedule.add(
            NewEntry(
                kind=EntryKind.REMINDER,
                due_at=timing.due_at,
                channel=body["channel"],
                person=self.person,
                origin=f"api:{self.person}:{body.get('id') or uuid.uuid4()}",
                text=body.get("text", ""),
                recurrence=timing.recurrence,
            )
        )
        return json_answer(wire.entry(entry), status=201)


class ReminderView(_ReminderRoute):
    """`/api/reminders/{id}`."""

    @describe(
        summary="Change a reminder or timer",
        description='What is left out stays. `rule: ""` makes it come once.',
        request=request_shapes.ReminderChange,
        responses={200: shapes.ReminderItem},
    )
    async def patch(self, request: Request, id: str) -> HttpResponse:
        """Another text, time or rhythm."""
        number = row_id(id, "reminder")
        body = self.body(request_shapes.ReminderChange)
        open_ones = await self.stores.schedule.pending(self.person)
        before = next((entry for entry in open_ones if entry.id == number), None)
        if before is None:
            raise _gone()
        timing = await self._new_timing(before, body)
        entry = await self.stores.schedule.change(self.person, number, text=body.get("text"), timing=timing)
        if entry is None:
            raise _gone()
        return json_answer(wire.entry(entry))

    @describe(summary="Cancel a reminder or timer", responses={200: shapes.ReminderItem})
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """Cancel; one that has fired or was cancelled is not there any more."""
        cancelled = await self.stores.schedule.cancel(self.person, [row_id(id, "reminder")])
        if not cancelled:
            raise _gone()
        return json_answer(wire.entry(cancelled[0]))

    async def _new_timing(self, entry: Entry, body: dict[str, Any]) -> Timing | None:
        if not body.keys() & {"due_at", "rule", "timezone"}:
            return None
        old = entry.recurrence
        zone = body.get("timezone") or (old.zone if old else (await self.stores.people.person(self.person)).timezone)
        rule = body.get("rule", old.rule if old else "")
        if rule and old and "due_at" not in body:
            # The hour on the wall stays the same, in another zone too.
            _zone(zone)
            return _repeating(Recurrence(_rule(rule), old.start, zone), self.services.clock.now())
        return self._timing(body.get("due_at", entry.due_at), rule, zone)


def _gone() -> NotFound:
    return NotFound("There is no such open reminder.")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("There is no such time zone.", fields={"timezone": "not an IANA name"}) from None


def _rule(text: str) -> str:
    try:
        return checked_rule(text)
    except BadRule as error:
        raise InvalidInput(f"The rule is not taken: {error}.", fields={"rule": str(error)}) from None


def _repeating(recurrence: Recurrence, now: datetime) -> Timing:
    due = first_firing(recurrence, now)
    if due is None:
        raise InvalidInput("That never happens: no day fits the rule.", fields={"rule": "never comes true"})
    return Timing(due, recurrence)
