"""The panel Messages: how much is said by people and by the agent, hour by hour, and which commands are used."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from antiphon.dashboards.fields import Payload, counts, mapping, objects, text, whole
from antiphon.dashboards.panel import Cell, Chart, Panel, Tone, View

HOURS = 24
_TOP = 5
_MOST_NAMES = 200
_LAST_HOUR = 10_000_000
"""Beyond every clock: the year 3110."""


class _Hour:
    """The counts of one hour in one server."""

    __slots__ = ("commands", "deleted", "edited", "failed", "people", "replies")

    def __init__(self) -> None:
        self.people = 0
        self.replies = 0
        self.edited = 0
        self.deleted = 0
        self.failed = 0
        self.commands: Counter[str] = Counter()


class MessagesPanel:
    """Counts by hour for each server; "" is everything that belongs to no server (browser, API, direct chats)."""

    def __init__(self) -> None:
        self._hours: dict[str, dict[int, _Hour]] = {}

    # --- what happens -------------------------------------------------------------------------------------------------

    def said(self, server: str, at: datetime) -> None:
        """Somebody said something."""
        self._hour(server, at).people += 1

    def replied(self, server: str, at: datetime) -> None:
        """The agent answered."""
        self._hour(server, at).replies += 1

    def failed(self, server: str, at: datetime) -> None:
        """A turn failed for good."""
        self._hour(server, at).failed += 1

    def message(self, payload: Payload, at: datetime) -> None:
        """`discord.message`: a message, an edit, a deletion or a command on Discord."""
        server, kind = text(payload, "server"), text(payload, "kind")
        hour = self._hour(server, at)
        if kind == "edit":
            hour.edited += 1
        elif kind == "delete":
            hour.deleted += 1
        elif text(payload, "direction") == "out":
            hour.replies += 1
        else:
            hour.people += 1

    def command(self, payload: Payload, at: datetime) -> None:
        """`command.used`: one use of a command."""
        hour = self._hour(text(payload, "server"), at)
        name = text(payload, "name", most=40)
        if name in hour.commands or len(hour.commands) < _MOST_NAMES:
            hour.commands[name] += 1
        if payload.get("ok") is False:
            hour.failed += 1

    def _hour(self, server: str, at: datetime) -> _Hour:
        hours = self._hours.setdefault(server, {})
        number = int(at.timestamp() // 3600)
        if number not in hours:
            for old in [old for old in hours if old <= number - HOURS]:
                del hours[old]
            hours[number] = _Hour()
        return hours[number]

    # --- what is shown ------------------------------------------------------------------------------------------------

    def panel(self, server: str, view: View, now: datetime) -> Panel:
        """The last 24 hours of one server; "" is of everywhere."""
        del view
        last = int(now.timestamp() // 3600)
        wanted = [self._hours.get(server, {})] if server else list(self._hours.values())
        people, replies = [0] * HOURS, [0] * HOURS
        edited = deleted = failed = 0
        commands: Counter[str] = Counter()
        for hours in wanted:
            for number, hour in hours.items():
                place = number - last + HOURS - 1
                if not 0 <= place < HOURS:
                    continue
                people[place] += hour.people
                replies[place] += hour.replies
                edited, deleted, failed = edited + hour.edited, deleted + hour.deleted, failed + hour.failed
                commands += hour.commands
        top = ", ".join(f"{name} {count}" for name, count in commands.most_common(_TOP))
        ends = datetime.fromtimestamp((last + 1) * 3600, UTC)
        return Panel(
            name="messages",
            title="Messages",
            note="last 24 hours",
            stats=(
                Cell("People", str(sum(people))),
                Cell("Antiphon", str(sum(replies))),
                Cell("Commands", str(commands.total())),
            ),
            facts=(
                Cell("Most used", top or None),
                Cell("Edited", str(edited)),
                Cell("Deleted", str(deleted)),
                Cell("Failed", str(failed), tone=Tone.ERROR if failed else Tone.PLAIN),
            ),
            chart=Chart(
                (("people", tuple(people)), ("Antiphon", tuple(replies))), ends, _summary(people, replies, ends)
            ),
            total=sum(people) + sum(replies),
        )

    # --- what is kept -------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, object]:
        """Every hour, compact."""
        return {
            "hours": [
                {
                    "server": server,
                    "hour": number,
                    "counts": [hour.people, hour.replies, hour.edited, hour.deleted, hour.failed],
                    "commands": dict(hour.commands),
                }
                for server, hours in self._hours.items()
                for number, hour in hours.items()
            ]
        }

    def load(self, stored: Payload) -> None:
        """Add what was kept to what was counted since."""
        for row in objects(stored, "hours", most=100_000):
            number = whole(row, "hour")
            if number is None or not 0 < number < _LAST_HOUR:
                continue
            hour = self._hour(text(row, "server"), datetime.fromtimestamp(number * 3600, UTC))
            people, replies, edited, deleted, failed = counts(row, "counts", 5)
            hour.people += people
            hour.replies += replies
            hour.edited += edited
            hour.deleted += deleted
            hour.failed += failed
            commands = mapping(row, "commands")
            for name in list(commands)[:_MOST_NAMES]:
                hour.commands[name] += whole(commands, name) or 0


def _summary(people: list[int], replies: list[int], ends: datetime) -> str:
    """The chart in words, for those who do not see it."""
    most = max(people)
    if most == 0:
        return f"No message of people in the last 24 hours, {sum(replies)} of the agent"
    peak = ends - timedelta(hours=HOURS - people.index(most))
    return f"peak {most} in the hour of {peak:%H:%M} UTC"
