"""Joining a voice channel with the unmodified library, end-to-end encryption on."""

from __future__ import annotations

import asyncio
import struct

import discord
from discord.voice_state import VoiceConnectionState

from antiphon.sim.discord import DiscordSim
from tests.contract.discord_sim.raw import VOICE, identify, raw
from tests.fixtures_discord import Connect


class Listening(discord.VoiceClient):
    """Keeps what the voice gateway says."""

    def __init__(self, client: discord.Client, channel: discord.abc.Connectable) -> None:
        super().__init__(client, channel)
        self.heard: list[tuple[int, dict[str, object]]] = []

    def create_connection_state(self) -> VoiceConnectionState:
        return VoiceConnectionState(self, hook=self._hook)

    async def _hook(self, socket: object, message: dict[str, object]) -> None:
        del socket
        self.heard.append((message["op"], message["d"]))  # type: ignore[arg-type]

    def said(self, op: int) -> list[dict[str, object]]:
        return [data for heard, data in self.heard if heard == op]


async def _join(client: discord.Client, sim: DiscordSim) -> Listening:
    lounge = client.get_channel(sim.control.channel("Lounge").id)
    assert isinstance(lounge, discord.VoiceChannel)
    return await lounge.connect(cls=Listening, timeout=5, reconnect=False)


async def _until(what: object, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():  # type: ignore[operator]  # noqa: ASYNC110 - clients announce nothing
            await asyncio.sleep(0.01)


async def test_join_sees_who_is_there_and_who_speaks(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    control = discord_sim.control
    ada, ben = control.user("ada"), control.user("ben")
    ada.join_voice("Lounge")
    voice = await _join(client, discord_sim)
    await _until(lambda: voice.said(11))
    assert voice.said(11) == [{"user_ids": [str(ada.id)]}]
    ben.join_voice("Lounge")
    ben.speak()
    await _until(lambda: voice.said(5))
    [speaking] = voice.said(5)
    assert (speaking["user_id"], speaking["speaking"]) == (str(ben.id), 1)
    ben.leave_voice()
    await _until(lambda: voice.said(13))
    assert {member.name for member in voice.channel.members} == {"ada", "Antiphon"}
    await voice.disconnect()
    await control.wait_for(lambda: control.log("voice.left"))
    assert control.guild().voice_states.keys() == {ada.id}


async def test_bot_that_is_sent_away_is_disconnected(discord_sim: DiscordSim, discord_client: Connect) -> None:
    client = await discord_client()
    voice = await _join(client, discord_sim)
    await client.guilds[0].me.move_to(None)
    await _until(lambda: not voice.is_connected())
    assert discord_sim.control.guild().voice_states == {}


async def test_two_clients_form_a_group_and_packets_are_passed_on(
    discord_sim: DiscordSim, discord_client: Connect
) -> None:
    """The server opens the transport encryption only: what it passes on keeps the mark of the end-to-end one."""
    control = discord_sim.control
    other = control.create_bot("second")
    clients = [await discord_client(), await discord_client(token=other.token)]
    first, second = [await _join(client, discord_sim) for client in clients]
    await _until(lambda: first.voice_privacy_code and first.voice_privacy_code == second.voice_privacy_code)
    packets: list[bytes] = []
    second._connection.add_socket_listener(packets.append)
    first.send_audio_packet(b"\x78" + b"opus" * 10, encode=False)
    await _until(lambda: packets)
    [packet] = packets
    (ssrc,) = struct.unpack_from(">I", packet, 8)
    assert ssrc == first.ssrc
    import nacl.secret

    plain = nacl.secret.Aead(bytes(second.secret_key)).decrypt(packet[16:-4], packet[:16], packet[-4:] + bytes(20))
    assert plain.endswith(b"\xfa\xfa")
    third = await discord_client(token=control.create_bot("third").token)
    late = await _join(third, discord_sim)
    await _until(lambda: late.voice_privacy_code and late.voice_privacy_code == first.voice_privacy_code)
    await second.disconnect()
    await _until(lambda: late.voice_privacy_code == first.voice_privacy_code != second.voice_privacy_code)


async def test_voice_connection_that_breaks_is_resumed(discord_sim: DiscordSim) -> None:
    """By bare messages: the library asks for a new session instead."""
    guild, lounge = discord_sim.control.guild(), discord_sim.control.channel("Lounge")
    wish = {"guild_id": str(guild.id), "channel_id": str(lounge.id), "self_mute": False, "self_deaf": False}
    async with raw(discord_sim) as main:
        await main.send(2, identify(discord_sim, intents=1 << 0 | 1 << 7))
        await main.expect("GUILD_CREATE")
        await main.send(4, wish)
        session = (await main.expect("VOICE_STATE_UPDATE"))["d"]["session_id"]
        token = (await main.expect("VOICE_SERVER_UPDATE"))["d"]["token"]
        who = {"server_id": str(guild.id), "session_id": session, "token": token}
        async with raw(discord_sim, VOICE) as voice:
            await voice.send(0, {**who, "user_id": str(discord_sim.control.bot.id), "max_dave_protocol_version": 1})
            seen = (await voice.expect(2))["seq"]
            discord_sim.control.disconnect_voice(4015)
            assert await voice.closed() == 4015
        discord_sim.control.user("ada").join_voice("Lounge")
        await main.send(4, wish)
        assert (await main.expect("VOICE_SERVER_UPDATE"))["d"]["token"] == token
        async with raw(discord_sim, VOICE) as voice:
            await voice.send(7, {**who, "seq_ack": seen})
            assert (await voice.expect(11))["d"] == {"user_ids": [str(discord_sim.control.user("ada").id)]}
            await voice.expect(9)
        async with raw(discord_sim, VOICE) as voice:
            await voice.send(0, {**who, "token": "wrong", "user_id": "1", "max_dave_protocol_version": 1})
            assert await voice.closed() == 4004
        async with raw(discord_sim, VOICE) as voice:
            await voice.send(0, {**who, "user_id": "1", "max_dave_protocol_version": 0})
            assert await voice.closed() == 4017
