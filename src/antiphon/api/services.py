"""What the API needs from the rest of the program. `run.wiring` fills it in; views get it without globals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from antiphon.config import Configuration, Settings
from antiphon.dashboards.board import Board
from antiphon.domain.approvals import Approval
from antiphon.domain.attachments import AttachmentStore
from antiphon.domain.clock import Clock
from antiphon.domain.conversation import InboundMessage, PlaceStore, Receipt, ThreadStore
from antiphon.domain.events import Bus
from antiphon.domain.health import BackupFile, PartHealth, Trial
from antiphon.domain.identity import PeopleStore, Principal
from antiphon.domain.logins import CredentialStore, KeyStore, SessionStore, UserStore
from antiphon.domain.memories import FeedbackStore, MemoryStore, ProposalStore
from antiphon.domain.moving import ImportedThread
from antiphon.domain.personal_data import PersonalDataStore
from antiphon.domain.platforms import PlatformStore
from antiphon.domain.schedule import ScheduleStore
from antiphon.domain.usage import UsageStore
from antiphon.domain.voice import VoiceStore
from antiphon.domain.work import Task, TaskStore
from antiphon.store.db import Database
from antiphon.telemetry.recent import Watched
from antiphon.voice.service import VoiceSessions


class DemoStage(Protocol):
    """The people of a simulated server, played by the page of `antiphon demo`. Raises `InvalidInput`, `NotFound`."""

    @property
    def version(self) -> int:
        """Grows with everything that happens there."""
        ...

    def scene(self, channel: str) -> dict[str, Any]:
        """The server, its people, and one channel (the first when it is not there)."""
        ...

    def say(self, person: str, channel: str, text: str) -> None:
        """Write a message, or use a `/command`."""
        ...

    def press(self, person: str, message: str, button: str) -> None:
        """Press a button of a message."""
        ...

    def shown_form(self, person: str) -> dict[str, Any] | None:
        """The form that the person's last press was answered with."""
        ...

    def fill_in(self, person: str, values: dict[str, str]) -> None:
        """Send that form."""
        ...

    def voice(self, person: str, channel: str, *, speaking: bool) -> None:
        """Be in a voice channel, speaking or silent; "" leaves."""
        ...

    def invite(self, name: str) -> str:
        """Somebody new joins; their id."""
        ...


class ApiStores(Protocol):
    """The stores that the API calls; `store.stores.Stores` has them, and others.

    `database` is for reading (`reads`) and for Django's sessions.
    """

    @property
    def database(self) -> Database: ...

    @property
    def tasks(self) -> TaskStore: ...

    @property
    def threads(self) -> ThreadStore: ...

    @property
    def people(self) -> PeopleStore: ...

    @property
    def schedule(self) -> ScheduleStore: ...

    @property
    def memories(self) -> MemoryStore: ...

    @property
    def attachments(self) -> AttachmentStore: ...

    @property
    def feedback(self) -> FeedbackStore: ...

    @property
    def proposals(self) -> ProposalStore: ...

    @property
    def places(self) -> PlaceStore: ...

    @property
    def platforms(self) -> PlatformStore: ...

    @property
    def personal_data(self) -> PersonalDataStore: ...

    @property
    def keys(self) -> KeyStore: ...

    @property
    def users(self) -> UserStore: ...

    @property
    def credentials(self) -> CredentialStore: ...

    @property
    def sessions(self) -> SessionStore: ...

    @property
    def usage(self) -> UsageStore: ...

    @property
    def voice(self) -> VoiceStore: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """The ports and the actions of `threads` that the API calls.

    The callables check nothing about ownership: a view has done that before. `decide` is the exception: it takes the
    principal and raises `NotFound` or `Forbidden` for somebody who may not answer. `should_stop` turns True when the
    server is asked to stop, so that streams end at once.
    """

    settings: Settings
    clock: Clock
    bus: Bus
    stores: ApiStores
    voice: VoiceSessions
    receive: Callable[[InboundMessage], Awaitable[Receipt]]
    cancel: Callable[[int], Awaitable[Task]]
    retry: Callable[[int], Awaitable[Task]]
    export_thread: Callable[[int], Awaitable[dict[str, Any]]]
    import_thread: Callable[[bytes, int], Awaitable[ImportedThread]]
    decide: Callable[[int, Principal, bool], Awaitable[Approval]]
    parts: Callable[[], Awaitable[Sequence[PartHealth]]]
    should_stop: Callable[[], bool]
    board: Board
    demo: DemoStage | None = None
    watched: Watched = field(default_factory=Watched)
    configuration: Configuration
    change_settings: Callable[[Mapping[str, object], bool], Awaitable[None]]
    try_out: Callable[[str, Mapping[str, str]], Awaitable[Trial]]
    backups: Callable[[], Awaitable[Sequence[BackupFile]]]
    make_backup: Callable[[], Awaitable[BackupFile]]
