"""The state of the panels: what events and log lines make of them, and what of it outlives a restart."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from antiphon.dashboards.board import Board
from antiphon.dashboards.panel import PANELS, Panel, Tone, View, document, span
from antiphon.domain.errors import NotFound
from antiphon.domain.events import (
    COMMAND_USED,
    DISCORD_API,
    DISCORD_GATEWAY,
    DISCORD_MESSAGE,
    DISCORD_SERVER,
    DISCORD_STATE,
    DISCORD_VOICE,
    PANEL,
    BusEvent,
    problems_of,
)
from antiphon.telemetry.recent import LogLine, Recent
from tests.fakes.clock import FakeClock

SERVER: dict[str, object] = {
    "server": "1",
    "name": "Harbour Makers",
    "icon": "",
    "owner": "7",
    "boost_level": 2,
    "boosts": 9,
    "features": ["COMMUNITY", "WELCOME_SCREEN_ENABLED"],
    "members": 1284,
    "online": 212,
    "channels": 14,
    "roles": 6,
}
CALL: dict[str, object] = {
    "route": "PATCH /channels/{channel}/messages/{message}",
    "status": 200,
    "remaining": 4,
    "limit": 5,
    "reset_after": 1.0,
    "global": False,
}


class Scene:
    """A board, a clock, a ring of log lines, and short ways to make something happen."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.lines: Recent[LogLine] = Recent()
        self.board = Board(self.clock, self.lines)
        self._id = 0

    def happens(self, topic: str, name: str, payload: dict[str, object], at: datetime | None = None) -> None:
        assert problems_of(topic, name, payload) == []
        self._id += 1
        self.board.hear(BusEvent(topic, self._id, name, payload, at or self.clock.now()))

    def gateway(self, event: str, **fields: str) -> None:
        empty = dict.fromkeys(("channel", "place", "person", "name", "detail"), "")
        self.happens(DISCORD_GATEWAY, "gateway", {"event": event, "server": "1", **empty, **fields})

    def shard(self, state: str, latency: float | None = None, shard: int = 0) -> None:
        self.happens(DISCORD_STATE, "state", {"shard": shard, "state": state, "latency_ms": latency, "guilds": 1})

    def message(self, direction: str = "in", kind: str = "message", at: datetime | None = None) -> None:
        payload = {"server": "1", "channel": "2", "direction": direction, "kind": kind, "command": ""}
        self.happens(DISCORD_MESSAGE, "message", payload, at)  # type: ignore[arg-type]

    def command(self, name: str, *, ok: bool = True) -> None:
        payload = {"platform": "discord", "server": "1", "name": name, "ok": ok, "ms": 3.0}
        self.happens(COMMAND_USED, COMMAND_USED, payload)  # type: ignore[arg-type]

    def voice(self, state: str, *speakers: dict[str, object]) -> None:
        since = self.clock.now().isoformat()
        payload = {"server": "1", "channel": "9", "place": "Quay", "state": state, "since": since}
        self.happens(DISCORD_VOICE, "voice", {**payload, "speakers": list(speakers)})

    def line(self, level: str, event: str, **keys: object) -> None:
        self.lines.add(LogLine("2026-03-04T15:00:00Z", level, "antiphon.threads.runner", event, keys))

    def restarted(self) -> Scene:
        """A board of a new process that was given what the old one kept, by way of JSON."""
        after = Scene()
        for name in PANELS:
            after.board.load(name, json.loads(json.dumps(self.board.dump(name))))
        return after


def cells(panel: Panel) -> dict[str, str | None]:
    return {cell.label: cell.value for cell in (*panel.stats, *panel.facts)}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_without_discord_every_panel_is_there_and_says_so(scene: Scene) -> None:
    server = scene.board.panel("server")
    assert (server.tone, server.status) == (Tone.OFF, "not connected")
    assert "antiphon demo" in server.empty
    assert set(cells(server).values()) == {None}, "nothing is made up"
    for name in PANELS:
        json.dumps(document(scene.board.panel(name)))
    with pytest.raises(NotFound):
        scene.board.panel("weather")


def test_the_server_panel_shows_facts_connection_and_limits(scene: Scene) -> None:
    scene.happens(DISCORD_SERVER, "server", SERVER)
    scene.shard("ready", 41.2)
    for _ in range(17):
        scene.happens(DISCORD_API, "call", CALL)
    panel = scene.board.panel("server", "1")
    found = cells(panel)
    assert (panel.tone, panel.status, panel.note) == (Tone.GOOD, "connected", "Harbour Makers")
    assert (found["Members"], found["Gateway"], found["Boost level"]) == ("1\u202f284", "41", "2")
    assert (found["Rate limit"], found["Edits"]) == ("up to 20 of 50/s", "5 in a burst")
    assert found["Features"] == "community, welcome screen enabled"
    assert found["Shards"] == "1 of 1 up"


def test_requests_alone_change_no_version_so_that_editing_a_panel_does_not_call_for_the_next_edit(scene: Scene) -> None:
    scene.shard("ready", 41)
    before = {name: scene.board.version(name) for name in PANELS}
    first = scene.board.panel("server", "1")
    scene.happens(DISCORD_API, "call", CALL)
    scene.happens(PANEL, "panel.changed", {"panel": "server", "changed": "now"})
    assert {name: scene.board.version(name) for name in PANELS} == before
    assert cells(scene.board.panel("server", "1"))["Rate limit"] == cells(first)["Rate limit"]


def test_a_lost_shard_is_told_and_the_gateway_has_no_latency(scene: Scene) -> None:
    scene.shard("ready", 41)
    scene.shard("ready", 44, shard=1)
    scene.shard("closed", 41, shard=1)
    panel = scene.board.panel("server", "1")
    assert (panel.tone, panel.status, cells(panel)["Shards"]) == (Tone.ERROR, "not connected", "1 of 2 up")
    scene.shard("closed")
    assert cells(scene.board.panel("server", "1"))["Gateway"] is None


def test_latency_alone_is_no_event(scene: Scene) -> None:
    scene.shard("ready", 41)
    scene.shard("ready", 57)
    assert len(scene.board.panel("events").rows) == 1


def test_events_are_told_newest_first_filtered_searched_and_paged(scene: Scene) -> None:
    for number in range(20):
        scene.gateway("MESSAGE_CREATE", name=f"ada{number}", place="#quay")
        scene.clock.move(seconds=1)
    scene.gateway("GUILD_MEMBER_ADD", name="ingo")
    scene.gateway("SOMETHING_{NEW}")
    panel = scene.board.panel("events", "1")
    assert [row.text for row in panel.rows[:3]] == ["Something {new}", "ingo joined", "ada19 wrote in #quay"]
    assert (panel.pages, panel.total, panel.note) == (3, 22, "2.2 per minute")
    people = scene.board.panel("events", "1", View("people"))
    assert [row.text for row in people.rows] == ["ingo joined"]
    assert scene.board.panel("events", "1", View(q="ADA7")).total == 1
    last = scene.board.panel("events", "1", View(page=99))
    assert (last.view.page, len(last.rows)) == (3, 6)
    assert scene.board.panel("events", "1", View("nonsense")).view.filter == ""
    assert scene.board.panel("events", "2").total == 0, "another server's events are its own"


def test_messages_are_counted_by_hour_and_forgotten_after_a_day(scene: Scene) -> None:
    scene.message(at=scene.clock.now() - timedelta(hours=30))
    for hours in (0, 0, 3):
        scene.message(at=scene.clock.now() - timedelta(hours=hours))
    scene.message("out")
    scene.message(kind="edit")
    scene.message(kind="delete")
    scene.command("ask")
    scene.command("ask", ok=False)
    scene.command("remind")
    panel = scene.board.panel("messages", "1")
    found = cells(panel)
    assert (found["People"], found["Antiphon"], found["Commands"]) == ("3", "1", "3")
    assert found["Most used"] == "ask 2, remind 1"
    assert (found["Edited"], found["Deleted"], found["Failed"]) == ("1", "1", "1")
    assert panel.chart is not None
    people = dict(panel.chart.series)["people"]
    assert (len(people), people[-1], people[-4]) == (24, 2, 1)
    assert "peak 2" in panel.chart.summary


def test_conversations_of_the_browser_are_counted_too_and_belong_to_no_server(scene: Scene) -> None:
    turn = {"task": "1", "turn": "1.1", "attempt": 1}
    for topic in ("turn.web:a", "turn.discord:2"):
        scene.happens(topic, "turn.started", dict(turn))
        scene.happens(topic, "text.delta", {**turn, "text": "hello"})
        scene.happens(topic, "reply", {**turn, "reply": "1", "message": "2", "kind": "final", "text": "hello"})
    scene.happens("turn.web:a", "turn.started", {**turn, "attempt": 2})
    found = cells(scene.board.panel("messages"))
    assert (found["People"], found["Antiphon"]) == ("1", "1"), "Discord counts its own messages"
    assert cells(scene.board.panel("messages", "1"))["People"] == "0"


def test_voice_shows_who_is_where_and_a_dash_for_what_was_not_measured(scene: Scene) -> None:
    speaking = {"ssrc": 18213, "user": "5", "name": "mara", "speaking": True, "speaking_ms": 310_000, "lost": 0.0}
    silent = {"ssrc": None, "user": "6", "name": "nadia", "speaking": False, "speaking_ms": None}
    scene.voice("connected", speaking, silent)
    panel = scene.board.panel("voice", "1")
    assert (panel.tone, panel.status, panel.note) == (Tone.GOOD, "connected", "Quay, 2 inside")
    assert panel.since == scene.clock.now()
    assert [(row.text, row.badge, row.detail) for row in panel.rows] == [
        ("mara", "speaking", "ssrc 18213, 0.0 % lost, spoke 5:10"),
        ("nadia", "", "ssrc –, spoke –"),  # noqa: RUF001 - the dash that is shown
    ]
    found = cells(panel)
    assert (found["Speaking time"], found["Streams heard"]) == ("mara 5:10", "1 of 2")
    assert found["Transcription"] is None
    scene.voice("idle")
    assert (scene.board.panel("voice", "1").status, scene.board.panel("voice", "1").rows) == ("idle", ())


def test_logs_are_coloured_filtered_searched_and_leave_out_the_panels_own_lines(scene: Scene) -> None:
    scene.line("info", "task.started", task=7)
    scene.line("warning", "bus.slow", topic="turn")
    scene.line("error", "outbox.broke", reason="the disk")
    scene.lines.add(LogLine("2026-03-04T15:00:00Z", "info", "antiphon.dashboards.keeper", "panels.saved", {}))
    panel = scene.board.panel("logs")
    assert [row.text for row in panel.rows] == [
        "outbox.broke reason=the disk",
        "bus.slow topic=turn",
        "task.started task=7",
    ]
    assert [row.tone for row in panel.rows] == [Tone.ERROR, Tone.WARNING, Tone.PLAIN]
    assert (panel.status, panel.tone) == ("1 error", Tone.ERROR)
    assert scene.board.panel("logs", view=View("error")).total == 1
    assert scene.board.panel("logs", view=View("warning")).total == 2
    assert scene.board.panel("logs", view=View(q="THE DISK")).total == 1
    assert scene.board.panel("logs", size=2).pages == 2


def test_state_survives_a_restart_but_not_what_only_a_connection_can_know(scene: Scene) -> None:
    scene.happens(DISCORD_SERVER, "server", SERVER)
    scene.shard("ready", 41)
    scene.clock.move(seconds=1)
    scene.gateway("GUILD_MEMBER_ADD", name="ingo")
    scene.message()
    scene.command("ask")
    scene.voice("connected", {"ssrc": 1, "user": "5", "name": "mara", "speaking": True, "speaking_ms": 1})
    scene.line("warning", "bus.slow", topic="turn")
    after = scene.restarted()
    assert after.board.servers == {"1": "Harbour Makers"}
    server = after.board.panel("server", "1")
    assert (server.status, cells(server)["Members"], cells(server)["Gateway"]) == ("not connected", "1\u202f284", None)
    assert [row.text for row in after.board.panel("events", "1").rows] == ["ingo joined", "The gateway is connected"]
    assert cells(after.board.panel("messages", "1"))["Most used"] == "ask 1"
    assert after.board.panel("voice", "1").status == "idle"
    assert [row.text for row in after.board.panel("logs").rows] == ["bus.slow topic=turn"]
    again = after.restarted()
    assert [row.text for row in again.board.panel("logs").rows] == ["bus.slow topic=turn"]
    assert cells(again.board.panel("messages", "1"))["People"] == "1"


@pytest.mark.parametrize("stored", [{}, {"servers": 7, "hours": [1, {"hour": "x"}], "events": None, "lines": [{}]}])
def test_stored_state_that_makes_no_sense_is_left_out(scene: Scene, stored: dict[str, Any]) -> None:
    for name in PANELS:
        scene.board.load(name, stored)
        assert scene.board.panel(name, "1").title


def test_a_server_that_threw_the_agent_out_is_forgotten(scene: Scene) -> None:
    scene.happens(DISCORD_SERVER, "server", SERVER)
    scene.gateway("GUILD_DELETE")
    assert scene.board.servers == {}


def test_lengths_of_time() -> None:
    assert [span(seconds) for seconds in (2.4, 764, 3723, -1)] == ["0:02", "12:44", "1:02:03", "0:00"]
