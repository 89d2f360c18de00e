"""How permissions are computed, by the algorithm that Discord publishes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.sim.discord.permissions import ALL, EVERYONE, P, in_channel, in_guild, outranks
from antiphon.sim.discord.world.channels import FORUM, PRIVATE_THREAD, PUBLIC_THREAD, VOICE, Channel, Overwrite
from antiphon.sim.discord.world.guilds import Guild, Member, Role
from antiphon.sim.discord.world.users import User

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def guild() -> Guild:
    made = Guild(1, "g", 10, NOW.isoformat())
    made.roles[2] = Role(2, "low", int(P.KICK_MEMBERS), 1)
    made.roles[3] = Role(3, "high", int(P.MANAGE_CHANNELS), 2)
    for number in (10, 11, 12):
        made.members[number] = Member(User(number, f"user{number}"), NOW.isoformat())
    made.channels[20] = Channel(20, 0, "text", made)
    return made


def bits(channel: Channel, user: int = 11) -> P:
    return in_channel(channel, user, NOW.timestamp())


def test_owner_and_administrators_may_everything(guild: Guild) -> None:
    guild.channels[20].overwrites = {1: Overwrite(1, 0, deny=int(ALL)), 11: Overwrite(11, 1, deny=int(ALL))}
    assert bits(guild.channels[20], 10) == ALL
    guild.roles[2].permissions = int(P.ADMINISTRATOR)
    guild.members[11].roles = [2]
    assert bits(guild.channels[20]) == ALL


def test_roles_add_up_and_overwrites_go_from_everyone_over_roles_to_the_member(guild: Guild) -> None:
    member, text = guild.members[11], guild.channels[20]
    member.roles = [2, 3]
    assert in_guild(guild, member, 0) == EVERYONE | P.KICK_MEMBERS | P.MANAGE_CHANNELS
    text.overwrites = {1: Overwrite(1, 0, deny=int(P.ADD_REACTIONS | P.ATTACH_FILES | P.EMBED_LINKS))}
    assert not bits(text) & (P.ADD_REACTIONS | P.ATTACH_FILES)
    text.overwrites[2] = Overwrite(2, 0, deny=int(P.EMBED_LINKS))
    text.overwrites[3] = Overwrite(3, 0, allow=int(P.EMBED_LINKS | P.ADD_REACTIONS))
    assert bits(text) & P.EMBED_LINKS, "what one role allows stands against what another denies"
    text.overwrites[11] = Overwrite(11, 1, deny=int(P.ADD_REACTIONS))
    assert not bits(text) & P.ADD_REACTIONS


def test_without_sight_nothing_and_without_sending_no_files(guild: Guild) -> None:
    text = guild.channels[20]
    text.overwrites = {1: Overwrite(1, 0, deny=int(P.SEND_MESSAGES))}
    assert not bits(text) & (P.SEND_MESSAGES | P.ATTACH_FILES | P.EMBED_LINKS | P.MENTION_EVERYONE)
    text.overwrites = {1: Overwrite(1, 0, deny=int(P.VIEW_CHANNEL))}
    assert bits(text) == P(0)
    assert bits(text, 99) == P(0)
    voice = Channel(21, VOICE, "voice", guild, overwrites={1: Overwrite(1, 0, deny=int(P.CONNECT))})
    assert bits(voice) == P.VIEW_CHANNEL


def test_a_timeout_leaves_reading(guild: Guild) -> None:
    guild.members[11].timeout_until = NOW + timedelta(minutes=1)
    assert bits(guild.channels[20]) == P.VIEW_CHANNEL | P.READ_MESSAGE_HISTORY
    guild.members[11].timeout_until = NOW - timedelta(minutes=1)
    assert bits(guild.channels[20]) & P.SEND_MESSAGES


def test_threads_follow_their_channel_and_private_ones_their_members(guild: Guild) -> None:
    forum = Channel(22, FORUM, "forum", guild, overwrites={1: Overwrite(1, 0, deny=int(P.SEND_MESSAGES))})
    post = Channel(23, PUBLIC_THREAD, "post", guild, parent=forum)
    assert bits(post) & P.SEND_MESSAGES, "SEND_MESSAGES_IN_THREADS stands in for it"
    forum.overwrites[1].deny = int(P.SEND_MESSAGES_IN_THREADS)
    assert not bits(post) & P.SEND_MESSAGES
    private = Channel(24, PRIVATE_THREAD, "private", guild, parent=guild.channels[20])
    assert bits(private) == P(0)
    private.thread_members[11] = NOW.isoformat()
    assert bits(private) & P.VIEW_CHANNEL


def test_who_stands_above_whom(guild: Guild) -> None:
    owner, one, other = guild.members.values()
    assert not outranks(guild, one, other)
    one.roles, other.roles = [3], [2]
    assert (outranks(guild, one, other), outranks(guild, other, one)) == (True, False)
    assert (outranks(guild, owner, one), outranks(guild, one, owner)) == (True, False)


permission_sets = st.integers(0, int(ALL))


@given(everyone=permission_sets, role=permission_sets, allow=permission_sets, deny=permission_sets)
def test_an_overwrite_of_the_member_has_the_last_word(everyone: int, role: int, allow: int, deny: int) -> None:
    guild = Guild(1, "g", 10, NOW.isoformat())
    guild.roles[1].permissions = everyone & ~int(P.ADMINISTRATOR)
    guild.roles[2] = Role(2, "r", role & ~int(P.ADMINISTRATOR), 1)
    guild.members[11] = Member(User(11, "u"), NOW.isoformat(), [2])
    overwrites = {11: Overwrite(11, 1, allow & ~int(P.ADMINISTRATOR), deny)}
    found = bits(Channel(20, 0, "text", guild, overwrites=overwrites))
    assert not found & deny & ~allow
    if found:
        assert found & P.VIEW_CHANNEL
