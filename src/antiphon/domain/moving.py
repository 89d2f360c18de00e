"""A thread that moves between systems: who imported what, from where. The file itself is `threads.thread_file`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from antiphon.domain.approvals import ApproverRule


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What an import may write: for whom, from which export, and what this system, not the file, decides.

    `rules` are the approvers of each waiting call and `titles` what they are asked, in the words of the tool here, both
    by (task reference, call id); `expires_at` is when those questions
    end here; `snapshots` are the paused turns by task reference; `due` the next time of each schedule entry.
    """

    export: str
    person: int
    channel: str
    rules: dict[tuple[str, str], ApproverRule]
    titles: dict[tuple[str, str], str]
    snapshots: dict[str, bytes]
    due: tuple[datetime, ...]
    expires_at: datetime
    source: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ImportedThread:
    """The rows a file became. `created` is False when this person had imported the same export before."""

    thread: int
    channel: str
    created: bool
    messages: int = 0
    approvals: int = 0
    reminders: int = 0
    memories: int = 0
