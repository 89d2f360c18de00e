"""The documents of the API: what each answer looks like, for its OpenAPI description. Requests: `request_shapes`.

Answers are built by `wire`; tests check them against these shapes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from rest_framework import serializers

from antiphon.domain.approvals import ApprovalState, ApproverKind
from antiphon.domain.conversation import Author, ThreadState
from antiphon.domain.health import PartState
from antiphon.domain.identity import Role
from antiphon.domain.logins import SCOPES
from antiphon.domain.memories import ProposalState
from antiphon.domain.schedule import EntryKind, EntryState
from antiphon.domain.tools import ExecutionStatus
from antiphon.domain.work import TaskState


def _one_of(kind: Any) -> list[str]:
    return [member.value for member in kind]


def _id(meaning: str, **kwargs: Any) -> serializers.CharField:
    return serializers.RegexField(r"^[0-9]+$", help_text=meaning, **kwargs)


class Receipt(serializers.Serializer):
    """The durable rows a message became."""

    task = _id("Task that answers the message.")
    message = _id("The stored message.")
    thread = _id("Task thread it belongs to.")


class AttachmentItem(serializers.Serializer):
    """A file that came with a message."""

    id = _id("Attachment.")
    name = serializers.CharField()
    media_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")


class MessageItem(serializers.Serializer):
    """Something said in a conversation."""

    id = _id("Message. A later message of a channel has a larger one.")
    author = serializers.ChoiceField(choices=_one_of(Author))
    name = serializers.CharField(help_text="How the author is called: a label, not an identity.")
    text = serializers.CharField()
    at = serializers.DateTimeField()
    task = _id("The task it belongs to.", allow_null=True)
    thread = _id("Its task thread.")
    reply_to = _id("The message it replies to.", allow_null=True)
    interrupted = serializers.BooleanField(help_text="The answer was stopped: this is what got through.")
    attachments = AttachmentItem(many=True)


class ChannelItem(serializers.Serializer):
    """A conversation."""

    key = serializers.CharField()
    title = serializers.CharField()
    last_at = serializers.DateTimeField(help_text="When something was last said.")
    preview = serializers.CharField(help_text="The beginning of the last message.")


class SaidItem(serializers.Serializer):
    """Something said, with its place."""

    id = _id("Message.")
    author = serializers.ChoiceField(choices=_one_of(Author))
    name = serializers.CharField(help_text="How the author is called: a label, not an identity.")
    person = _id("Who said it; null for the agent.", allow_null=True)
    text = serializers.CharField()
    at = serializers.DateTimeField()
    task = _id("The task it belongs to.", allow_null=True)
    thread = _id("Its task thread.")
    interrupted = serializers.BooleanField(help_text="The answer was stopped: this is what got through.")
    files = serializers.IntegerField(help_text="How many files came with it.")
    channel = serializers.CharField(help_text="The conversation's key.")
    title = serializers.CharField(help_text="The conversation's title.")
    platform = serializers.CharField()
    server = serializers.CharField(help_text="The server's name; empty outside of servers.")


class Around(serializers.Serializer):
    """A message with its neighbours."""

    items = SaidItem(many=True)
    older = serializers.CharField(allow_null=True, help_text="Cursor of the messages before these.")
    newer = serializers.CharField(allow_null=True, help_text="Cursor of the messages after these.")


class AccountItem(serializers.Serializer):
    """A person's identity on one platform."""

    platform = serializers.CharField()
    name = serializers.CharField(help_text="A label.")
    id = serializers.CharField(help_text="The platform's own id.")


class PersonItem(serializers.Serializer):
    """Somebody who is known."""

    id = _id("Person.")
    name = serializers.CharField()
    timezone = serializers.CharField()
    language = serializers.CharField()
    role = serializers.ChoiceField(choices=_one_of(Role), allow_null=True, help_text="With a login of the console.")
    messages = serializers.IntegerField(help_text="How many messages they sent.")
    last_at = serializers.DateTimeField(allow_null=True, help_text="When they last said something.")
    created_at = serializers.DateTimeField()
    accounts = AccountItem(many=True)


class ThreadItem(serializers.Serializer):
    """A task thread: a bounded stretch of a conversation."""

    id = _id("Thread.")
    channel = serializers.CharField()
    state = serializers.ChoiceField(choices=_one_of(ThreadState))
    title = serializers.CharField()
    opened_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class TurnItem(serializers.Serializer):
    """One run of the brain for a task."""

    attempt = serializers.IntegerField()
    result = serializers.CharField(help_text="The state it left the task in.")
    error = serializers.CharField()
    model = serializers.CharField(help_text="Who answered.")
    requests = serializers.IntegerField(help_text="To models.")
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    tool_calls = serializers.IntegerField()
    cost = serializers.FloatField()
    seconds = serializers.FloatField()
    ended_at = serializers.DateTimeField()
    trace = serializers.DictField(help_text="What it was given and why it went this way.")


class CallItem(serializers.Serializer):
    """A recorded tool call."""

    execution = _id("Execution.")
    tool = serializers.CharField()
    status = serializers.ChoiceField(choices=_one_of(ExecutionStatus))
    attempt = serializers.IntegerField()
    seconds = serializers.FloatField()
    started_at = serializers.DateTimeField()
    arguments = serializers.DictField(allow_null=True, help_text="Null where words of people are not shown.")
    result = serializers.CharField(allow_null=True)


class TurnList(serializers.Serializer):
    """How a task was worked on."""

    items = TurnItem(many=True)
    calls = CallItem(many=True)


class ImportedThread(serializers.Serializer):
    """What the file of a thread became. The counts are 0 when it had been imported before."""

    thread = _id("The thread.")
    channel = serializers.CharField(help_text="The conversation it is in.")
    created = serializers.BooleanField(help_text="False when you imported the same file before.")
    messages = serializers.IntegerField()
    approvals = serializers.IntegerField(help_text="Questions that wait for an answer here.")
    reminders = serializers.IntegerField()
    memories = serializers.IntegerField(help_text="Facts that were not known yet.")


class TaskError(serializers.Serializer):
    """Why a task failed."""

    code = serializers.CharField()
    message = serializers.CharField()


class ToolItem(serializers.Serializer):
    """A recorded tool call of a task."""

    execution = _id("Execution.")
    tool = serializers.CharField()
    status = serializers.ChoiceField(choices=_one_of(ExecutionStatus))
    seconds = serializers.FloatField(help_text="How long it took.")


class TaskItem(serializers.Serializer):
    """One durable unit of work."""

    id = _id("Task.")
    state = serializers.ChoiceField(choices=_one_of(TaskState))
    channel = serializers.CharField()
    thread = _id("Task thread.")
    message = _id("The message it answers.")
    attempt = serializers.IntegerField(help_text="How often it was started.")
    reply = serializers.CharField(allow_null=True, help_text="The answer's text, once there is one.")
    tools = ToolItem(many=True)
    usage = serializers.DictField(help_text="What its turns consumed; empty before the first.")
    error = TaskError(allow_null=True)
    asked = serializers.CharField(help_text="The beginning of the message; empty where you may not read it.")
    requester = serializers.CharField(help_text="Who asked: a label.")
    title = serializers.CharField(help_text="The conversation's title.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    dead_reply = serializers.CharField(allow_null=True, help_text="Why its answer could not be delivered.")


class ApproverItem(serializers.Serializer):
    """Who may answer an approval."""

    kind = serializers.ChoiceField(choices=_one_of(ApproverKind))
    permission = serializers.CharField()


class ApprovalItem(serializers.Serializer):
    """A question to a human about one tool call."""

    id = _id("Approval.")
    state = serializers.ChoiceField(choices=_one_of(ApprovalState))
    task = _id("The task that waits.")
    channel = serializers.CharField()
    tool = serializers.CharField()
    arguments = serializers.DictField()
    summary = serializers.CharField(help_text="What would be done, in one line.")
    approver = ApproverItem()
    requester = _id("The person whose message led to it.")
    requester_name = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires = serializers.DateTimeField(help_text="Unanswered by then, it counts as refused.")
    decided_by = _id("The person who answered.", allow_null=True)
    decided_by_name = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)


class UsageItem(serializers.Serializer):
    """What turns consumed, in one group or together."""

    key = serializers.CharField(help_text="The day, number or model. Empty: none, such as turns outside of servers.")
    name = serializers.CharField(help_text="What people call it.")
    turns = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost = serializers.FloatField(help_text="By the price table, in its currency.")
    seconds = serializers.FloatField(help_text="Wall time of the turns.")


class UsageTable(serializers.Serializer):
    """The accounts."""

    items = UsageItem(many=True)
    total = UsageItem()
    unpriced = serializers.ListField(
        child=serializers.CharField(), help_text="Models in these accounts that have no price and so cost nothing."
    )
    today = serializers.DateField(help_text="The last of the days.")
    timezone = serializers.CharField(help_text="By whose clock days begin: the person's.")


class RepeatsItem(serializers.Serializer):
    """How a reminder repeats."""

    rule = serializers.CharField(help_text="RFC 5545, for example FREQ=WEEKLY;BYDAY=MO,TH.")
    timezone = serializers.CharField(help_text="The clock on the wall that counts.")
    words = serializers.CharField(help_text="The same in English.")


class ReminderItem(serializers.Serializer):
    """A reminder or timer that is still to come."""

    id = _id("Entry.")
    kind = serializers.ChoiceField(choices=_one_of(EntryKind))
    state = serializers.ChoiceField(choices=_one_of(EntryState))
    due_at = serializers.DateTimeField(help_text="When it comes next.")
    channel = serializers.CharField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()
    fired_at = serializers.DateTimeField(allow_null=True, help_text="When it came last.")
    repeats = RepeatsItem(allow_null=True, help_text="Null for one that comes once.")


class MemoryItem(serializers.Serializer):
    """Something the agent was told to remember about you."""

    id = _id("Memory.")
    text = serializers.CharField()
    channel = serializers.CharField(help_text="Where it was said.")
    created_at = serializers.DateTimeField()


class ForgottenMemory(serializers.Serializer):
    """A memory that was forgotten; nothing of it is kept here."""

    undo = serializers.CharField(help_text="Give it to `POST /api/memories/restore` to have the memory back.")
    until = serializers.DateTimeField(help_text="How long that works.")


class OpinionItem(serializers.Serializer):
    """A person's opinion of one answer."""

    id = _id("Opinion.")
    message = _id("The answer it is about.")
    value = serializers.ChoiceField(choices=[1, -1], help_text="1 for a good answer, -1 for a poor one.")
    text = serializers.CharField(help_text="What would be right, if it was said.")
    question = serializers.CharField(help_text="What had been asked.")
    answer = serializers.CharField(help_text="The beginning of the answer.")
    created_at = serializers.DateTimeField()


class ProposalItem(serializers.Serializer):
    """A fact the agent would like to remember about you."""

    id = _id("Proposal.")
    text = serializers.CharField()
    channel = serializers.CharField(help_text="Where it came up.")
    state = serializers.ChoiceField(choices=_one_of(ProposalState))
    memory = _id("What it became, once accepted.", allow_null=True)
    created_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class ErasureItem(serializers.Serializer):
    """The receipt of an erasure."""

    at = serializers.DateTimeField()
    erased = serializers.DictField(child=serializers.IntegerField(), help_text="Kind, and how many of it.")


class ChannelSettingsItem(serializers.Serializer):
    """What is set for a conversation."""

    persona = serializers.CharField(help_text="What the agent is told about its role here.")
    server_persona = serializers.CharField(help_text="What it is told for the whole server, before that.")
    server = _id("The server it belongs to.", allow_null=True)


class ServerItem(serializers.Serializer):
    """A Discord guild or Telegram group."""

    id = _id("Server.")
    platform = serializers.CharField()
    name = serializers.CharField()
    persona = serializers.CharField(help_text="What the agent is told about its role there.")


class KeyItem(serializers.Serializer):
    """An API key. The secret itself is shown once, when it is made."""

    id = _id("Key.")
    name = serializers.CharField()
    person = _id("Whose key it is.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=sorted(SCOPES)))
    hint = serializers.CharField(help_text="The first characters of the secret.")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewKeyItem(KeyItem):
    """A key that was just made, with its secret."""

    key = serializers.CharField(help_text="The secret. Keep it now: it cannot be shown again.")


class Me(serializers.Serializer):
    """The person behind the credential."""

    id = _id("Person.")
    name = serializers.CharField()
    timezone = serializers.CharField()
    language = serializers.CharField()
    role = serializers.ChoiceField(choices=_one_of(Role), allow_null=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=sorted(SCOPES)))


class Session(serializers.Serializer):
    """Who is signed in. For an API key `user` and `csrf` are null."""

    user = _id("Login.", allow_null=True)
    person = _id("Person.")
    role = serializers.ChoiceField(choices=_one_of(Role), allow_null=True)
    csrf = serializers.CharField(allow_null=True, help_text="Send it as X-CSRFToken with everything that changes.")


class SessionItem(serializers.Serializer):
    """A browser that is signed in as you."""

    id = _id("Session.")
    current = serializers.BooleanField(help_text="Whether it is the one that asks.")
    started_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(help_text="When it was last used, to the minute.")
    address = serializers.CharField(allow_blank=True)
    agent = serializers.CharField(allow_blank=True, help_text="What the browser calls itself.")


class Account(serializers.Serializer):
    """The login behind the session."""

    id = _id("Login.")
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=_one_of(Role))
    password = serializers.BooleanField(help_text="Whether a password was chosen.")
    totp = serializers.BooleanField(help_text="Whether the second factor is on.")
    recovery_codes_left = serializers.IntegerField()


class Totp(serializers.Serializer):
    """What an authenticator app needs. It counts once a code of it was shown."""

    secret = serializers.CharField(help_text="Base32, for typing.")
    uri = serializers.CharField(help_text="The same as otpauth:// address.")
    qr = serializers.CharField(help_text="The address as a picture: a data: URL with SVG.")


class RecoveryCodes(serializers.Serializer):
    """Stand-ins for the app, each good once. They are shown only now."""

    recovery_codes = serializers.ListField(child=serializers.CharField())


class UserItem(serializers.Serializer):
    """A login of the console."""

    id = _id("Login.")
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=_one_of(Role))
    person = _id("The person it is tied to.")
    active = serializers.BooleanField()
    password = serializers.BooleanField(help_text="Whether a password was chosen.")
    totp = serializers.BooleanField(help_text="Whether the second factor is on.")
    created_at = serializers.DateTimeField()
    last_signed_in_at = serializers.DateTimeField(allow_null=True)
    manageable = serializers.BooleanField(help_text="Whether you may change this login.")


class Invitation(serializers.Serializer):
    """A sign-in link. It is shown only now."""

    url = serializers.CharField()
    expires = serializers.DateTimeField()


class Invited(serializers.Serializer):
    """A login that was just made, with its first link."""

    user = UserItem()
    link = Invitation()


class LogItem(serializers.Serializer):
    """One line of the log."""

    id = _id("Its number in this process.")
    at = serializers.DateTimeField()
    level = serializers.CharField()
    logger = serializers.CharField(help_text="The part of the program that wrote it.")
    event = serializers.CharField(help_text="What happened, as a name.")
    keys = serializers.DictField(help_text="What more is known.")
    exception = serializers.CharField(allow_blank=True, help_text="A traceback, or empty.")


class BusEventItem(serializers.Serializer):
    """One event of the bus."""

    id = _id("Its number in this process.")
    at = serializers.DateTimeField()
    topic = serializers.CharField()
    name = serializers.CharField()
    payload = serializers.DictField(help_text="Without words of people.")


class SettingItem(serializers.Serializer):
    """One setting. A secret shows only whether it is set."""

    key = serializers.CharField()
    section = serializers.CharField(allow_blank=True)
    kind = serializers.CharField(help_text="text, whole number, number, true or false, list of texts, secret text, …")
    description = serializers.CharField()
    choices = serializers.ListField(child=serializers.CharField())
    limits = serializers.ListField(child=serializers.CharField(), help_text="For example >= 1.")
    value = serializers.JSONField(help_text="As stored; null for secrets.")
    default = serializers.JSONField()
    is_set = serializers.BooleanField()
    origin = serializers.CharField(help_text="Where the value comes from.")
    locked = serializers.CharField(allow_blank=True, help_text="Why you cannot change it here, or empty.")
    restart = serializers.BooleanField(help_text="Whether a change takes effect at the next start only.")
    pending = serializers.BooleanField(help_text="Whether it was changed and waits for a restart.")
    here = serializers.BooleanField(help_text="Whether this page wrote it: null sets it back.")


class SectionItem(serializers.Serializer):
    """A group of settings."""

    name = serializers.CharField(allow_blank=True)
    description = serializers.CharField()


class SettingsTree(serializers.Serializer):
    """Every setting, and where changes are written."""

    file = serializers.CharField(help_text="Where plain settings are written.")
    secrets = serializers.CharField(help_text="The folder of secrets.")
    sections = SectionItem(many=True)
    items = SettingItem(many=True)


class Fact(serializers.Serializer):
    """Something found out."""

    label = serializers.CharField()
    value = serializers.CharField(allow_blank=True)


class TrialItem(serializers.Serializer):
    """What came of trying something out."""

    state = serializers.ChoiceField(choices=_one_of(PartState))
    detail = serializers.CharField()
    remedy = serializers.CharField(allow_blank=True)
    facts = Fact(many=True)
    choices = serializers.ListField(child=serializers.CharField())
    link = serializers.CharField(allow_blank=True)


class BackupItem(serializers.Serializer):
    """A backup in the backups folder."""

    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    made_at = serializers.DateTimeField()


class Part(serializers.Serializer):
    """The state of one part of the program."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=_one_of(PartState))
    detail = serializers.CharField(allow_blank=True)
    remedy = serializers.CharField(allow_blank=True)


class Health(serializers.Serializer):
    """Whether everything works."""

    status = serializers.ChoiceField(choices=["ok", "degraded"])
    parts = Part(many=True)


@cache
def page_shape(item: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The shape of a list of `item`."""
    name = f"{item.__name__.removesuffix('Item')}List"
    fields = {
        "__doc__": "A page of a list.",
        "items": item(many=True),
        "next": serializers.CharField(allow_null=True, help_text="Cursor of the next page, null on the last."),
    }
    return type(name, (serializers.Serializer,), fields)
