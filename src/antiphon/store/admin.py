"""The admin at `/admin/`: looking at every row, for the owner only. Found by Django when it is set up.

What happened is history and cannot be changed here; every write goes through a store port. The one exception is who may
sign in: an owner changes roles and disables users, but never their own.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import ForeignKey, Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from unfold.admin import ModelAdmin, TabularInline

from antiphon.store import models

_PAGE = 50
_HIDDEN = {"password", "digest", "snapshot", "dedupe", "session_key", "totp_secret", "totp_pending", "totp_step"}
"""Columns that are secret, or mean nothing to people."""


def _fields(model: type[Model]) -> list[str]:
    return [field.name for field in model._meta.fields if field.name not in _HIDDEN]


def _linked(name: str, label: str | None = None) -> Any:
    """A column that shows a related row as a link to its page."""

    @admin.display(description=label or name.replace("_", " "), ordering=name)
    def column(row: Model) -> str:
        related: Model | None = getattr(row, name)
        if related is None:
            return "-"
        kind = related._meta
        url = reverse(f"admin:{kind.app_label}_{kind.model_name}_change", args=[related.pk])
        return format_html('<a href="{}">{}</a>', url, Truncator(str(related)).chars(60))

    return column


def _short(name: str) -> Any:
    """A column with the beginning of a long text."""

    @admin.display(description=name.replace("_", " "))
    def column(row: Model) -> str:
        return Truncator(str(getattr(row, name))).chars(90)

    return column


class _ReadOnly:
    """Nothing is added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class HistoryAdmin(_ReadOnly, ModelAdmin):
    """Base of the pages that only show."""

    list_per_page = _PAGE
    show_full_result_count = False  # counting a large table takes longer than showing the page
    ordering = ("-id",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return _fields(self.model)

    def get_list_select_related(self, request: HttpRequest) -> list[str]:
        return [field.name for field in self.model._meta.fields if isinstance(field, ForeignKey)]


class _Rows(_ReadOnly, TabularInline):
    """Related rows on the page of another one."""

    extra = 0
    show_change_link = True
    per_page = _PAGE
    ordering = ("id",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        parent = type(obj) if obj is not None else None
        return [
            field.name
            for field in self.model._meta.fields
            if field.name in self.columns and not (isinstance(field, ForeignKey) and field.related_model is parent)
        ]

    columns: tuple[str, ...] = ()


class TurnRows(_Rows):
    """The turns of a task."""

    model = models.Turn
    columns = (
        "attempt",
        "result",
        "error",
        "requests",
        "input_tokens",
        "output_tokens",
        "seconds",
        "model",
        "ended_at",
    )


class ExecutionRows(_Rows):
    """The tool calls of a task."""

    model = models.ToolExecution
    columns = ("tool", "arguments", "status", "result", "seconds", "started_at")


class ReplyRows(_Rows):
    """The replies of a task."""

    model = models.Reply
    columns = ("round", "kind", "part", "state", "text", "attempt", "reason")


class ApprovalRows(_Rows):
    """The approvals of a task."""

    model = models.Approval
    columns = ("tool", "summary", "state", "expires_at", "decided_by")


class AttachmentRows(_Rows):
    """The files of a message."""

    model = models.Attachment
    columns = ("name", "media_type", "size", "url")


class AccountRows(_Rows):
    """The accounts of a person."""

    model = models.Account
    columns = ("platform", "native_id", "name", "is_bot", "created_at")


class SettingRows(_Rows):
    """The settings of a server."""

    model = models.ServerSetting
    columns = ("name", "value", "updated_at")


@admin.register(models.Task)
class TaskAdmin(HistoryAdmin):
    """Tasks with all that belongs to them."""

    list_display = ("id", "state", "kind", _linked("channel"), _linked("person"), "attempt", "error_code", "created_at")
    list_filter = ("state", "kind", "channel__platform")
    search_fields = ("=id", "channel__key", "message__text", "error_code", "error_message")
    inlines = (TurnRows, ExecutionRows, ApprovalRows, ReplyRows)


@admin.register(models.Message)
class MessageAdmin(HistoryAdmin):
    """Everything said."""

    list_display = ("id", "author", "author_name", _short("text"), _linked("channel"), _linked("thread"), "at")
    list_filter = ("author", "interrupted", "channel__platform")
    search_fields = ("text", "author_name", "channel__key", "=native_id")
    inlines = (AttachmentRows,)


@admin.register(models.Reply)
class ReplyAdmin(HistoryAdmin):
    """The outbox and its dead letters."""

    list_display = ("id", "state", "kind", _short("text"), _linked("task"), _linked("channel"), "attempt", "reason")
    list_filter = ("state", "kind", "platform", "doubtful")
    search_fields = ("text", "reason", "channel__key", "=native_id")


@admin.register(models.ToolExecution)
class ToolExecutionAdmin(HistoryAdmin):
    """Recorded tool calls."""

    list_display = ("id", "tool", "status", _short("result"), _linked("task"), "seconds", "started_at")
    list_filter = ("status", "tool")
    search_fields = ("tool", "result", "=task__id")


@admin.register(models.Turn)
class TurnAdmin(HistoryAdmin):
    """Turns and what they used."""

    list_display = (
        *("id", _linked("task"), "attempt", "result", "error", "model"),
        *("input_tokens", "output_tokens", "seconds", "ended_at"),
    )
    list_filter = ("result", "model")
    search_fields = ("=task__id", "error", "model")


@admin.register(models.Approval)
class ApprovalAdmin(HistoryAdmin):
    """Who was asked for what, and what they said."""

    list_display = ("id", "tool", _short("summary"), "state", _linked("requester"), _linked("decided_by"), "expires_at")
    list_filter = ("state", "tool")
    search_fields = ("tool", "summary", "=task__id")


@admin.register(models.Event)
class EventAdmin(HistoryAdmin):
    """What platforms told us."""

    list_display = ("id", "name", "platform", _linked("server"), _linked("account"), "at")
    list_filter = ("platform", "name")
    search_fields = ("name", "account__name", "server__name")


@admin.register(models.Case)
class CaseAdmin(HistoryAdmin):
    """Moderation cases."""

    list_display = ("number", _linked("server"), "action", _linked("target"), _linked("moderator"), "created_at")
    list_filter = ("action", "server")
    search_fields = ("=number", "reason", "target__name")


@admin.register(models.Channel)
class ChannelAdmin(HistoryAdmin):
    """Conversation places."""

    list_display = ("id", "key", "title", "platform", _linked("owner"), _linked("server"), "last_at")
    list_filter = ("platform",)
    search_fields = ("key", "title")


@admin.register(models.Thread)
class ThreadAdmin(HistoryAdmin):
    """Task threads."""

    list_display = ("id", "title", "state", _linked("channel"), "opened_at", "last_at")
    list_filter = ("state", "channel__platform")
    search_fields = ("title", "channel__key")


@admin.register(models.Server)
class ServerAdmin(HistoryAdmin):
    """Guilds and groups."""

    list_display = ("id", "name", "platform", "native_id", "created_at")
    list_filter = ("platform",)
    search_fields = ("name", "=native_id")
    inlines = (SettingRows,)


@admin.register(models.Person)
class PersonAdmin(HistoryAdmin):
    """People with their accounts."""

    list_display = ("id", "name", "timezone", "language", "created_at")
    search_fields = ("name", "accounts__name", "=accounts__native_id")
    inlines = (AccountRows,)


@admin.register(models.Account)
class AccountAdmin(HistoryAdmin):
    """Identities on platforms."""

    list_display = ("id", "name", "platform", "native_id", _linked("person"), "is_bot")
    list_filter = ("platform", "is_bot")
    search_fields = ("name", "=native_id")


@admin.register(models.ScheduleEntry)
class ScheduleEntryAdmin(HistoryAdmin):
    """Reminders and timers."""

    list_display = ("id", "kind", "state", _short("text"), _linked("person"), _linked("channel"), "due_at")
    list_filter = ("state", "kind")
    search_fields = ("text", "person__name")


@admin.register(models.Memory)
class MemoryAdmin(HistoryAdmin):
    """What was remembered about whom."""

    list_display = ("id", "scope", "subject", _short("text"), _linked("author"), "created_at")
    list_filter = ("scope",)
    search_fields = ("text", "author__name")


@admin.register(models.Feedback)
class FeedbackAdmin(HistoryAdmin):
    """Opinions about answers."""

    list_display = ("id", "value", _short("text"), _linked("message"), _linked("person"), "created_at")
    list_filter = ("value",)
    search_fields = ("text",)


@admin.register(models.Key)
class KeyAdmin(HistoryAdmin):
    """API credentials. They are made and revoked in the console or with `antiphon key`."""

    list_display = ("id", "name", "hint", _linked("person"), "scopes", "last_used_at", "revoked_at")
    search_fields = ("name", "hint", "person__name")


@admin.register(models.User)
class UserAdmin(ModelAdmin):
    """Who may sign in, and as what. Users are made with `antiphon user`."""

    list_display = ("id", "name", "role", "is_active", _linked("person"), "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("name", "person__name")
    fields = ("name", "role", "is_active", "person", "created_at", "last_login")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        own = obj is not None and obj.pk == request.user.pk
        return ("name", "person", "created_at", "last_login", *(("role", "is_active") if own else ()))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


admin.site.unregister(Group)  # roles are enough; there are no groups
