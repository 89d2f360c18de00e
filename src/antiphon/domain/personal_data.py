"""What belongs to a person: given to them whole, or erased with a receipt; and how long anything is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

CONFIRMATION = "erase everything about me"
"""What a person writes to have it done."""
DELETED_PERSON = "deleted person"
DELETED_TEXT = "[deleted]"
FORMAT = "antiphon-person"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PersonalFile:
    """One file in an export: its name there, and the digest its content is kept under."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Everything stored about a person, as one JSON document, and the files it names."""

    document: Mapping[str, object]
    files: tuple[PersonalFile, ...] = ()


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What was erased, by kind (zeros are left out), and the credentials that ended with it."""

    at: datetime
    erased: Mapping[str, int]
    keys: tuple[int, ...] = ()
    sessions: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Swept:
    """What retention deleted in one pass; `more` says that there is more to do at once."""

    deleted: Mapping[str, int]
    more: bool
