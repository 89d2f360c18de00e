"""The transcript of a session while it grows: numbered stretches of speech, told as they change, stored once final.

Every event carries as `id` the number up to which all segments are final: whoever comes back with it as `after` is
given what is stored beyond it, and the rest live.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import Author
from antiphon.domain.voice import Segment, SpokenTool, TurnTimes, VoiceStore
from antiphon.voice.telling import Teller

AGENT = "Antiphon"
_TOOL_STATUS = {"ok": "done", "started": "running", "denied": "refused"}
INTERIM_SECONDS = 0.1
"""Interim words are told at most this often."""


@dataclass(slots=True)
class _Open:
    """A segment that may still change."""

    number: int
    author: Author
    at: datetime
    text: str = ""
    later: asyncio.TimerHandle | None = None
    told: str = ""


class Transcript:
    """Both sides of one session."""

    def __init__(
        self, teller: Teller, store: VoiceStore, clock: Clock, *, session: str, identity: str, after: int = 0
    ) -> None:
        """`after` is the number of the last segment that there is already."""
        self._teller = teller
        self._store = store
        self._clock = clock
        self._session = session
        self._identity = identity
        self._numbers = after
        self._open: dict[int, _Open] = {}
        self.final = after
        """Up to this number everything is final."""

    def begin(self, author: Author) -> int:
        """Somebody begins to speak; returns the number of the segment."""
        self._numbers += 1
        self._open[self._numbers] = _Open(self._numbers, author, self._clock.now())
        return self._numbers

    def grow(self, number: int, text: str) -> None:
        """The words so far; they may still change."""
        segment = self._open.get(number)
        if segment is None or segment.text == text:
            return
        segment.text = text
        if segment.later is None:
            self._tell(segment)
            segment.later = asyncio.get_running_loop().call_later(INTERIM_SECONDS, self._tell_later, segment)

    def close(
        self,
        number: int,
        text: str,
        *,
        interrupted: bool = False,
        unheard: str = "",
        heard_seconds: float | None = None,
    ) -> None:
        """The words are final: tell and store them. A segment without any words is forgotten."""
        segment = self._open.pop(number, None)
        if segment is None:
            return
        if segment.later is not None:
            segment.later.cancel()
        self.final = min(self._open, default=self._numbers + 1) - 1
        if not text and not unheard:
            if segment.told:
                self._teller.tell("transcript", self._event(segment, "", final=True))
            return
        kept = Segment(
            number=number,
            author=segment.author,
            speaker=self._speaker(segment.author),
            text=text,
            at=segment.at,
            interrupted=interrupted,
            unheard=unheard,
            heard_seconds=heard_seconds,
        )
        self._teller.do(lambda: self._store.add_segment(self._session, kept))
        self._teller.tell("transcript", {**segment_event(kept), "id": self.final})
        if interrupted:
            self._teller.tell(
                "interrupted",
                {
                    "id": self.final,
                    "segment": number,
                    "text": text,
                    "unheard": unheard,
                    "heard_seconds": heard_seconds,
                },
            )

    def tell(self, name: str, **payload: object) -> None:
        """Any other event."""
        self._teller.tell(name, {"id": self.final, **payload})

    async def keep_times(self, times: TurnTimes) -> None:
        """Store how long a turn took."""
        await self._store.add_turn(self._session, times)

    def close_all(self) -> None:
        """The session is over: nothing grows any more."""
        for segment in list(self._open.values()):
            self.close(segment.number, segment.text)

    def _tell_later(self, segment: _Open) -> None:
        segment.later = None
        if segment.text != segment.told and segment.number in self._open:
            self._tell(segment)
            segment.later = asyncio.get_running_loop().call_later(INTERIM_SECONDS, self._tell_later, segment)

    def _tell(self, segment: _Open) -> None:
        segment.told = segment.text
        self._teller.tell("transcript", self._event(segment, segment.text, final=False))

    def _event(self, segment: _Open, text: str, *, final: bool) -> dict[str, object]:
        return {
            "id": self.final,
            "segment": segment.number,
            "role": role_of(segment.author),
            "speaker": self._speaker(segment.author),
            "text": text,
            "final": final,
            "at": instant(segment.at),
            "interrupted": False,
            "unheard": "",
            "heard_seconds": None,
        }

    def _speaker(self, author: Author) -> str:
        return AGENT if author is Author.AGENT else self._identity


def role_of(author: Author) -> str:
    """Who spoke, as the API says it."""
    return "agent" if author is Author.AGENT else "user"


def instant(at: datetime) -> str:
    """A time as the API writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tool_status(status: str) -> str:
    """How a tool fares, as transcripts say it: running, done, failed, refused or unknown."""
    return _TOOL_STATUS.get(status, status)


def tool_event(tool: SpokenTool) -> dict[str, object]:
    """A tool as the transcript of a past session lists it."""
    status = tool_status(tool.status)
    return {
        "execution": str(tool.execution),
        "tool": tool.tool,
        "status": status,
        "at": instant(tool.at),
        "seconds": None if status == "running" else round(tool.seconds, 3),
    }


def segment_event(segment: Segment) -> dict[str, object]:
    """A final segment as it is told and listed."""
    return {
        "segment": segment.number,
        "role": role_of(segment.author),
        "speaker": segment.speaker,
        "text": segment.text,
        "final": True,
        "at": instant(segment.at),
        "interrupted": segment.interrupted,
        "unheard": segment.unheard,
        "heard_seconds": segment.heard_seconds,
    }
