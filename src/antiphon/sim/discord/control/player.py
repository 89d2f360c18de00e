"""A played user: does what a person does in the client, under the same permissions and limits.

What Discord would refuse raises `errors.Refused`. Everything is done when the call returns; events are on their way.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from antiphon.sim.discord.permissions import P
from antiphon.sim.discord.rules import interactions, messages, polls, reactions, threads, voice
from antiphon.sim.discord.rules.components import walk
from antiphon.sim.discord.rules.members import add, remove
from antiphon.sim.discord.rules.uploads import Upload
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.commands import Interaction
from antiphon.sim.discord.world.guilds import Guild
from antiphon.sim.discord.world.messages import VOICE_MESSAGE, Message
from antiphon.sim.discord.world.users import User

if TYPE_CHECKING:
    from antiphon.sim.discord.control.control import Control

File = tuple[str, bytes]


class Player:
    """One person. `control.user("ada")` gives the player of an existing user."""

    def __init__(self, control: Control, user: User) -> None:
        self._control, self.user = control, user

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def mention(self) -> str:
        return f"<@{self.user.id}>"

    # Talking

    def send(
        self,
        channel: Channel | str | int,
        text: str = "",
        *,
        reply_to: Message | None = None,
        files: Sequence[File] = (),
        stickers: Sequence[int] = (),
        **fields: Any,
    ) -> Message:
        """A message. `fields` are further ones of the API's form (`poll`, `flags`, `nonce`)."""
        body: dict[str, Any] = {"content": text, **fields}
        if stickers:
            body["sticker_ids"] = [str(one) for one in stickers]
        if reply_to is not None:
            body["message_reference"] = {"message_id": str(reply_to.id)}
        uploads = [Upload(index, name, content, "") for index, (name, content) in enumerate(files)]
        return messages.send(self._control.world, self.user, self._control.channel(channel), body, uploads)

    def voice_message(
        self,
        channel: Channel | str | int,
        audio: bytes,
        *,
        seconds: float,
        waveform: bytes = b"\x00\x40\x80\xff",
        name: str = "voice-message.ogg",
    ) -> Message:
        """A recorded message, as phones send it: one Ogg Opus file with its length and shape."""
        described = {
            "id": "0",
            "filename": name,
            "duration_secs": seconds,
            "waveform": base64.b64encode(waveform).decode(),
        }
        body = {"flags": VOICE_MESSAGE, "attachments": [described]}
        uploads = [Upload(0, name, audio, "audio/ogg")]
        return messages.send(self._control.world, self.user, self._control.channel(channel), body, uploads)

    def dm(self, bot: User | None = None) -> Channel:
        """The direct-message channel with the bot, which is told of it by the first message alone.

        Source: docs, Change Log, API v8: bots no longer get Channel Create for direct messages.
        """
        return self._control.world.direct(self.user, bot or self._control.bot.user)

    def edit(self, message: Message, text: str) -> Message:
        return messages.edit(self._control.world, self.user, message, {"content": text}, [])

    def delete(self, message: Message) -> None:
        messages.delete(self._control.world, self.user, message)

    def typing(self, channel: Channel | str | int) -> None:
        messages.typing(self._control.world, self.user, self._control.channel(channel))

    def react(self, message: Message, emoji: str) -> None:
        reactions.react(self._control.world, self.user, message, emoji)

    def unreact(self, message: Message, emoji: str) -> None:
        reactions.unreact(self._control.world, self.user, message, emoji, self.user)

    def pin(self, message: Message) -> None:
        messages.pin(self._control.world, self.user, message)

    def vote(self, message: Message, answer: int) -> None:
        polls.vote(self._control.world, self.user, message, answer)

    # Threads

    def thread(self, message: Message, name: str) -> Channel:
        return threads.start_from_message(self._control.world, self.user, message, {"name": name}, None)

    def post(self, forum: Channel | str | int, title: str, text: str) -> Message:
        """A post in a forum; its thread is the message's channel."""
        place, body = self._control.channel(forum), {"name": title, "message": {"content": text}}
        return threads.start_post(self._control.world, self.user, place, body, [], None)[1]

    # Commands and components

    def slash(self, name: str, channel: Channel | str | int, values: dict[str, Any] | None = None) -> Interaction:
        """A slash command; `name` may be "group sub". `control.answered()` waits for its answer."""
        return interactions.command(self._control.world, self.user, self._control.channel(channel), name, values or {})

    def menu(self, name: str, channel: Channel | str | int, target: User | Message) -> Interaction:
        return interactions.menu(self._control.world, self.user, self._control.channel(channel), name, target)

    def autocomplete(
        self, name: str, channel: Channel | str | int, option: str, typed: str, values: dict[str, Any] | None = None
    ) -> Interaction:
        place = self._control.channel(channel)
        return interactions.autocomplete(self._control.world, self.user, place, name, option, typed, values or {})

    def press(self, message: Message, custom_id: str) -> Interaction:
        return interactions.use(self._control.world, self.user, message, custom_id)

    def choose(self, message: Message, custom_id: str, values: list[str]) -> Interaction:
        return interactions.use(self._control.world, self.user, message, custom_id, values)

    def submit(self, shown: Interaction, values: dict[str, str]) -> Interaction:
        """Fill in and send the modal that answered `shown`."""
        return interactions.submit(self._control.world, shown, values)

    def sees(self, message: Message) -> bool:
        """Whether this person sees a message at all: ephemeral ones are for one alone."""
        if message.visible_to is not None:
            return message.visible_to == self.user.id
        return bool(self._control.world.permissions(message.channel, self.user) & P.VIEW_CHANNEL)

    def button(self, message: Message, label: str) -> str:
        """The custom id of the button with this label. Raises LookupError when there is none."""
        for _, component in walk(message.components):
            if component.get("label") == label and "custom_id" in component:
                return component["custom_id"]
        raise LookupError(f"There is no button {label!r}")

    # Voice

    def join_voice(self, channel: Channel | str | int, *, mute: bool = False, deaf: bool = False) -> None:
        place = self._control.channel(channel)
        if place.guild is None:
            raise LookupError(f"{place.name} is no voice channel")
        voice.join(self._control.world, place.guild, self.user, place.id, mute=mute, deaf=deaf)

    def leave_voice(self) -> None:
        for guild in self._control.world.guilds.values():
            if self.user.id in guild.voice_states:
                voice.leave(self._control.world, guild, self.user.id)

    def speak(self, on: bool = True) -> None:
        """Start or stop speaking: others in the channel are told by the voice gateway (opcode 5)."""
        for guild in self._control.world.guilds.values():
            if self.user.id in guild.voice_states:
                self._control.voice.speaks(guild, self.user, on)

    # Being there

    def join(self, guild: Guild | str | int | None = None) -> None:
        add(self._control.world, self._control.guild(guild), self.user, notice=True)

    def leave(self, guild: Guild | str | int | None = None) -> None:
        place = self._control.guild(guild)
        remove(self._control.world, place, place.members[self.user.id])

    def presence(self, status: str) -> None:
        self.user.presence = {"status": status, "activities": []}
        self._control.hub.presence_changed(self.user.id)
