"""Where things are said and what is said: servers, channels, threads, messages, attachments, platform cursors."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from antiphon.domain.conversation import Author, ThreadState
from antiphon.store.models.fields import InstantField, choices
from antiphon.store.models.people import Account, Person


class Server(models.Model):
    """A Discord guild or Telegram group."""

    platform = models.CharField(max_length=16)
    native_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True, default="")
    created_at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["platform", "native_id"], name="server_once")]

    def __str__(self) -> str:
        return self.name or f"{self.platform} {self.native_id}"


class ServerSetting(models.Model):
    """One setting of one server."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="settings")
    name = models.CharField(max_length=100)
    value = models.JSONField()
    updated_at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "name"], name="server_setting_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.server}"


class Channel(models.Model):
    """One conversation place, named by its key (`discord:123`, `web:abc`). `owner` is set for web and api channels."""

    key = models.CharField(max_length=140, unique=True)
    platform = models.CharField(max_length=16)
    title = models.CharField(max_length=200, blank=True, default="")
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="channels")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, null=True, blank=True, related_name="channels")
    settings = models.JSONField(default=dict, blank=True)
    created_at = InstantField()
    last_at = InstantField()

    class Meta:
        indexes = [models.Index(fields=["owner", "-last_at"], name="channel_of_owner")]

    def __str__(self) -> str:
        return self.title or self.key


class Thread(models.Model):
    """A task thread. The database holds it to one active thread per channel."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="threads")
    state = models.CharField(max_length=8, choices=choices(ThreadState))
    title = models.CharField(max_length=200, blank=True, default="")
    opened_at = InstantField()
    last_at = InstantField()
    closed_at = InstantField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel"], condition=Q(state="active"), name="one_active_thread")
        ]
        indexes = [models.Index(fields=["last_at"], condition=Q(state="active"), name="thread_idle_order")]

    def __str__(self) -> str:
        return self.title or f"thread {self.pk}"


class Message(models.Model):
    """Something said in a channel. `dedupe` is set for what came in; `native_id` is the platform's id."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="messages", db_index=False)
    thread = models.ForeignKey(Thread, on_delete=models.PROTECT, related_name="messages")
    author = models.CharField(max_length=6, choices=choices(Author))
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="messages")
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    author_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    text = models.TextField(blank=True)
    at = InstantField()
    """When it was said, as the platform tells; the order within a channel is that of the ids."""
    created_at = InstantField()
    dedupe = models.CharField(max_length=500, unique=True, null=True, blank=True)
    native_id = models.CharField(max_length=200, blank=True, default="", db_default="")
    edit = models.IntegerField(default=0, db_default=0)
    reply_to = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    answers = models.ForeignKey(
        "antiphon.Task", on_delete=models.PROTECT, null=True, blank=True, related_name="agent_messages"
    )
    """For the agent's messages: the task that said it. A person's message is the `message` of its task."""
    interrupted = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [
            models.Index(fields=["channel", "id"], name="message_of_channel"),
            models.Index(fields=["channel", "native_id"], condition=~Q(native_id=""), name="message_by_native_id"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"


class Attachment(models.Model):
    """A file that came with a message. Its bytes are kept here under `digest`, or by the platform under `url`.

    An upload has no message until one uses it: till then `person` and `channel` say who may.
    """

    message = models.ForeignKey(Message, on_delete=models.CASCADE, null=True, blank=True, related_name="attachments")
    name = models.CharField(max_length=255)
    media_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    url = models.TextField(blank=True, default="")
    digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    channel = models.CharField(max_length=140, blank=True, default="", db_default="")
    text = models.TextField(null=True, blank=True)
    """What could be read in it; null until somebody tried."""
    created_at = InstantField(default=0.0, db_default=0.0)

    class Meta:
        indexes = [
            models.Index(fields=["digest"], condition=~Q(digest=""), name="attachment_by_digest"),
            models.Index(fields=["created_at"], condition=Q(message=None), name="attachment_unsent"),
        ]

    def __str__(self) -> str:
        return self.name


class Cursor(models.Model):
    """The platform's position after the last accepted message; it commits with that message."""

    platform = models.CharField(max_length=16)
    receiver = models.CharField(max_length=200)
    channel = models.CharField(max_length=140)
    value = models.CharField(max_length=200)
    updated_at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["platform", "receiver", "channel"], name="cursor_once")]

    def __str__(self) -> str:
        return f"{self.platform} {self.channel}: {self.value}"


class ThreadImport(models.Model):
    """A thread that came from another system as a file, once per export and person, and where it came from."""

    export = models.CharField(max_length=32)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    thread = models.OneToOneField(Thread, on_delete=models.CASCADE, related_name="imported_from")
    source = models.JSONField()
    created_at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["export", "person"], name="import_once")]

    def __str__(self) -> str:
        return f"import of {self.export}"
