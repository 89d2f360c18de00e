"""Field types shared by the models."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from django.db import models
from django.utils.dateparse import parse_datetime


def from_epoch(seconds: float) -> datetime:
    """A stored instant as an aware UTC datetime; one outside of the calendar is the nearest that other zones can show.

    A row that cannot be read would stop whoever reads all of them, at every start again.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return _FIRST if seconds < 0 else _LAST


_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)


class InstantField(models.Field):
    """An aware UTC datetime, stored as epoch seconds (float).

    One representation on SQLite and PostgreSQL that compares as a number: leases, back-off and due times are compared
    in raw SQL on the hot path, and a datetime would need another literal and an adapter per engine. It keeps
    microseconds. Filters take datetimes.
    """

    description = "Instant (epoch seconds)"

    def get_internal_type(self) -> str:
        return "FloatField"

    def from_db_value(self, value: float | None, expression: object, connection: object) -> datetime | None:
        return None if value is None else from_epoch(value)

    def to_python(self, value: Any) -> datetime | None:
        if isinstance(value, str):
            value = parse_datetime(value)
        if isinstance(value, int | float):
            return from_epoch(value)
        return value

    def get_prep_value(self, value: Any) -> float | None:
        value = super().get_prep_value(value)
        return value.timestamp() if isinstance(value, datetime) else value

    def value_to_string(self, obj: models.Model) -> str:
        value: datetime | None = self.value_from_object(obj)
        return "" if value is None else value.isoformat()


def choices(kind: type[StrEnum]) -> list[tuple[str, str]]:
    """The choices of a column that holds one of the domain's enums."""
    return [(item.value, item.value.replace("_", " ")) for item in kind]
