"""Panels on Discord: what they look like there, how often they are edited, and that there is never a second one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from antiphon.dashboards.board import Board
from antiphon.dashboards.panel import PANELS, Panel, Row, Tone, View
from antiphon.domain.events import BusEvent
from antiphon.platforms.discord.panel_embeds import (
    DESCRIPTION,
    TOTAL,
    Drawn,
    cut,
    draw,
    escaped,
    panel_of,
)
from antiphon.platforms.discord.panels import DiscordPanels, PanelPlace, PanelsGone, PanelsRefused
from antiphon.telemetry.recent import LogLine, Recent
from tests.fakes.virtual_time import START, LoopClock, run_virtually

HOME = PanelPlace("1", "antiphon-log", logs=True)


# --- what they look like ---------------------------------------------------------------------------------------------


def rows(count: int, text: str, kind: str = "info") -> tuple[Row, ...]:
    return tuple(Row(text=text, at=START, kind=kind, detail="runner") for _ in range(count))


def size_of(embed: Mapping[str, Any]) -> int:
    texts = [embed["title"], embed["description"], embed["footer"]["text"]]
    texts += [text for one in embed.get("fields", ()) for text in (one["name"], one["value"])]
    return sum(len(text.encode("utf-16-le")) // 2 for text in texts)


def test_a_log_line_has_its_severity_as_a_colour_and_as_a_word_and_its_time_in_the_readers_zone() -> None:
    panel = Panel(name="logs", title="Logs", tone=Tone.ERROR, status="1 error", rows=rows(1, "broke.down", "error"))
    drawn = draw(panel)
    assert drawn.embed["title"] == "Logs · 1 error"
    assert drawn.embed["color"] == 0xC0343A
    assert drawn.embed["description"] == f"🟥 <t:{int(START.timestamp())}:T> **error** runner broke.down"
    assert panel_of(drawn.embed["footer"]["text"]) == "logs"


@pytest.mark.parametrize("text", ["x" * 400, "🐦" * 300, "*_~`|>" * 60])
def test_an_oversize_panel_is_cut_between_rows_and_says_how_many_are_missing(text: str) -> None:
    panel = Panel(name="logs", title="L" * 500, status="s" * 500, rows=rows(50, text))
    embed = draw(panel).embed
    assert size_of(embed) <= TOTAL
    assert len(embed["description"].encode("utf-16-le")) // 2 <= DESCRIPTION
    *whole, last = embed["description"].split("\n")
    assert len(set(whole)) == 1, "every row that is there is whole"
    assert last == f"… {50 - len(whole)} more"


def test_a_single_row_that_is_too_long_is_cut_inside() -> None:
    embed = draw(Panel(name="events", title="Events", rows=rows(1, "x" * 9000, ""))).embed
    assert embed["description"].endswith("…")
    assert size_of(embed) <= TOTAL
    assert cut("🐦🐦🐦", 5) == "🐦🐦…"


def test_labels_hold_no_markup_and_no_mention() -> None:
    hostile = "**x** @everyone <@1> [a](http://b) # h"
    drawn = draw(Panel(name="events", title="Events", rows=(Row(text=hostile),), note=hostile))
    assert "@everyone" not in drawn.embed["description"]
    assert "<@1>" not in drawn.embed["description"]
    assert "\\*\\*x" in drawn.embed["description"]
    assert escaped("a\nb") == "a b"


def test_what_was_not_measured_is_a_dash_and_buttons_lead_on() -> None:
    board = Board(LoopClock2(), Recent[LogLine]())
    server = draw(board.panel("server")).embed
    assert [one["value"] for one in server["fields"]] == ["–", "–", "–"]  # noqa: RUF001 - the dash that is shown
    for number in range(30):
        board.hear(joined(number))
    first = draw(board.panel("events", "1", View("people"), size=10))
    filters, turning = first.components
    assert [one["style"] for one in filters["components"]] == [2, 1, 2, 2], "the chosen filter stands out"
    newer, older, search = turning["components"]
    assert (newer["disabled"], older["disabled"], search["label"]) == (True, False, "Search")
    assert older["custom_id"] == "antiphon:panel:events:page:2"
    ids = [one["custom_id"] for row in first.components for one in row["components"]]
    assert len(ids) == len(set(ids))
    assert max(map(len, ids)) <= 100


def test_a_panel_that_is_offline_is_grey_and_has_no_buttons() -> None:
    drawn = draw(Panel(name="logs", title="Logs", tone=Tone.GOOD, filters=(("", "All"),)), offline_since=START)
    assert (drawn.embed["title"], drawn.embed["color"], drawn.components) == ("Logs · offline", 0x6F7480, ())
    assert f"<t:{int(START.timestamp())}:R>" in drawn.embed["description"]


@pytest.mark.parametrize("footer", ["", "Antiphon panel: weather", "panel: logs", "Antiphon panel:logs"])
def test_other_messages_are_no_panels(footer: str) -> None:
    assert panel_of(footer) is None


# --- how they are kept up --------------------------------------------------------------------------------------------


class LoopClock2(LoopClock):
    """The virtual clock, and a clock that stands still outside of a loop."""

    def now(self) -> Any:
        try:
            return super().now()
        except RuntimeError:
            return START


@dataclass
class FakePort:
    """A Discord that remembers messages by channel, newest last; it can be told to refuse or to lose things."""

    wanted: list[PanelPlace] = field(default_factory=lambda: [HOME])
    channels: dict[str, dict[str, Drawn]] = field(default_factory=dict)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    refused: str = ""
    seen: int = 100
    _next: int = 0

    async def places(self) -> Sequence[PanelPlace]:
        return self.wanted

    async def channel(self, place: PanelPlace) -> str:
        self._check()
        self.channels.setdefault(f"c{place.server}", {})
        return f"c{place.server}"

    async def own_panels(self, channel: str) -> Sequence[tuple[str, str]]:
        found = [(panel_of(drawn.embed["footer"]["text"]), id) for id, drawn in self._of(channel).items()]
        return [(name, id) for name, id in reversed(found[-self.seen :] if self.seen else []) if name]

    async def post(self, channel: str, drawn: Drawn) -> str:
        messages = self._of(channel)
        self._next += 1
        messages[str(self._next)] = drawn
        self._note("post", drawn)
        return str(self._next)

    async def edit(self, channel: str, message: str, drawn: Drawn) -> None:
        messages = self._of(channel)
        if message not in messages:
            raise PanelsGone("no message")
        messages[message] = drawn
        self._note("edit", drawn)

    async def delete(self, channel: str, message: str) -> None:
        self._of(channel).pop(message, None)

    def _of(self, channel: str) -> dict[str, Drawn]:
        self._check()
        if channel not in self.channels:
            raise PanelsGone("no channel")
        return self.channels[channel]

    def _check(self) -> None:
        if self.refused:
            raise PanelsRefused(self.refused)

    def _note(self, what: str, drawn: Drawn) -> None:
        name = panel_of(drawn.embed["footer"]["text"]) or ""
        self.log.append((asyncio.get_running_loop().time(), what, name))

    def count(self, what: str, name: str | None = None) -> int:
        return sum(1 for _, one, panel in self.log if one == what and name in (None, panel))


class FakeStore:
    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, object]] = {}

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        return dict(self.kept)

    async def save(self, name: str, state: Mapping[str, object], panel: Mapping[str, object]) -> None:
        self.kept[name] = json.loads(json.dumps(state))


class Run:
    """One process that keeps panels; `port` and `store` outlive it."""

    def __init__(self, port: FakePort, store: FakeStore, *, interval: float = 6, per_second: float = 5) -> None:
        self.port = port
        self.lines: Recent[LogLine] = Recent()
        self.board = Board(LoopClock(), self.lines)
        self.panels = DiscordPanels(self.board, port, store, LoopClock(), interval=interval, per_second=per_second)
        self.running = asyncio.create_task(self.panels.run())

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})

    async def kill(self) -> None:
        """End as kill -9 does: nothing is said, nothing is stored."""
        self.panels._servers.clear()
        self.running.cancel()
        await asyncio.wait({self.running})


def joined(number: int) -> BusEvent:
    payload: dict[str, object] = {"event": "GUILD_MEMBER_ADD", "server": "1", "name": f"guest{number}"}
    return BusEvent("discord.gateway", number, "gateway", payload, LoopClock2().now())


def virtually(scene: Callable[[FakePort, FakeStore], Awaitable[None]]) -> None:
    async def main() -> None:
        await scene(FakePort(), FakeStore())

    run_virtually(main())


def titles(port: FakePort, channel: str = "c1") -> list[str]:
    return [drawn.embed["title"].partition(" · ")[0] for drawn in port.channels[channel].values()]


def test_five_panels_are_posted_once_and_edited_in_place() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        run = Run(port, store)
        await asyncio.sleep(1)
        assert titles(port) == ["Server", "Logs", "Events", "Messages", "Voice"]
        run.board.hear(joined(1))
        await asyncio.sleep(10)
        assert port.count("post") == 5
        assert port.count("edit", "events") == 1
        assert "guest1 joined" in port.channels["c1"]["3"].embed["description"]
        await run.end()

    virtually(scene)


def test_what_has_not_changed_is_not_sent() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        run = Run(port, store)
        await asyncio.sleep(600)
        assert port.count("edit") == 0
        await run.end()

    virtually(scene)


def test_a_storm_of_events_stays_inside_the_budget_and_its_end_is_shown() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        run = Run(port, store)
        message = {"server": "1", "channel": "2", "direction": "in", "kind": "message", "command": ""}
        for number in range(30_000):  # a thousand a second, for half a minute
            run.board.hear(joined(number))
            run.board.hear(BusEvent("discord.message", number, "message", dict(message), LoopClock().now()))
            run.lines.add(LogLine(LoopClock().now().isoformat(), "info", "antiphon.x", "storm", {"n": number}))
            if number % 100 == 0:
                await asyncio.sleep(0.1)
        for name in ("events", "messages", "logs"):
            times = [at for at, what, panel in port.log if panel == name and what == "edit"]
            assert 3 <= len(times) <= 6, "one in six seconds"
            assert all(later - earlier > 5.99 for earlier, later in pairwise(times))
        for at, _, _ in port.log:  # one channel is edited at most five times in five seconds
            assert sum(1 for other, what, _ in port.log if what == "edit" and at <= other < at + 5) <= 5
        await asyncio.sleep(10)
        assert "guest29999 joined" in port.channels["c1"]["3"].embed["description"]
        await run.end()

    virtually(scene)


def test_many_servers_share_one_budget_and_each_gets_its_turn() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        port.wanted = [PanelPlace(str(number), "log", logs=False) for number in range(50)]
        run = Run(port, store, per_second=4)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        for second in range(60):
            for number in range(50):
                payload: dict[str, object] = {"event": "GUILD_MEMBER_ADD", "server": str(number), "name": f"g{second}"}
                run.board.hear(BusEvent("discord.gateway", second, "gateway", payload, LoopClock().now()))
            await asyncio.sleep(1)
        edits = [at for at, what, _ in port.log if what == "edit" and at >= began]
        assert len(edits) <= 4 * 60 + 5
        described = [port.channels[f"c{number}"] for number in range(50)]
        assert all(any("joined" in one.embed["description"] for one in messages.values()) for messages in described)
        assert not any("Logs" in one.embed["title"] for messages in described for one in messages.values())
        await run.end()

    virtually(scene)


def test_a_restart_finds_its_panels_and_says_offline_in_between() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        first = Run(port, store)
        await asyncio.sleep(1)
        await first.end()
        assert all("offline" in drawn.embed["title"] for drawn in port.channels["c1"].values())
        before = list(port.channels["c1"])
        second = Run(port, store)
        await asyncio.sleep(10)
        assert list(port.channels["c1"]) == before
        assert not any("offline" in drawn.embed["title"] for drawn in port.channels["c1"].values())
        await second.end()

    virtually(scene)


@pytest.mark.parametrize("remembers", [True, False])
def test_a_killed_process_leaves_no_second_panel_even_when_nothing_was_stored(remembers: bool) -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        for _ in range(4):
            run = Run(port, store)
            await asyncio.sleep(0.6)
            await run.kill()
            if not remembers:
                store.kept.clear()
        assert sorted(titles(port)) == sorted(["Server", "Logs", "Events", "Messages", "Voice"])

    virtually(scene)


def test_what_earlier_runs_left_over_is_deleted_and_other_messages_stay() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        left = draw(Panel(name="logs", title="Logs"))
        other = Drawn({"title": "Minutes", "description": "", "footer": {"text": "of the meeting"}})
        port.channels["c1"] = {"a": left, "b": other, "c": left}
        run = Run(port, store)
        await asyncio.sleep(1)
        assert "b" in port.channels["c1"]
        assert titles(port).count("Logs") == 1
        assert len(port.channels["c1"]) == 6
        await run.end()

    virtually(scene)


def test_a_stored_panel_further_up_than_we_look_is_edited_not_posted_again() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        first = Run(port, store)
        await asyncio.sleep(1)
        await first.end()
        port.seen = 0
        second = Run(port, store)
        await asyncio.sleep(10)
        assert port.count("post") == 5
        assert not any("offline" in drawn.embed["title"] for drawn in port.channels["c1"].values())
        await second.end()

    virtually(scene)


def test_a_deleted_panel_and_a_deleted_channel_come_back() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        run = Run(port, store)
        await asyncio.sleep(1)
        del port.channels["c1"]["3"]
        run.board.hear(joined(1))
        await asyncio.sleep(10)
        assert sorted(titles(port)) == sorted(["Server", "Logs", "Events", "Messages", "Voice"])
        port.channels.clear()
        run.board.hear(joined(2))
        await asyncio.sleep(10)
        assert len(port.channels["c1"]) == 5
        await run.end()

    virtually(scene)


def test_without_permission_the_server_is_left_alone_for_a_while_and_taken_up_again() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        port.refused = "Missing Permissions"
        run = Run(port, store)
        await asyncio.sleep(100)
        assert port.log == []
        port.refused = ""
        await asyncio.sleep(250)
        assert port.count("post") == 5
        port.refused = "Missing Permissions"
        run.board.hear(joined(1))
        await asyncio.sleep(30)
        await run.end()

    virtually(scene)


def test_a_server_that_wants_no_panels_any_more_is_left() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        run = Run(port, store)
        await asyncio.sleep(1)
        port.wanted = []
        await asyncio.sleep(25)
        run.board.hear(joined(1))
        await asyncio.sleep(10)
        assert port.count("edit") == 0
        await run.end()

    virtually(scene)


def test_buttons_change_what_a_panel_shows_and_that_survives_a_restart() -> None:
    async def scene(port: FakePort, store: FakeStore) -> None:
        run = Run(port, store)
        for number in range(25):
            run.board.hear(joined(number))
        await asyncio.sleep(1)
        second = run.panels.press("1", "3", "page", "2")
        assert second is not None
        assert "guest14 joined" in second.embed["description"]
        assert "page 2 of 3" in second.embed["footer"]["text"]
        found = run.panels.press("1", "3", "search", "guest7")
        assert found is not None
        assert found.embed["description"].count("joined") == 1
        assert run.panels.press("1", "3", "filter", "nonsense") is not None
        assert run.panels.press("1", "999", "page", "2") is None, "not a panel"
        assert run.panels.press("2", "3", "page", "2") is None, "another server's panel"
        assert run.panels.press("1", "3", "page", "x") is None
        await run.end()
        assert store.kept["posted"]["servers"]["1"]["panels"]["events"]["q"] == "guest7"  # type: ignore[index]
        after = Run(port, store)
        await asyncio.sleep(10)
        assert "guest7" in port.channels["c1"]["3"].embed["footer"]["text"]
        await after.end()

    virtually(scene)


def test_every_panel_can_be_drawn_with_nothing_in_it() -> None:
    board = Board(LoopClock2(), Recent[LogLine]())
    for name in PANELS:
        json.dumps(draw(board.panel(name)).embed)
