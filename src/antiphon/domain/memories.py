"""What the agent was told to remember, about a person or about a server, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MemoryScope(StrEnum):
    """Whom a memory is about. A person's memories are theirs alone; a server's are seen by everybody there."""

    PERSON = "person"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Memory:
    """One remembered fact with its provenance: who said it, in which channel, when."""

    id: int
    scope: MemoryScope
    subject: int
    text: str
    author: int
    channel: str
    created_at: datetime
