"""The panel Voice: who is where, for how long, who speaks, and which stream of sound is whose."""

from __future__ import annotations

from datetime import datetime

from antiphon.dashboards.fields import Payload, flag, number, objects, text, whole
from antiphon.dashboards.panel import Cell, Panel, Row, Tone, View, moment, page_of, shown, span

PER_PAGE = 10
_STATES = {
    "idle": (Tone.OFF, "idle"),
    "connecting": (Tone.BUSY, "connecting"),
    "connected": (Tone.GOOD, "connected"),
    "reconnecting": (Tone.WARNING, "reconnecting"),
}
_MOST_TALKERS = 4
_METER = 10


class VoicePanel:
    """The last word on voice of every server."""

    def __init__(self) -> None:
        self._servers: dict[str, Payload] = {}
        self._changed: dict[str, datetime] = {}

    def voice(self, payload: Payload, at: datetime) -> None:
        """`discord.voice`: the state in one server, whole."""
        server = text(payload, "server")
        self._servers[server] = dict(payload)
        self._changed[server] = at

    def gone(self, server: str) -> None:
        """The bot is no longer in a server."""
        self._servers.pop(server, None)
        self._changed.pop(server, None)

    def panel(self, server: str, view: View, now: datetime, *, size: int = PER_PAGE) -> Panel:
        """One server; "" is the first in which something goes on."""
        del now
        facts = self._servers.get(server) if server else self._busiest()
        facts = facts or {}
        tone, status = _STATES.get(text(facts, "state"), _STATES["idle"])
        here = objects(facts, "speakers") if status != "idle" else []
        rows = [_row(speaker) for speaker in here]
        on_page, view, pages = page_of(rows, view, size)
        talkers = sorted(here, key=lambda one: -(number(one, "speaking_ms") or 0))[:_MOST_TALKERS]
        times = ", ".join(
            f"{_name(one)} {span(spoken / 1000)}" for one in talkers if (spoken := number(one, "speaking_ms"))
        )
        heard = sum(1 for one in here if whole(one, "ssrc") is not None)
        place = text(facts, "place") or text(facts, "channel")
        return Panel(
            name="voice",
            title="Voice",
            tone=tone,
            status=status,
            note=f"{place}, {len(here)} inside" if here and place else place if status != "idle" else "",
            since=moment(facts.get("since")) if status != "idle" else None,
            stats=(),
            facts=(
                Cell("Transcription"),
                Cell("Streams heard", f"{heard} of {len(here)}" if here else None),
                Cell("Speaking time", times or None),
                Cell("Last answers"),
            ),
            rows=on_page,
            view=view,
            pages=pages,
            total=len(rows),
            empty="" if rows else "Nobody is in a voice channel with the agent.",
        )

    def _busiest(self) -> Payload | None:
        busy = [facts for facts in self._servers.values() if text(facts, "state") not in ("", "idle")]
        return busy[0] if busy else None

    def dump(self) -> dict[str, object]:
        """Where the agent was. Nobody is heard before the connection is there again, so the state is kept as idle."""
        return {"servers": [{**facts, "state": "idle"} for facts in self._servers.values()]}

    def load(self, stored: Payload) -> None:
        """Take back what was kept."""
        for facts in objects(stored, "servers", most=5000):
            self._servers.setdefault(text(facts, "server"), {**facts, "state": "idle"})


def _name(speaker: Payload) -> str:
    return text(speaker, "name") or text(speaker, "user") or "somebody"


def _row(speaker: Payload) -> Row:
    speaking, muted, ssrc = flag(speaker, "speaking"), flag(speaker, "muted"), whole(speaker, "ssrc")
    spoken, lost, level = number(speaker, "speaking_ms"), number(speaker, "lost"), number(speaker, "level")
    parts = ["muted"] if muted else []
    parts.append(f"ssrc {shown(None if ssrc is None else str(ssrc))}")
    if lost is not None:
        parts.append(f"{lost:.1f} % lost")
    parts.append(f"spoke {shown(None if spoken is None else span(spoken / 1000))}")
    return Row(
        text=_name(speaker),
        kind="agent" if flag(speaker, "agent") else "person",
        who=_name(speaker),
        tone=Tone.GOOD if speaking else Tone.PLAIN,
        badge="speaking" if speaking else "",
        detail=", ".join(parts),
        level=(_METER if speaking else 0) if level is None else min(_METER, max(0, round(level * _METER))),
        since=moment(speaker.get("since")),
    )
