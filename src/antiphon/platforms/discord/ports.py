"""What Discord works with, given by `run.wiring`. Light: a process without a token imports nothing else of Discord."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from antiphon.dashboards.board import Board
from antiphon.domain.approvals import ApprovalStore
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage, Receipt
from antiphon.domain.events import Bus
from antiphon.domain.health import PartHealth
from antiphon.domain.identity import PeopleStore
from antiphon.domain.memories import MemoryStore
from antiphon.domain.panels import PanelStore
from antiphon.domain.personal_data import ErasureReceipt
from antiphon.domain.platforms import LeaseStore, PlatformStore
from antiphon.platforms.discord.budget import SharedCounter
from antiphon.threads.approvals import Approvals


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordPorts:
    """The ports and actions. `owner` names this process; `counter` counts for all processes, where there are several.

    `erase` is of everything about a person, and ends their credentials too.
    """

    bus: Bus
    clock: Clock
    store: PlatformStore
    leases: LeaseStore
    people: PeopleStore
    approval_store: ApprovalStore
    memories: MemoryStore
    approvals: Approvals
    receive: Callable[[InboundMessage], Awaitable[Receipt]]
    cancel: Callable[[int], Awaitable[object]]
    forget: Callable[[int], Awaitable[ErasureReceipt]]
    erase: Callable[[int], Awaitable[ErasureReceipt]]
    parts: Callable[[], Awaitable[Sequence[PartHealth]]]
    board: Board
    panels: PanelStore
    owner: str
    counter: SharedCounter | None = None
