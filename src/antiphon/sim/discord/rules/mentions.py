"""Who is mentioned, and who of them is notified.

Source: docs, Reference, "Message Formatting" (`<@id>`, `<@&id>`); Message, "Allowed Mentions Object" and its
"Allowed Mentions Reference"; Permissions, MENTION_EVERYONE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from antiphon.sim.discord.errors import Form
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_EVERYONE = re.compile(r"@(everyone|here)\b")


@dataclass(slots=True)
class Allowed:
    """Everything, unless the request says otherwise."""

    users: bool = True
    roles: bool = True
    everyone: bool = True
    user_ids: set[int] = field(default_factory=set)
    role_ids: set[int] = field(default_factory=set)
    replied_user: bool = True


def check_allowed(form: Form, value: Any) -> Allowed:
    if not isinstance(value, dict):
        return Allowed()
    at = "allowed_mentions"
    parse = form.items(f"{at}.parse", value.get("parse"), most=3)
    for index, one in enumerate(parse):
        form.choice(f"{at}.parse.{index}", one, {"users", "roles", "everyone"})
    users = form.items(f"{at}.users", value.get("users"), most=100)
    roles = form.items(f"{at}.roles", value.get("roles"), most=100)
    if (users and "users" in parse) or (roles and "roles" in parse):
        form.add(at, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", "parse and a list of ids are mutually exclusive.")
    return Allowed(
        users="users" in parse,
        roles="roles" in parse,
        everyone="everyone" in parse,
        user_ids={int(one) for one in users},
        role_ids={int(one) for one in roles},
        replied_user=bool(value.get("replied_user", False)),
    )


def mentioned(
    world: World, channel: Channel, author: User, content: str, allowed: Allowed
) -> tuple[list[User], list[int], bool]:
    """Users, roles and whether everyone is notified by `content`."""
    users: dict[int, User] = {}
    for text in _USER.findall(content):
        one = world.users.get(int(text))
        if one is not None and (allowed.users or one.id in allowed.user_ids):
            users[one.id] = one
    if channel.guild is None:
        return list(users.values()), [], False
    may_all = bool(world.permissions(channel, author) & P.MENTION_EVERYONE)
    roles: dict[int, None] = {}
    for text in _ROLE.findall(content):
        role = channel.guild.roles.get(int(text))
        if role is not None and (role.mentionable or may_all) and (allowed.roles or role.id in allowed.role_ids):
            roles[role.id] = None
    everyone = may_all and allowed.everyone and bool(_EVERYONE.search(content))
    return list(users.values()), list(roles), everyone
