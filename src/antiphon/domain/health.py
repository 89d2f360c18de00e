"""How parts report whether they work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class PartState(StrEnum):
    """`off` is not a fault: the part is not configured."""

    OK = "ok"
    DEGRADED = "degraded"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class PartHealth:
    """The state of one part with a sentence for people and, when it is off or broken, the remedy."""

    name: str
    state: PartState
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying something out before, or after, it is set up.

    `facts` are pairs (label, value) for people, `choices` names to choose from (models a server lists), `link` an
    address to go on with. Nothing in it repeats what the other side wrote, except for names.
    """

    state: PartState
    detail: str
    remedy: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    choices: tuple[str, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A backup that lies in the backups folder. `size` is in bytes."""

    name: str
    size: int
    made_at: datetime


class StoreHealth(Protocol):
    """Whether the database can be read and written."""

    async def health(self) -> PartHealth:
        """Never raises; answers within a second."""
        ...
