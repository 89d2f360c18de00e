"""What goes wrong on purpose. Each fault is used up a number of times; every use is written into the journal."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from antiphon.sim.discord.journal import Journal

KINDS = frozenset(
    {
        "rate_limit",  # 429 on a route: retry_after, scope ("user", "shared", "global")
        "status",  # an answer with `status` (and `code`, `message`) in place of the effect
        "latency",  # `seconds` before the answer
        "slow_answer",  # the effect happens, the answer comes `seconds` later
        "lost_answer",  # the effect happens, then the connection is cut without an answer
        "lost_request",  # the connection is cut before anything happens
        "lost_event",  # a gateway event (`event`) that no session gets; a resume does not bring it back
        "doubled_event",  # a gateway event that every session gets twice
        "delayed_event",  # a gateway event that is sent `seconds` later, out of order
        "refuse_resume",  # a RESUME is answered with Invalid Session
        "refuse_identify",  # an IDENTIFY is answered with Invalid Session
        "close_on_op",  # the connection ends with `code` when the client sends opcode `op`
        "close_on_event",  # ... right after `event` was sent: also HELLO, ACK, HEARTBEAT, RECONNECT, INVALID_SESSION
        "no_ack",  # a heartbeat is not acknowledged
        "refuse_connection",  # a WebSocket is refused with 502
    }
)


@dataclass(slots=True)
class Fault:
    """`route` matches "METHOD /path" as a regular expression; `event` and `op` belong to the gateway."""

    kind: str
    times: int = 1
    after: int = 0
    """How many matching occasions pass first."""
    route: str = ""
    event: str = ""
    op: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        return self.settings.get(name, default)


class Faults:
    """The faults that wait for their occasion."""

    def __init__(self, journal: Journal) -> None:
        self._waiting: list[Fault] = []
        self._journal = journal

    def add(
        self,
        kind: str,
        *,
        times: int = 1,
        after: int = 0,
        route: str = "",
        event: str = "",
        op: int | None = None,
        **settings: Any,
    ) -> Fault:
        """Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"There is no fault {kind!r}; there are {', '.join(sorted(KINDS))}.")
        fault = Fault(kind, times, after, route, event, op, settings)
        self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, kind: str, *, route: str = "", event: str = "", op: int | None = None) -> Fault | None:
        """The fault that strikes now, if any; it is counted down."""
        if not self._waiting:
            return None
        for fault in self._waiting:
            if fault.kind != kind or (fault.route and not re.search(fault.route, route)):
                continue
            if (fault.event and fault.event != event) or (fault.op is not None and fault.op != op):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._waiting.remove(fault)
            about = {"route": route or None, "event": event or None, "op": op}
            self._journal.add("fault", fault=kind, **{key: value for key, value in about.items() if value is not None})
            return fault
        return None
