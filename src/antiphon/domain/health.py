"""How parts report whether they work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
