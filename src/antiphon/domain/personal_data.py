"""What belongs to a person: given to them whole, or erased with a receipt; and how long anything is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Protocol, cast

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


def without_words(snapshot: bytes, said: Collection[int], answers: Collection[str]) -> bytes:
    """The paused turn of somebody else without the messages `said` (by id) and the `answers` to them.

    Summaries go whole: what was picked out of whose words cannot be told. What is no snapshot stays as it is.
    """
    try:
        document: object = json.loads(snapshot)
    except ValueError:
        return snapshot
    gone = frozenset(answers)

    def message(match: re.Match[str]) -> str:
        return DELETED_TEXT if int(match["id"]) in said else match[0]

    def cleaned(value: Any) -> Any:
        if isinstance(value, str):
            if value in gone:
                return DELETED_TEXT
            return _SUMMARY.sub("", _MESSAGE.sub(message, value)) if "<" in value else value
        if isinstance(value, dict):
            return {name: cleaned(inner) for name, inner in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [cleaned(inner) for inner in cast("list[Any]", value)]
        return value

    return json.dumps(cleaned(document)).encode()


_MESSAGE = re.compile(r'<message id="(?P<id>\d+)"[^>]*>.*?</message>', re.DOTALL)
_SUMMARY = re.compile(r"<summary>.*?</summary>", re.DOTALL)
"""As `brain.prompt` writes them; nothing inside of one can look like its end."""


class PersonalDataStore(Protocol):
    """Everything about one person."""

    async def export(self, person: int) -> PersonalData:
        """Everything stored about a person, of one moment. `NotFound`."""
        ...

    async def write(self, data: PersonalData, target: IO[bytes]) -> None:
        """Write an export as a zip: `person.json` and the files it names."""
        ...

    async def erase(self, person: int) -> ErasureReceipt:
        """Erase everything about a person, for good.

        `Conflict` for the only owner, `NotFound`.
        """
        ...

    async def forget(self, person: int) -> ErasureReceipt:
        """Forget what was remembered about a person and learnt from them; what was said stays."""
        ...


class RetentionStore(Protocol):
    """Deleting what is old."""

    async def sweep(self, older_than: Mapping[str, datetime], limit: int) -> Swept:
        """Delete up to `limit` rows of each kind (`messages`, `transcripts`, `events`) from before its time."""
        ...
