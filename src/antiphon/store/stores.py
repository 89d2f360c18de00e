"""All store ports over one database. `run/wiring.py` opens them and hands each to whoever needs it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from antiphon.config import Settings
from antiphon.domain.clock import Clock
from antiphon.domain.signals import Signals
from antiphon.store.acceptance import Acceptance
from antiphon.store.approvals import DjangoApprovalStore
from antiphon.store.attachments import DjangoAttachmentStore
from antiphon.store.blobs import FOLDER
from antiphon.store.credentials import DjangoCredentialStore
from antiphon.store.db import Database
from antiphon.store.executions import DjangoExecutionStore
from antiphon.store.feedback import DjangoFeedbackStore
from antiphon.store.health import DjangoStoreHealth
from antiphon.store.inbox import DjangoInboxStore
from antiphon.store.keys import DjangoKeyStore
from antiphon.store.leases import DjangoLeaseStore
from antiphon.store.listen import listen
from antiphon.store.live import DjangoLiveStore
from antiphon.store.memories import DjangoMemoryStore
from antiphon.store.outbox import DjangoOutboxStore
from antiphon.store.panels import DjangoPanelStore
from antiphon.store.people import DjangoPeopleStore
from antiphon.store.personal_data import DjangoPersonalDataStore
from antiphon.store.places import DjangoPlaceStore
from antiphon.store.platforms import DjangoPlatformStore
from antiphon.store.polls import DjangoPollStore
from antiphon.store.proposals import DjangoProposalStore
from antiphon.store.recordings import RecordingFolder
from antiphon.store.retention import DjangoRetentionStore
from antiphon.store.schedule import DjangoScheduleStore
from antiphon.store.sessions import DjangoSessionStore
from antiphon.store.standby import Standby
from antiphon.store.summaries import DjangoSummaryStore
from antiphon.store.tasks import DjangoTaskStore
from antiphon.store.thread_files import DjangoThreadFileStore
from antiphon.store.threads import DjangoThreadStore
from antiphon.store.usage import DjangoUsageStore
from antiphon.store.users import DjangoUserStore
from antiphon.store.voice import DjangoVoiceStore


@dataclass(frozen=True, slots=True)
class Stores:
    """One object per port. `close` ends the database threads; pending writes are finished first."""

    database: Database
    inbox: DjangoInboxStore
    tasks: DjangoTaskStore
    live: DjangoLiveStore
    executions: DjangoExecutionStore
    outbox: DjangoOutboxStore
    approvals: DjangoApprovalStore
    schedule: DjangoScheduleStore
    threads: DjangoThreadStore
    thread_files: DjangoThreadFileStore
    usage: DjangoUsageStore
    attachments: DjangoAttachmentStore
    feedback: DjangoFeedbackStore
    people: DjangoPeopleStore
    memories: DjangoMemoryStore
    proposals: DjangoProposalStore
    places: DjangoPlaceStore
    summaries: DjangoSummaryStore
    polls: DjangoPollStore
    platforms: DjangoPlatformStore
    leases: DjangoLeaseStore
    voice: DjangoVoiceStore
    panels: DjangoPanelStore
    personal_data: DjangoPersonalDataStore
    retention: DjangoRetentionStore
    keys: DjangoKeyStore
    users: DjangoUserStore
    credentials: DjangoCredentialStore
    sessions: DjangoSessionStore
    health: DjangoStoreHealth
    listening: asyncio.Task[None]

    async def close(self) -> None:
        """Stop listening, finish what was asked for, close every connection. Calls made later are refused."""
        self.listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.listening
        await self.database.close()


def open_stores(settings: Settings, clock: Clock, signals: Signals) -> Stores:
    """The stores of a configured, migrated database (`store.settings.configure`, `store.migrate.migrate`).

    Call it on the event loop that will use them. On PostgreSQL it also starts hearing other processes.
    """
    database = Database(signals)
    idle_seconds = settings.threads.idle_minutes * 60
    standby = Standby()
    acceptance = Acceptance(idle_seconds, standby)
    attachments = DjangoAttachmentStore(
        database, clock, settings.data_dir / FOLDER, most=settings.attachments.max_bytes
    )
    recordings = RecordingFolder(settings.data_dir)
    return Stores(
        database=database,
        inbox=DjangoInboxStore(database, clock, acceptance),
        tasks=DjangoTaskStore(database, clock, standby, max_attempts=settings.threads.max_attempts),
        live=DjangoLiveStore(database, clock, acceptance),
        executions=DjangoExecutionStore(database, clock),
        outbox=DjangoOutboxStore(database, clock),
        approvals=DjangoApprovalStore(database, clock),
        schedule=DjangoScheduleStore(database, clock, idle_seconds=idle_seconds),
        threads=DjangoThreadStore(database, clock),
        thread_files=DjangoThreadFileStore(database, clock),
        usage=DjangoUsageStore(database),
        attachments=attachments,
        feedback=DjangoFeedbackStore(database, clock),
        people=DjangoPeopleStore(database),
        memories=DjangoMemoryStore(database, clock),
        proposals=DjangoProposalStore(database, clock),
        places=DjangoPlaceStore(database, clock),
        summaries=DjangoSummaryStore(database, clock),
        polls=DjangoPollStore(database, clock),
        platforms=DjangoPlatformStore(database, clock),
        leases=DjangoLeaseStore(database, clock),
        voice=DjangoVoiceStore(database, clock),
        panels=DjangoPanelStore(database, clock),
        personal_data=DjangoPersonalDataStore(database, clock, attachments, recordings),
        retention=DjangoRetentionStore(database, attachments, recordings),
        keys=DjangoKeyStore(database, clock),
        users=DjangoUserStore(database, clock),
        credentials=DjangoCredentialStore(database, clock),
        sessions=DjangoSessionStore(database, clock),
        health=DjangoStoreHealth(database),
        listening=asyncio.get_running_loop().create_task(listen(database, signals), name="store-listen"),
    )
