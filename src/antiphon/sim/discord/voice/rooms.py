"""Who is connected to the voice server of which guild, played people included, and the encryption groups of channels.

Played people take no part in end-to-end encryption: they are seen and seen speaking, but send no sound.

Source: docs, Voice: "Connecting to Voice", "Retrieving Voice Server Information", "Speaking"; Opcodes and Status Codes,
"Voice Opcodes" and "Voice Close Event Codes" (4014 when a client is moved or sent away).
"""

from __future__ import annotations

import secrets
import struct

from antiphon.sim.discord.gateway.hub import Hub
from antiphon.sim.discord.journal import Journal
from antiphon.sim.discord.voice import dave
from antiphon.sim.discord.voice.peer import Peer
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.dispatch import Dispatch
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.users import User
from antiphon.sim.discord.world.world import World

ENDPOINT = "simulated-1.discord.media:443"
SPEAKING, CLIENTS_CONNECT, CLIENT_DISCONNECT = 5, 11, 13


class Group:
    """The encryption group of one channel."""

    def __init__(self) -> None:
        self.epoch = 0
        self.transition = 0
        self.committed = False
        self.proposed: list[Peer] = []
        self.ready: set[int] = set()


class Rooms:
    def __init__(self, world: World, hub: Hub, journal: Journal) -> None:
        self._world, self._hub, self._journal = world, hub, journal
        self.external = dave.ExternalSender()
        self.peers: dict[tuple[int, int], Peer] = {}
        """By guild and user."""
        self.by_ssrc: dict[int, Peer] = {}
        self._tokens: dict[tuple[int, int], str] = {}
        self._where: dict[tuple[int, int], int] = {}
        """The channel that guild and user were last seen in."""
        self._ssrcs: dict[tuple[int, int], int] = {}
        self._speaking: dict[tuple[int, int], int] = {}
        self._groups: dict[int, Group] = {}
        self._last_ssrc = 1000
        self.udp_port = 0
        hub.voice_asked = self._asked_again
        world.listen(self._on_dispatch)

    # What the main gateway says

    def _on_dispatch(self, dispatch: Dispatch) -> None:
        if dispatch.name != "VOICE_STATE_UPDATE" or dispatch.guild is None:
            return
        guild, user_id = dispatch.guild, int(dispatch.data["user_id"])
        key = guild.id, user_id
        now = None if dispatch.data["channel_id"] is None else int(dispatch.data["channel_id"])
        before = self._where.get(key)
        if now == before:
            return
        self._speaking.pop(key, None)
        if now is None:
            self._where.pop(key, None)
        else:
            self._where[key] = now
        if user_id in self._world.applications:
            if (peer := self.peers.get(key)) is not None:
                self.drop(peer, 4014, "Disconnected.")
            if now is not None:
                self._server_update(guild, user_id)
            return
        for peer in self._in_channel(guild, before):
            peer.send(CLIENT_DISCONNECT, {"user_id": str(user_id)})
        for peer in self._in_channel(guild, now):
            peer.send(CLIENTS_CONNECT, {"user_ids": [str(user_id)]})

    def _server_update(self, guild: Guild, user_id: int) -> None:
        """Source: docs, Gateway Events, "Voice Server Update"."""
        token = self._tokens[guild.id, user_id] = secrets.token_hex(8)
        data = {"token": token, "guild_id": str(guild.id), "endpoint": ENDPOINT}
        self._hub.send_to_bot(user_id, guild.id, "VOICE_SERVER_UPDATE", data)

    def _asked_again(self, guild: Guild, user_id: int) -> None:
        """A client that lost its voice connection asks again for the same channel, and resumes with the same token."""
        peer = self.peers.get((guild.id, user_id))
        if peer is not None and not peer.connected:
            data = {"token": self._tokens[guild.id, user_id], "guild_id": str(guild.id), "endpoint": ENDPOINT}
            self._hub.send_to_bot(user_id, guild.id, "VOICE_SERVER_UPDATE", data)

    def _in_channel(self, guild: Guild, channel_id: int | None) -> list[Peer]:
        return [peer for (where, _), peer in self.peers.items() if where == guild.id and peer.channel.id == channel_id]

    # Clients

    def admit(self, guild_id: int, user_id: int, session_id: str, token: str) -> Peer | None:
        """The peer of a client that identifies, or None when its session or token is not right."""
        guild = self._world.guilds.get(guild_id)
        state = guild.voice_states.get(user_id) if guild is not None else None
        if state is None or state.session_id != session_id or self._tokens.get((guild_id, user_id)) != token:
            return None
        key = guild_id, user_id
        if (old := self.peers.get(key)) is not None:
            self.drop(old, 4006, "Session is no longer valid.")
        peer = Peer(user_id, state.channel, session_id, self._ssrc(key))
        self.peers[key] = self.by_ssrc[peer.ssrc] = peer
        self._journal.add("voice.identify", user=str(user_id), channel=str(state.channel.id), ssrc=peer.ssrc)
        return peer

    def resumable(self, guild_id: int, session_id: str, token: str) -> Peer | None:
        for (where, user_id), peer in self.peers.items():
            if where == guild_id and peer.session_id == session_id and self._tokens.get((where, user_id)) == token:
                return peer
        return None

    def entered(self, peer: Peer) -> None:
        """The client can send now: tell both sides who is there."""
        guild = peer.channel.guild
        if guild is None:
            return
        others = [one for one in guild.voice_states.values() if one.channel is peer.channel]
        ids = [str(one.member.user.id) for one in others if one.member.user.id != peer.user_id]
        if ids:
            peer.send(CLIENTS_CONNECT, {"user_ids": ids})
        for other in self.others(peer):
            other.send(CLIENTS_CONNECT, {"user_ids": [str(peer.user_id)]})
        for (where, user_id), speaking in self._speaking.items():
            if where == guild.id and self._where.get((where, user_id)) == peer.channel.id and speaking:
                peer.send(SPEAKING, self._speaking_data(user_id, self._ssrcs[where, user_id], speaking))

    def others(self, peer: Peer) -> list[Peer]:
        return [one for one in self.peers.values() if one is not peer and one.channel is peer.channel]

    def spoke(self, peer: Peer, speaking: int) -> None:
        peer.speaking = speaking
        self._journal.add("voice.speaking", user=str(peer.user_id), speaking=speaking)
        for other in self.others(peer):
            other.send(SPEAKING, self._speaking_data(peer.user_id, peer.ssrc, speaking))

    @staticmethod
    def _speaking_data(user_id: int, ssrc: int, speaking: int) -> dict[str, object]:
        """Source: docs, Voice, "Speaking" (bits: 1 microphone, 2 soundshare, 4 priority)."""
        return {"user_id": str(user_id), "ssrc": ssrc, "speaking": speaking}

    def left(self, peer: Peer) -> None:
        """Forget a client, once."""
        if self.by_ssrc.get(peer.ssrc) is not peer:
            return
        for key, known in list(self.peers.items()):
            if known is peer:
                del self.peers[key]
        self.by_ssrc.pop(peer.ssrc, None)
        self._journal.add("voice.left", user=str(peer.user_id))
        for other in self.others(peer):
            other.send(CLIENT_DISCONNECT, {"user_id": str(peer.user_id)})
        if peer.in_group or peer.package is not None:
            self._new_group(peer.channel)

    def drop(self, peer: Peer, code: int, reason: str) -> None:
        self.left(peer)
        peer.close(code, reason)

    def _ssrc(self, key: tuple[int, int]) -> int:
        if key not in self._ssrcs:
            self._last_ssrc += 1
            self._ssrcs[key] = self._last_ssrc
        return self._ssrcs[key]

    # Played people

    def speaks(self, guild: Guild, user: User, on: bool) -> None:
        """A played person starts or stops speaking."""
        key = guild.id, user.id
        self._speaking[key] = int(on)
        ssrc = self._ssrc(key)
        for peer in self._in_channel(guild, self._where.get(key)):
            peer.send(SPEAKING, self._speaking_data(user.id, ssrc, int(on)))

    # The encryption group of a channel

    def group(self, channel: Channel) -> Group:
        return self._groups.setdefault(channel.id, Group())

    def _new_group(self, channel: Channel) -> None:
        """Start over, as when somebody left: epoch 1 makes clients offer themselves again."""
        self._groups[channel.id] = Group()
        for peer in self.peers.values():
            if peer.channel is channel and peer.package is not None:
                peer.package, peer.in_group = None, False
                peer.send(dave.PREPARE_EPOCH, {"protocol_version": dave.PROTOCOL, "epoch": 1, "transition_id": 0})
                peer.send_binary(dave.EXTERNAL_SENDER, self.external.package())

    def offered(self, peer: Peer, package: bytes) -> None:
        """A client sent its key package."""
        peer.package, peer.in_group = dave.key_package(package), False
        self.propose(peer.channel)

    def propose(self, channel: Channel) -> None:
        """Propose everybody who waits, unless a change of the group is under way."""
        group = self.group(channel)
        here = [peer for peer in self.peers.values() if peer.channel is channel]
        waiting = [peer for peer in here if peer.package is not None and not peer.in_group]
        members = [peer for peer in here if peer.in_group]
        if group.committed or not waiting or (not members and len(waiting) < 2):
            return
        group.proposed = waiting
        for peer in members or waiting:
            added = [one.package for one in waiting if one is not peer and one.package is not None]
            proposals = b"".join(self.external.add(channel.id, group.epoch, package) for package in added)
            peer.send_binary(dave.PROPOSALS, b"\0" + dave.vector(proposals))

    def commit(self, peer: Peer, data: bytes) -> None:
        """The first commit of an epoch wins; it is announced to members, its welcome goes to newcomers."""
        group = self.group(peer.channel)
        commit, welcome, epoch = dave.split_commit(data)
        if group.committed or epoch != group.epoch:
            return
        group.committed, group.transition, group.ready = True, group.transition + 1, set()
        number = struct.pack(">H", group.transition)
        newcomers = [one for one in group.proposed if one is not peer]
        members = [
            one for one in self.peers.values() if one.channel is peer.channel and one.in_group and one is not peer
        ]
        for one in [*members, peer]:
            one.in_group = True
            one.send_binary(dave.ANNOUNCE_COMMIT, number + commit)
        for one in newcomers:
            one.in_group = True
            one.send_binary(dave.WELCOME, number + welcome)
        group.epoch += 1
        self._journal.add("voice.commit", channel=str(peer.channel.id), epoch=group.epoch)

    def transition_ready(self, peer: Peer, transition: int) -> None:
        group = self.group(peer.channel)
        group.ready.add(peer.user_id)
        members = [one for one in self.peers.values() if one.channel is peer.channel and one.in_group]
        if transition != group.transition or not all(one.user_id in group.ready for one in members):
            return
        for one in members:
            one.send(dave.EXECUTE_TRANSITION, {"transition_id": transition})
        group.committed = False
        self.propose(peer.channel)
