"""The routes of the API. `asgi` builds them with their state; there is no module-level list."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path, re_path

from antiphon.api.schema import openapi_document
from antiphon.api.state import ApiState
from antiphon.api.views import (
    account,
    approvals,
    attachments,
    channels,
    demo,
    docs,
    events,
    health,
    history,
    keys,
    learning,
    me,
    panels,
    personal,
    personal_data,
    places,
    reminders,
    server_discord,
    session,
    settings,
    tasks,
    threads,
    usage,
    users,
    voice,
    watch,
)

Patterns = list[URLPattern | URLResolver]


def build_urlpatterns(state: ApiState) -> Patterns:
    """Every route below /api, and those of live voice at the root."""
    with_state: dict[str, Any] = {"state": state}
    routes: Patterns = [
        path("api/health", health.HealthView.as_view(**with_state)),
        path("api/session", session.SessionView.as_view(**with_state)),
        path("api/me", me.MeView.as_view(**with_state)),
        path("api/account", account.AccountView.as_view(**with_state)),
        path("api/account/password", account.PasswordView.as_view(**with_state)),
        path("api/account/totp", account.TotpView.as_view(**with_state)),
        path("api/account/totp/confirm", account.ConfirmTotpView.as_view(**with_state)),
        path("api/account/totp/end", account.EndTotpView.as_view(**with_state)),
        path("api/sessions", account.SessionsView.as_view(**with_state)),
        path("api/sessions/<str:id>", account.OneSessionView.as_view(**with_state)),
        path("api/settings", settings.SettingsView.as_view(**with_state)),
        path("api/setup/test", settings.SetupTestView.as_view(**with_state)),
        path("api/backups", settings.BackupsView.as_view(**with_state)),
        path("api/users", users.UsersView.as_view(**with_state)),
        path("api/users/<str:id>", users.UserView.as_view(**with_state)),
        path("api/users/<str:id>/link", users.UserLinkView.as_view(**with_state)),
        path("api/users/<str:id>/reset", users.UserResetView.as_view(**with_state)),
        path("api/keys", keys.KeysView.as_view(**with_state)),
        path("api/keys/<str:id>", keys.KeyView.as_view(**with_state)),
        path("api/channels", channels.ChannelsView.as_view(**with_state)),
        path("api/channels/<str:key>", channels.ChannelView.as_view(**with_state)),
        path("api/channels/<str:key>/messages", channels.MessagesView.as_view(**with_state)),
        path("api/channels/<str:key>/attachments", attachments.UploadView.as_view(**with_state)),
        path("api/attachments/<str:id>", attachments.AttachmentView.as_view(**with_state)),
        path("api/channels/<str:key>/threads", channels.ChannelThreadsView.as_view(**with_state)),
        path("api/channels/<str:key>/events", events.EventsView.as_view(**with_state)),
        path("api/history", history.HistoryView.as_view(**with_state)),
        path("api/history/<str:id>", history.AroundView.as_view(**with_state)),
        path("api/people", history.PeopleView.as_view(**with_state)),
        path("api/threads", threads.ThreadsView.as_view(**with_state)),
        path("api/threads/import", threads.ImportThreadView.as_view(**with_state)),
        path("api/threads/<str:id>", threads.ThreadView.as_view(**with_state)),
        path("api/threads/<str:id>/export", threads.ExportThreadView.as_view(**with_state)),
        path("api/threads/<str:id>/close", threads.CloseThreadView.as_view(**with_state)),
        path("api/usage", usage.UsageView.as_view(**with_state)),
        path("api/tasks", tasks.TasksView.as_view(**with_state)),
        path("api/tasks/<str:id>", tasks.TaskView.as_view(**with_state)),
        path("api/tasks/<str:id>/turns", tasks.TurnsView.as_view(**with_state)),
        path("api/tasks/<str:id>/cancel", tasks.CancelTaskView.as_view(**with_state)),
        path("api/tasks/<str:id>/retry", tasks.RetryTaskView.as_view(**with_state)),
        path("api/approvals", approvals.ApprovalsView.as_view(**with_state)),
        path("api/approvals/<str:id>", approvals.ApprovalView.as_view(**with_state)),
        path("api/approvals/<str:id>/approve", approvals.ApproveView.as_view(**with_state)),
        path("api/approvals/<str:id>/deny", approvals.DenyView.as_view(**with_state)),
        path("api/reminders", reminders.RemindersView.as_view(**with_state)),
        path("api/reminders/<str:id>", reminders.ReminderView.as_view(**with_state)),
        path("api/memories", personal.MemoriesView.as_view(**with_state)),
        path("api/memories/restore", personal.RestoreMemoryView.as_view(**with_state)),
        path("api/memories/<str:id>", personal.MemoryView.as_view(**with_state)),
        path("api/me/export", personal_data.ExportView.as_view(**with_state)),
        path("api/me/erase", personal_data.EraseView.as_view(**with_state)),
        path("api/feedback", learning.OpinionsView.as_view(**with_state)),
        path("api/feedback/<str:id>", learning.OpinionView.as_view(**with_state)),
        path("api/proposals", learning.ProposalsView.as_view(**with_state)),
        path("api/proposals/<str:id>/accept", learning.AcceptProposalView.as_view(**with_state)),
        path("api/proposals/<str:id>/deny", learning.DenyProposalView.as_view(**with_state)),
        path("api/channels/<str:key>/settings", places.ChannelSettingsView.as_view(**with_state)),
        path("api/servers", places.ServersView.as_view(**with_state)),
        path("api/servers/<str:id>", places.ServerView.as_view(**with_state)),
        path("api/servers/<str:id>/discord", server_discord.ServerDiscordView.as_view(**with_state)),
        path("api/messages/<str:id>/feedback", personal.FeedbackView.as_view(**with_state)),
        path("api/logs", watch.LogsView.as_view(**with_state)),
        path("api/logs/stream", watch.LogStreamView.as_view(**with_state)),
        path("api/events", watch.BusEventsView.as_view(**with_state)),
        path("api/events/stream", watch.BusEventStreamView.as_view(**with_state)),
        path("api/panels", panels.PanelsView.as_view(**with_state)),
        path("api/panels/stream", panels.PanelStreamView.as_view(**with_state)),
        path("api/panels/<str:name>", panels.PanelView.as_view(**with_state)),
        path("api/voice/options", voice.OptionsView.as_view(**with_state)),
        path("api/voice/sessions", voice.SessionsView.as_view(**with_state)),
        path("api/voice/sessions/<str:id>", voice.PastSessionView.as_view(**with_state)),
        path("api/voice/sessions/<str:id>/recording", voice.RecordingView.as_view(**with_state)),
        *(
            path(root + route, view.as_view(**with_state))
            for root in ("", "api/voice/")
            for route, view in (
                ("token", voice.TokenView),
                ("session", voice.SessionView),
                ("session/<str:id>", voice.OneSessionView),
                ("transcripts/<str:id>", voice.TranscriptView),
            )
        ),
        path("api/demo", demo.DemoView.as_view(**with_state)),
        path("api/demo/stream", demo.DemoStreamView.as_view(**with_state)),
        path("api/demo/say", demo.SayView.as_view(**with_state)),
        path("api/demo/press", demo.PressView.as_view(**with_state)),
        path("api/demo/form", demo.FormView.as_view(**with_state)),
        path("api/demo/voice", demo.MoveView.as_view(**with_state)),
        path("api/demo/people", demo.GuestsView.as_view(**with_state)),
        path("api/docs", docs.DocsView.as_view(**with_state)),
    ]
    described: Patterns = []

    @cache
    def document() -> dict[str, Any]:
        return openapi_document(described)

    described.extend([*routes, path("api/schema", docs.SchemaView.as_view(document=document, **with_state))])
    return [*described, re_path(r"^api(?:/.*)?$", docs.UnknownView.as_view(**with_state))]


def build_admin_urlpatterns() -> Patterns:
    """The admin, under its own address."""
    return [path("admin/", admin.site.urls)]
