"""Joining, leaving and being moved between voice channels, as the main gateway tells it.

Source: docs, Voice Resource ("Modify Current User Voice State"), Gateway Events ("Voice State Update"), Permissions
(CONNECT, MOVE_MEMBERS), Channel (`user_limit`).
"""

from __future__ import annotations

import secrets

from antiphon.sim.discord.errors import missing_access, missing_permissions, refused, unknown
from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rules.need import need
from antiphon.sim.discord.world.channels import STAGE, VOICE
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.voice import VoiceState
from antiphon.sim.discord.world.world import World


def join(
    world: World, guild: Guild, user: User, channel_id: int, *, mute: bool = False, deaf: bool = False
) -> VoiceState:
    channel = guild.channels.get(channel_id)
    if channel is None:
        raise unknown("channel")
    if channel.type not in (VOICE, STAGE):
        raise refused(400, 50024, "Cannot execute action on this channel type")
    bits = need(world, channel, user, P.CONNECT)
    present = sum(state.channel is channel for state in guild.voice_states.values())
    if channel.user_limit and present >= channel.user_limit and not bits & P.MOVE_MEMBERS:
        raise missing_permissions()
    state = VoiceState(guild.members[user.id], channel, secrets.token_hex(16), mute, deaf)
    guild.voice_states[user.id] = state
    _tell(world, state)
    return state


def move_self(world: World, state: VoiceState, *, mute: bool, deaf: bool) -> None:
    state.self_mute, state.self_deaf = mute, deaf
    _tell(world, state)


def leave(world: World, guild: Guild, user_id: int) -> None:
    state = guild.voice_states.pop(user_id, None)
    if state is None:
        raise refused(400, 40032, "Target user is not connected to voice.")
    world.tell("VOICE_STATE_UPDATE", state.payload(left=True), guild=guild)


def place(world: World, guild: Guild, actor: User, user_id: int, channel_id: int | None) -> None:
    """Move a member to another channel, or out (None). Takes MOVE_MEMBERS; 40032 for who is not connected."""
    state = guild.voice_states.get(user_id)
    if state is None:
        raise refused(400, 40032, "Target user is not connected to voice.")
    need(world, state.channel, actor, P.MOVE_MEMBERS)
    if channel_id is None:
        leave(world, guild, user_id)
        return
    channel = guild.channels.get(channel_id)
    if channel is None or channel.type not in (VOICE, STAGE):
        raise missing_access()
    need(world, channel, actor, P.CONNECT)
    state.channel = channel
    _tell(world, state)


def tell_changed(world: World, state: VoiceState) -> None:
    _tell(world, state)


def _tell(world: World, state: VoiceState) -> None:
    world.tell("VOICE_STATE_UPDATE", state.payload(), guild=state.channel.guild)
