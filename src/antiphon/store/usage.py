"""Implements `domain.usage.UsageStore`: sums over the rows of turns, which are the accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from antiphon.domain.usage import Consumed, Today, UsageKey, UsageQuery, UsageRow
from antiphon.store.db import Database, Tx

_DAY = 86_400
_CONSUMED = """
COALESCE(sum(CASE WHEN {whose} THEN n.input_tokens + n.output_tokens ELSE 0 END), 0),
COALESCE(sum(CASE WHEN {whose} THEN n.cost ELSE 0 END), 0),
COALESCE(sum(CASE WHEN {whose} THEN n.seconds ELSE 0 END), 0)
"""
_TODAY = f"""
SELECT {_CONSUMED.format(whose="t.person_id = %s")}, {_CONSUMED.format(whose="c.server_id = %s")},
       {_CONSUMED.format(whose="1 = 1")},
       COALESCE(max(CASE WHEN t.person_id = %s AND n.warned THEN 1 ELSE 0 END), 0)
FROM antiphon_turn n JOIN antiphon_task t ON t.id = n.task_id JOIN antiphon_channel c ON c.id = t.channel_id
WHERE n.ended_at >= %s
"""
_NAMED = {
    UsageKey.PERSON: ("t.person_id", "COALESCE(max(p.name), '')"),
    UsageKey.SERVER: ("c.server_id", "COALESCE(max(s.name), '')"),
    UsageKey.MODEL: ("n.model", "n.model"),
}
_TABLE = """
SELECT {key}, {name}, count(*), sum(n.input_tokens), sum(n.output_tokens), sum(n.cost), sum(n.seconds)
FROM antiphon_turn n JOIN antiphon_task t ON t.id = n.task_id JOIN antiphon_channel c ON c.id = t.channel_id
LEFT JOIN antiphon_person p ON p.id = t.person_id LEFT JOIN antiphon_server s ON s.id = c.server_id
WHERE n.ended_at >= %s {only} GROUP BY {key} ORDER BY {order} LIMIT %s
"""


class DjangoUsageStore:
    """The accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def today(self, since: datetime, person: int, server: int | None) -> Today:
        """What was consumed since `since`, which is when the day began."""

        def read(tx: Tx) -> Today:
            whose = (person, person, person, server, server, server)
            row = tx.rows(_TODAY, *whose, person, since.timestamp())[0]
            sums = [Consumed(int(row[n]), float(row[n + 1]), float(row[n + 2])) for n in (0, 3, 6)]
            return Today(*sums, warned=bool(row[9]))

        return await self._database.read(read)

    async def table(self, query: UsageQuery, limit: int) -> Sequence[UsageRow]:
        """The accounts in groups: days newest first, everything else by tokens, at most `limit`."""

        def read(tx: Tx) -> list[UsageRow]:
            # SQLite cuts a number off, PostgreSQL rounds it; instants are positive.
            local = f"(n.ended_at + {_offset(query.since, ZoneInfo(query.zone))})"
            day = f"CAST(floor({local} / {_DAY}) AS bigint)" if tx.postgres else f"CAST({local} / {_DAY} AS INTEGER)"
            key, name = _NAMED.get(query.by, (day, "''"))
            sql = _TABLE.format(
                key=key,
                name=name,
                only="AND t.person_id = %s" if query.person is not None else "",
                order=f"{key} DESC" if query.by is UsageKey.DAY else "sum(n.input_tokens + n.output_tokens) DESC, 1",
            )
            only = () if query.person is None else (query.person,)
            return [_row(query.by, row) for row in tx.rows(sql, query.since.timestamp(), *only, limit)]

        return await self._database.read(read)


def _offset(since: datetime, zone: ZoneInfo) -> str:
    """SQL for the seconds that the clock of a zone is before UTC when a turn ended; numbers only.

    SQLite knows no zones, so the changes of the clock since then are written out: two a year, or none.
    """
    spans = list(_offsets(since, datetime.now(UTC) + timedelta(days=1), zone))
    cases = "".join(f"WHEN n.ended_at < {until} THEN {offset} " for until, offset in spans[:-1])
    return f"CASE {cases}ELSE {spans[-1][1]} END" if cases else str(spans[-1][1])


def _offsets(since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Each offset in seconds with the instant (epoch seconds) at which it ends, oldest first."""

    def offset(instant: int) -> int:
        return int((datetime.fromtimestamp(instant, zone).utcoffset() or timedelta()).total_seconds())

    at, end = int(since.timestamp()), int(until.timestamp())
    while at < end:
        following = min(at + _DAY, end)
        if offset(at) != offset(following):
            low, high = at, following  # the clock changes between them: found by halving
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(at) else (low, middle)
            yield high, offset(at)
        at = following
    yield end, offset(end)


def _row(by: UsageKey, row: tuple[Any, ...]) -> UsageRow:
    key, name = row[0], row[1]
    if by is UsageKey.DAY:
        key = name = (date(1970, 1, 1) + timedelta(days=int(key))).isoformat()
    return UsageRow("" if key is None else str(key), name, *map(int, row[2:5]), float(row[5]), float(row[6]))
