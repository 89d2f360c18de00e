"""The tables. Only `store` and `api` touch these; every write goes through a store port."""

from antiphon.store.models.conversation import (
    Attachment,
    Channel,
    Cursor,
    Message,
    Server,
    ServerSetting,
    Thread,
    ThreadImport,
)
from antiphon.store.models.fields import InstantField
from antiphon.store.models.knowledge import Feedback, Memory, Proposal, ScheduleEntry, ThreadSummary
from antiphon.store.models.leases import NamedLease
from antiphon.store.models.moderation import Case, Event
from antiphon.store.models.panels import PanelState
from antiphon.store.models.people import Account, Key, Membership, Person, RecoveryCode, SignedIn, SignInToken, User
from antiphon.store.models.polls import Poll, PollVote
from antiphon.store.models.voice import VoiceRoom, VoiceSegment, VoiceSession, VoiceTurn
from antiphon.store.models.work import Approval, Pause, Reply, Task, ToolExecution, Turn

__all__ = [
    "Account",
    "Approval",
    "Attachment",
    "Case",
    "Channel",
    "Cursor",
    "Event",
    "Feedback",
    "InstantField",
    "Key",
    "Membership",
    "Memory",
    "Message",
    "NamedLease",
    "PanelState",
    "Pause",
    "Person",
    "Poll",
    "PollVote",
    "Proposal",
    "RecoveryCode",
    "Reply",
    "ScheduleEntry",
    "Server",
    "ServerSetting",
    "SignInToken",
    "SignedIn",
    "Task",
    "Thread",
    "ThreadImport",
    "ThreadSummary",
    "ToolExecution",
    "Turn",
    "User",
    "VoiceRoom",
    "VoiceSegment",
    "VoiceSession",
    "VoiceTurn",
]
