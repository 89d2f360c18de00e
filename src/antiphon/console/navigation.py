"""Every page of the console once: where it is, who may see it, and where it stands in the menu.

`app` makes a route of each entry, the rail of `shell.html` is drawn from it, and tests walk it. A page is one template
and one script; adding one is adding a line here. The API checks every request of a page's script anyway: hiding a page
from somebody keeps the menu honest, it protects nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.domain.identity import Role

ROLE = "antiphon.role"
"""Where the door leaves the visitor's role in the ASGI scope. Without it a page counts as its owner's: the script then
hides what the API says is not the visitor's."""

TALK, KEEP, OPERATE = "", "Keep house", "Operate"


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `path` may hold Flask's placeholders; a page without a `label` is reached from others only.

    `group` is the heading it stands under, `role` the least role that sees it, `phone` whether it has a place in the
    bar at the bottom of a phone (five at most with "More"). `template` is "" for addresses other faces answer.
    """

    path: str
    template: str
    label: str = ""
    icon: str = ""
    group: str = TALK
    role: Role = Role.MEMBER
    phone: bool = False
    under: str = ""
    """The path of the entry that is marked as the current one while this page is open; "" is its own."""


PAGES = (
    Page("/", "chat.html", "Chat", "chat", phone=True),
    Page("/c/<channel>", "chat.html", under="/"),
    Page("/voice", "voice.html", "Voice", "microphone", phone=True),
    Page("/voice/past", "spoken_list.html", under="/voice"),
    Page("/voice/past/<session>", "spoken.html", under="/voice"),
    Page("/approvals", "approvals.html", "Approvals", "waiting", phone=True),
    Page("/history", "history.html", "History", "history", phone=True),
    Page("/history/<channel>", "transcript.html", under="/history"),
    Page("/tasks", "tasks.html", "Tasks", "tasks"),
    Page("/tasks/<int:id>", "task.html", under="/tasks"),
    Page("/threads", "threads.html", under="/tasks"),
    Page("/dashboard", "dashboard.html", "Dashboard", "panels"),
    Page("/reminders", "reminders.html", "Reminders", "clock", KEEP),
    Page("/memories", "memories.html", "Memories", "book", KEEP),
    Page("/usage", "usage.html", "Usage", "chart", KEEP),
    Page("/status", "status.html", "Status", "pulse", KEEP),
    Page("/account", "account.html", "My account", "key", KEEP),
    Page("/people", "people.html", "People", "people", OPERATE, Role.OPERATOR),
    Page("/logs", "logs.html", "Logs", "log", OPERATE, Role.OPERATOR),
    Page("/events", "events.html", "Events", "events", OPERATE, Role.OPERATOR),
    Page("/users", "users.html", "Logins", "shield", OPERATE, Role.OPERATOR),
    Page("/keys", "keys.html", "API keys", "link", OPERATE, Role.OPERATOR),
    Page("/settings", "settings.html", "Settings", "settings", OPERATE, Role.OPERATOR),
    Page("/setup", "setup.html", role=Role.OPERATOR, under="/settings"),
    Page("/admin/", "", "Admin", "shield", OPERATE, Role.OWNER),
    Page("/api/docs", "", "API docs", "code", OPERATE, Role.OWNER),
)

DEMO = Page("/demo", "demo.html", "Demo", "play", role=Role.OPERATOR)
"""Only there while the simulated Discord of `antiphon demo` is."""


def menu(role: Role, *, demo: bool = False) -> Iterator[tuple[str, list[Page]]]:
    """The headings of the menu with the pages `role` may see below each."""
    for group in (TALK, KEEP, OPERATE):
        every = (DEMO, *PAGES) if demo else PAGES
        pages = [page for page in every if page.label and page.group == group and page.role.rank <= role.rank]
        if pages:
            yield group, pages
