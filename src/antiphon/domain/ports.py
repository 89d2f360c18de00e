"""The narrow ports that hold the packages together. `run/wiring.py` connects them; nobody imports sideways.

**Every method of a store port is one transaction.** Store methods raise `StoreUnavailable` when the database is
locked, full, restarting or gone; nothing is then half written. Methods that take a `Lease` raise `LeaseLost` when the
task no longer belongs to it. All datetimes are timezone-aware UTC.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Protocol

from antiphon.domain.approvals import Approval, ApprovalState, Resume
from antiphon.domain.attachments import StoredFile
from antiphon.domain.conversation import (
    Attachment,
    Channel,
    InboundMessage,
    Message,
    PlaceSettings,
    Receipt,
    ServerSettings,
    Thread,
)
from antiphon.domain.events import BusEvent
from antiphon.domain.health import PartHealth
from antiphon.domain.identity import Ended, Key, Person, Principal, Requester, Role, SignedIn, User
from antiphon.domain.memories import Lesson, Memory, MemoryScope, Proposal, Summary
from antiphon.domain.personal_data import ErasureReceipt, PersonalData, Swept
from antiphon.domain.polls import NewPoll, Poll
from antiphon.domain.schedule import Entry, NewEntry, Timing
from antiphon.domain.tools import ExecutionKey, ExecutionStatus, ToolExecution
from antiphon.domain.turns import TurnEvent, TurnRequest
from antiphon.domain.usage import Today, UsageQuery, UsageRow
from antiphon.domain.voice import EndReason, NewVoiceSession, Segment, TurnTimes, VoiceRecord, VoiceSession
from antiphon.domain.work import Delivery, Lease, Outcome, Pause, Task, TaskFailure, Usage, Work


class Clock(Protocol):
    """Where the time comes from; tests give a virtual one."""

    def now(self) -> datetime:
        """The current time, UTC."""
        ...


class Signals(Protocol):
    """Wakes loops that wait for rows. Names: `tasks`, `replies`, `schedule`. A lost signal costs one sweep (1 s)."""

    def notify(self, name: str) -> None:
        """Wake whoever waits for `name`. Callable from any thread."""
        ...

    async def wait(self, name: str, timeout: float) -> None:  # noqa: ASYNC109 - waiting out the time is not an error
        """Return when `name` was notified since the last wait, or after `timeout` seconds."""
        ...


# --- the durable path ------------------------------------------------------------------------------------------------


class InboxStore(Protocol):
    """Accepting what was said."""

    async def receive(self, message: InboundMessage) -> Receipt:
        """Store a message and its task, or return the earlier receipt for the same dedupe key.

        One transaction: dedupe, person, account, server and channel upserts, find or open the active thread, message,
        task, platform cursor. Raises `Conflict` when the same id comes with another text, and
        `NotFound` when a `web:`/`api:` channel belongs to another person.
        """
        ...

    async def cursor(self, platform: str, receiver: str, channel: str) -> str:
        """The platform position stored with the last accepted message, or ""."""
        ...


class TaskStore(Protocol):
    """The runner's side of tasks. See `TaskState` for the machine."""

    async def claim(self, owner: str, limit: int, lease_seconds: float) -> Sequence[Work]:
        """Take up to `limit` queued, due heads of channels without a running task; at most one per channel.

        Counts the attempt. A head whose attempts are used up is not returned; see `bury`. What was handed over since
        `stand_by` comes first, whatever `limit` says, and ends the standing by.
        """
        ...

    def stand_by(self, owner: str, slots: int, lease_seconds: float) -> None:
        """Until the next `claim` this worker has so many free slots: the store may accept messages as claimed by it.

        It notifies `tasks` after each. One worker per process.
        """
        ...

    async def renew(self, owner: str, tasks: Sequence[int], lease_seconds: float) -> Mapping[int, bool]:
        """Extend the leases still held. Returns task -> cancel requested for those; a missing id is a lost lease."""
        ...

    async def resume_of(self, lease: Lease) -> Resume:
        """The stored pause of a task that was waiting, with its decided approvals."""
        ...

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        """Fenced completion: agent message, reply parts (a draft becomes ready), turn, usage, state."""
        ...

    async def pause(self, lease: Lease, pause: Pause) -> Sequence[Approval]:
        """Fenced: store the snapshot, create the approvals, tell the person (a notice reply), wait.

        Returns no approvals when a person asked to stop meanwhile: then the task is cancelled instead."""
        ...

    async def retry_later(
        self,
        lease: Lease,
        failure: TaskFailure,
        delay: float,
        *,
        usage: Usage | None = None,
        trace: dict[str, object] | None = None,
    ) -> None:
        """Fenced: back to the queue, not before `delay` seconds, remembering why and what the attempt consumed."""
        ...

    async def give_back(self, owner: str, tasks: Sequence[int]) -> None:
        """Return unfinished tasks at shutdown without counting the attempt."""
        ...

    async def reap(self, *, owners_are_gone: bool = False) -> int:
        """Requeue running tasks whose lease expired (all of them when every earlier owner is known to be gone)."""
        ...

    async def bury(self, max_attempts: int, text: str) -> Sequence[int]:
        """Move queued tasks that used up their attempts to the dead letters and tell the person with `text`."""
        ...

    async def cancel(self, task: int) -> Task:
        """Cancel a queued or waiting task now (its pending approvals too); ask a running one to stop. Idempotent."""
        ...

    async def retry(self, task: int) -> Task:
        """Queue a dead or cancelled task again with fresh attempts; send the dead replies of a done one again.

        `Conflict` when there is nothing to try again."""
        ...

    async def get(self, task: int) -> Task:
        """One task with reply, tools, usage and error. `NotFound` if there is none."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """How many tasks are in each state."""
        ...


class LiveStore(Protocol):
    """Spoken turns through the same rows."""

    async def begin(self, message: InboundMessage, owner: str, lease_seconds: float) -> Work:
        """Write message and task (running, leased to the session) in one transaction.

        Raises `ChannelBusy` when another task of the channel is running, `Conflict` for a repeated id.
        """
        ...

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        """The same fenced completion as `TaskStore.finish`, for words already heard."""
        ...


class ExecutionStore(Protocol):
    """The record of tool calls."""

    async def begin(
        self, key: ExecutionKey, arguments: Mapping[str, object], *, lease: Lease | None, approval: int | None
    ) -> ToolExecution:
        """Record a call before it runs, or return the record of an earlier attempt (`fresh=False`).

        With `approval` the approval is consumed in the same transaction: `Conflict` when it is not approved, expired,
        used before, or bound to other arguments. With `lease` the write is fenced.
        """
        ...

    async def end(self, execution: int, status: ExecutionStatus, result: str, seconds: float) -> None:
        """Record how the call ended. A second end of the same execution changes nothing."""
        ...


class OutboxStore(Protocol):
    """The sender's side of replies."""

    async def claim(self, owner: str, limit: int, lease_seconds: float, platforms: Sequence[str]) -> Sequence[Delivery]:
        """Take the ready heads of channels, marking them `sending`: per channel strictly in order.

        A row left `sending` by a lost owner comes back with `doubtful=True`.
        """
        ...

    async def sent(self, owner: str, reply: int, native_id: str) -> None:
        """Delivered. Fenced by `owner`."""
        ...

    async def later(self, owner: str, reply: int, delay: float, reason: str, *, doubtful: bool) -> None:
        """Not delivered: ready again after `delay` seconds. `doubtful` when it may have arrived all the same."""
        ...

    async def dead(self, owner: str, reply: int, reason: str) -> None:
        """Given up, with the reason. The next reply of the channel becomes the head."""
        ...

    async def reap(self) -> None:
        """Whoever was sending is known to be gone: what they left comes back at once, and is doubtful."""
        ...

    async def open_draft(self, lease: Lease) -> Delivery | None:
        """Find or create the draft reply of a task. A draft whose send may have happened is `doubtful`.

        None while replies to earlier tasks of the channel are under way: a draft must not overtake them.
        """
        ...

    async def draft_sent(self, reply: int, native_id: str) -> None:
        """Store the platform's id of a draft."""
        ...

    async def revive(self, reply: int) -> None:
        """Make a dead reply ready again, by hand."""
        ...


class ApprovalStore(Protocol):
    """Questions to humans."""

    async def get(self, approval: int) -> Approval:
        """One approval, or `NotFound`."""
        ...

    async def pending(self, channel: str | None = None) -> Sequence[Approval]:
        """Pending approvals, oldest first."""
        ...

    async def decide(self, approval: int, state: ApprovalState, by: int) -> Approval:
        """Approve or deny a pending, unexpired approval; the last decision of a pause queues its task again.

        Repeating the same decision by the same person returns it unchanged; anything else on a decided approval
        raises `Conflict`. Who may decide is checked by `threads.approvals` before.
        """
        ...


class ScheduleStore(Protocol):
    """Whatever is due."""

    async def add(self, entry: NewEntry) -> Entry:
        """Create an entry; the same `origin` returns the existing one."""
        ...

    async def pending(self, person: int, channel: str | None = None) -> Sequence[Entry]:
        """A person's open reminders and timers, soonest first."""
        ...

    async def cancel(self, person: int, entries: Sequence[int]) -> Sequence[Entry]:
        """Cancel the given pending entries of that person; returns those that were cancelled."""
        ...

    async def change(
        self, person: int, entry: int, *, text: str | None = None, timing: Timing | None = None
    ) -> Entry | None:
        """Change what is given of a pending entry of that person; None when there is no such entry (any more)."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next entry is due, a thread goes idle, or an approval expires; None when nothing is to come."""
        ...

    async def fire_due(self, limit: int) -> int:
        """Carry out what is due, each entry with its whole effect in one transaction. Returns how many fired.

        A reminder or timer becomes a finished task (kind scheduled) with the agent's message and its reply; one that
        repeats moves to its next time, and firings missed meanwhile count as this one. An active
        thread without live tasks whose last message is older than the idle time is closed. A pending approval past
        its time expires, and the last one of a pause queues its task again.
        """
        ...


class UsageStore(Protocol):
    """What turns consumed, derived from their rows: right across workers and restarts."""

    async def today(self, since: datetime, person: int, server: int | None) -> Today:
        """What was consumed since `since`, which is when the day began."""
        ...

    async def table(self, query: UsageQuery, limit: int) -> Sequence[UsageRow]:
        """The accounts in groups: days newest first, everything else by tokens, at most `limit`."""
        ...


class ThreadStore(Protocol):
    """Reading conversations, for the brain's context and for tools."""

    async def recent(self, channel: str, *, before: int | None, limit: int) -> Sequence[Message]:
        """The latest messages of a channel, oldest first, with author, time, reply-to and attachments."""
        ...

    async def thread(self, thread: int) -> Thread:
        """One thread, or `NotFound`."""
        ...

    async def channel(self, key: str) -> Channel:
        """One channel, or `NotFound`."""
        ...

    async def close(self, thread: int) -> None:
        """Close an active thread by hand."""
        ...

    async def rename(self, channel: str, title: str) -> Channel:
        """Give a channel a title. `NotFound` if there is none."""
        ...


class AttachmentStore(Protocol):
    """Files that came with messages."""

    async def add(self, source: IO[bytes], name: str, *, channel: str, person: int) -> Attachment:
        """Keep an upload for a later message of `person` in `channel`, named and typed by what it is.

        Reads `source` in a thread. Raises `InvalidInput` (empty), `TooLarge` or `Unavailable`; nothing was kept then.
        """
        ...

    async def file(self, attachment: int) -> StoredFile:
        """One attachment that is kept here, with where it belongs. `NotFound` if there is none."""
        ...

    async def content(self, digest: str) -> bytes:
        """The bytes kept under a digest. `NotFound` when they are gone."""
        ...

    def path(self, digest: str) -> Path:
        """The file with a content, for sending it out piece by piece."""
        ...

    async def set_text(self, attachment: int, text: str) -> None:
        """Keep what was read in a file, so that it is read once."""
        ...

    async def discard(self, attachment: int, person: int) -> None:
        """Delete a person's upload that no message uses. `NotFound` for every other."""
        ...

    async def sweep_unsent(self, before: float, limit: int) -> int:
        """Delete uploads from before `before` (epoch seconds) that no message uses; returns how many, up to `limit`."""
        ...

    async def sweep_strays(self, before: float) -> int:
        """Delete contents from before `before` that no attachment has; returns how many."""
        ...


class PollStore(Protocol):
    """Polls in channels."""

    async def create(self, poll: NewPoll) -> Poll:
        """Open a poll; the same `origin` returns the existing one.

        `Conflict` when the channel has an open one, `NotFound` without the channel, `InvalidInput` on its options.
        """
        ...

    async def latest(self, channel: str) -> Poll | None:
        """The open poll of a channel, else the one that was closed last, else None."""
        ...

    async def vote(self, poll: int, person: int, option: int) -> Poll:
        """Give or change a person's one vote; options count from 0.

        `Conflict` when the poll is closed, `InvalidInput` without the option, `NotFound` without the poll.
        """
        ...

    async def close(self, poll: int) -> Poll:
        """Close a poll; a closed one stays as it is. `NotFound`."""
        ...


class VoiceStore(Protocol):
    """Spoken sessions with their transcripts. A room belongs to whoever used its name first."""

    async def claim_room(self, room: str, person: int) -> None:
        """Make a room a person's own, if it is nobody's. `NotFound` when it is somebody else's."""
        ...

    async def begin(self, session: NewVoiceSession) -> VoiceSession:
        """Store the beginning of a session, claiming its room. `NotFound` when that is somebody else's."""
        ...

    async def get(self, key: str, person: int) -> VoiceSession:
        """A person's session. `NotFound`."""
        ...

    async def record(self, key: str, person: int) -> VoiceRecord:
        """The same with everything that was said. `NotFound`."""
        ...

    async def segments(self, key: str, after: int) -> Sequence[Segment]:
        """The segments of a session with a higher number than `after`, in order."""
        ...

    async def add_segment(self, key: str, segment: Segment) -> None:
        """Store a segment that is final; the same number again replaces it. Nothing happens once it was deleted."""
        ...

    async def add_turn(self, key: str, times: TurnTimes) -> None:
        """Store how long a turn took; the same turn again replaces it. Nothing happens once it was deleted."""
        ...

    async def end(self, key: str, reason: EndReason, *, recording: bool) -> None:
        """Store that a session is over. The first reason stands."""
        ...

    async def end_forgotten(self) -> int:
        """End what an earlier run of the program left open; returns how many."""
        ...

    async def delete(self, key: str, person: int) -> None:
        """Delete a session with its transcript. `NotFound`. What was agreed in it stays in its channel."""
        ...


class FeedbackStore(Protocol):
    """What people thought of answers."""

    async def rate(self, message: int, person: int, value: int, text: str) -> None:
        """Store a person's opinion (1 or -1) of an agent's message; a second one replaces the first. `NotFound`."""
        ...

    async def retract(self, feedback: int, person: int) -> None:
        """Take an opinion back: from then on it changes nothing. `NotFound` when it is not there or not theirs."""
        ...

    async def lessons(self, person: int, question: str, limit: int) -> Sequence[Lesson]:
        """A person's opinions of answers to questions like this one, the most alike first."""
        ...


class ProposalStore(Protocol):
    """What the agent would like to remember."""

    async def propose(self, person: int, text: str, *, channel: str, origin: str) -> Proposal:
        """Store a question to the person; the same `origin` returns the existing one."""
        ...

    async def decide(self, proposal: int, person: int, *, accept: bool) -> Proposal:
        """The person's answer; accepting remembers the fact in the same transaction.

        The same answer again changes nothing, another one is a `Conflict`. `NotFound` when it is not theirs.
        """
        ...


class PlaceStore(Protocol):
    """Settings of servers and channels."""

    async def settings_of(self, channel: str) -> PlaceSettings:
        """Those of a channel and of its server; empty ones where nothing is set or there is no such channel yet."""
        ...

    async def set_for_channel(self, channel: str, persona: str) -> PlaceSettings:
        """Set the persona of one channel ("" takes it away). `NotFound` if there is none."""
        ...

    async def set_for_server(self, server: int, persona: str) -> ServerSettings:
        """Set the persona of one server ("" takes it away). `NotFound` if there is none."""
        ...

    async def server(self, server: int) -> ServerSettings:
        """One server with its settings. `NotFound` if there is none."""
        ...


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


class SummaryStore(Protocol):
    """Rolling summaries of long threads."""

    async def summary(self, thread: int) -> Summary | None:
        """What is stored for a thread."""
        ...

    async def keep(self, summary: Summary) -> None:
        """Store it, unless a later one is there already or the thread is gone."""
        ...

    async def unsummarised(self, thread: int, *, after: int, before: int, limit: int) -> Sequence[Message]:
        """The messages of a thread between two ids (both exclusive), oldest first, up to `limit`."""
        ...


class PeopleStore(Protocol):
    """People and their preferences."""

    async def person(self, person: int) -> Person:
        """One person, or `NotFound`."""
        ...

    async def set_preferences(
        self, person: int, *, timezone: str | None = None, language: str | None = None, name: str | None = None
    ) -> Person:
        """Change what is given and return the person."""
        ...

    async def role(self, person: int) -> str:
        """The highest console role tied to the person ("owner", "operator", "member") or ""."""
        ...


class MemoryStore(Protocol):
    """What was remembered."""

    async def remember(
        self, scope: MemoryScope, subject: int, text: str, *, author: int, channel: str, origin: str
    ) -> Memory:
        """Store a fact; the same `origin` returns the existing one."""
        ...

    async def recall(self, scope: MemoryScope, subject: int, query: str, limit: int) -> Sequence[Memory]:
        """The memories about a subject, most relevant to `query` first (newest first when it is empty)."""
        ...

    async def forget(self, scope: MemoryScope, subject: int, memories: Sequence[int] | None) -> Sequence[Memory]:
        """Forget the given memories of that subject, or all with None; returns what was forgotten."""
        ...

    async def restore(self, memory: Memory) -> Memory:
        """Take back that a memory was forgotten: the same text, scope, time and id. Twice is once."""
        ...


class KeyStore(Protocol):
    """API credentials. Only a hash of the secret is kept."""

    async def create(self, name: str, scopes: Sequence[str], person: int) -> tuple[Key, str]:
        """Create a key. The second value is the secret (`ant_...`), shown once. `InvalidInput` on bad scopes."""
        ...

    async def verify(self, secret: str) -> Principal | None:
        """The holder of a live key, or None. Compares in constant time."""
        ...

    async def list(self, person: int | None) -> Sequence[Key]:
        """The keys of one person, or all with None; newest first."""
        ...

    async def revoke(self, key: int, person: int | None) -> Key:
        """Revoke at once. With `person` only that person's keys exist (`NotFound`). Idempotent."""
        ...


class UserStore(Protocol):
    """Logins of the console."""

    async def ensure_owner(self) -> User:
        """The owner account; created with its person at the first start."""
        ...

    async def create(self, name: str, role: Role) -> User:
        """A new user with a person of their own. `Conflict` when the name is taken."""
        ...

    async def find(self, name: str) -> User:
        """A user by name, or `NotFound`."""
        ...

    async def sign_in_token(self, user: int, valid: timedelta) -> str:
        """A single-use sign-in token; only its hash is kept."""
        ...

    async def redeem(self, token: str) -> User:
        """Use a sign-in token up. `Unauthenticated` when it is unknown, used or too old."""
        ...

    async def principal(self, user: int) -> Principal | None:
        """What a signed-in, active user may do; None when the user is gone or disabled."""
        ...

    async def get(self, user: int) -> User:
        """A user by id, or `NotFound`."""
        ...

    async def all(self) -> Sequence[User]:
        """Every user, disabled ones too, in the order they were made."""
        ...

    async def set_role(self, user: int, role: Role) -> User:
        """Change a role. `Conflict` when nobody would be left who owns the installation."""
        ...

    async def disable(self, user: int) -> Ended:
        """Lock a user out: sessions and sign-in links end, keys are refused. `Conflict` for the last owner."""
        ...

    async def enable(self, user: int) -> User:
        """Let a disabled user in again, by a new link or their password; their keys work again."""
        ...

    async def reset(self, user: int) -> Ended:
        """Forget password, authenticator and recovery codes, and end every session: a new link is needed."""
        ...


class CredentialStore(Protocol):
    """Passwords, codes of authenticator apps and recovery codes. Only hashes are kept of what can be hashed."""

    async def sign_in(self, name: str, password: str, code: str) -> User:
        """The user who proves to be `name`. `Unauthenticated`, the same for an unknown name as for a wrong password;
        `SecondFactorNeeded` when only the code is missing. A code works once."""
        ...

    async def check_password(self, user: int, password: str) -> bool:
        """Whether this is the user's password. False when they have none."""
        ...

    async def set_password(self, user: int, password: str, *, keep: str = "") -> Sequence[str]:
        """Choose a password. `InvalidInput` names what is weak about it. Every session of the user ends but the one
        with the key `keep`; returns the keys of those."""
        ...

    async def begin_totp(self, user: int) -> str:
        """A new secret for an authenticator app (base32). It counts only once a code of it was shown."""
        ...

    async def confirm_totp(self, user: int, code: str) -> Sequence[str]:
        """Turn the second factor on and return the recovery codes, shown once. `InvalidInput` on a wrong code."""
        ...

    async def end_totp(self, user: int) -> None:
        """Turn the second factor off; the recovery codes go with it."""
        ...

    async def recovery_codes_left(self, user: int) -> int:
        """How many recovery codes were not used yet."""
        ...


class SessionStore(Protocol):
    """The sessions of signed-in users, as they see them."""

    async def of(self, user: int) -> Sequence[SignedIn]:
        """The live sessions of a user, the last used first."""
        ...

    async def note(self, session_key: str, *, address: str, agent: str) -> None:
        """That a session was used just now. One that ended is left alone."""
        ...

    async def end(self, user: int, session: int | None, *, but: str = "") -> Sequence[str]:
        """End one session of that user, or all with None, except the one with the key `but`; returns the keys of what
        ended. `NotFound` when `session` is none of theirs."""
        ...

    async def known_address(self, user: str, address: str) -> bool:
        """Whether the user called `user` has signed in from there and not been signed out since."""
        ...


class PanelStore(Protocol):
    """What outlives a restart of the dashboard's panels. In the database, or in Redis where other services read it."""

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        """What was kept, by the names of the panels."""
        ...

    async def save(self, name: str, state: Mapping[str, object], panel: Mapping[str, object]) -> None:
        """Keep the `state` of a panel. `panel` is what it shows, for other services; both are JSON."""
        ...


class StoreHealth(Protocol):
    """Whether the database can be read and written."""

    async def health(self) -> PartHealth:
        """Never raises; answers within a second."""
        ...


# --- around it -------------------------------------------------------------------------------------------------------


class Bus(Protocol):
    """Publish/subscribe of events. Keeps the last 1000 events or 10 minutes of each topic for resuming."""

    async def publish(self, topic: str, name: str, payload: Mapping[str, object]) -> int:
        """Publish and return the event's id. Never blocks on a slow listener; never raises when the far side is gone:
        events are hints, the rows are the truth."""
        ...

    def subscribe(self, *topics: str, after: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[BusEvent]]:
        """Listen. With `after` first replay what came later, or yield one `reset` event when that is not kept.

        A listener that falls behind its bounded queue gets one `reset` and goes on with the newest events.
        """
        ...

    async def health(self) -> PartHealth:
        """Whether other processes can be reached."""
        ...


class Brain(Protocol):
    """Runs one turn."""

    def turn(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """Yield the turn's events, ending with `Final` or `Paused`. Raises `ModelError` when no model could answer.

        Closing the iterator (`aclose`) stops the turn; a tool that has started is left to finish and be recorded.
        """
        ...


class Authority(Protocol):
    """What the requester may do, asked at execution time and again at resume. Implemented per platform."""

    async def holds(self, requester: Requester, permission: str) -> bool:
        """Whether the requester holds `permission` there now ("everyone", "operator", "owner", a platform's word)."""
        ...


@dataclass(frozen=True, slots=True)
class PlatformLimits:
    """What a platform can do. `text` in characters per reply part; `nonce_window` is how long it knows a nonce."""

    text: int = 100_000
    parts: int = 0
    """Most parts of one reply; a longer one is handed over whole and sent as a file. 0: any number."""
    drafts: bool = False
    draft_delay: float = 0.0
    """Seconds of work before a draft is shown: an answer that comes at once needs none."""
    draft_interval: float = 1.5
    """Least seconds between two edits of a draft."""
    typing_interval: float = 0.0
    """Seconds for which the platform shows that the agent is at work (`Platform.working`). 0: it does not."""
    reconciles: bool = False
    """`find` really reads the channel, so its None means "not there"."""
    nonce_window: timedelta = timedelta(0)


class Platform(Protocol):
    """A place where people are: the delivering half. Text in goes through `threads.inbox`."""

    @property
    def name(self) -> str:
        """The platform's word: `web`, `discord`, `telegram`."""
        ...

    @property
    def limits(self) -> PlatformLimits:
        """What the platform can do."""
        ...

    async def send(self, delivery: Delivery) -> str:
        """Post a reply and return the platform's id of it. Raises `DeliveryError` or `DeliveryRetry`."""
        ...

    async def edit(self, delivery: Delivery) -> None:
        """Replace the text of `delivery.native_id`. Doing it twice is harmless."""
        ...

    async def find(self, delivery: Delivery) -> str | None:
        """The platform's id of this reply if it is there already. None when it is not (see `reconciles`)."""
        ...

    async def working(self, channel: str) -> None:
        """Show there that the agent is at work, for `limits.typing_interval` seconds. A courtesy: never raises."""
        ...
